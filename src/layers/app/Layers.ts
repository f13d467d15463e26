/**
 * Every Layer by the name of its file, for embedders who put a graph of their own together: `Layers.CheckpointPg.layer`
 * stands for `Checkpoint`, `Layers.CheckpointMemory.layer` too. AppLive shows what needs what.
 */
// Stages, without a driver.
export * as FilterNone from "../pipeline/FilterNone.ts"
export * as HeartbeatNone from "../pipeline/HeartbeatNone.ts"
export * as Injector from "../pipeline/Injector.ts"
export * as InjectorNone from "../pipeline/InjectorNone.ts"
export * as Listener from "../pipeline/Listener.ts"
export * as Notifier from "../pipeline/Notifier.ts"
export * as SnapshotterNone from "../pipeline/SnapshotterNone.ts"
export * as SubscriptionCache from "../pipeline/SubscriptionCache.ts"
export * as SubscriptionCachePolled from "../pipeline/SubscriptionCachePolled.ts"
export * as SubscriptionCacheChosen from "../pipeline/SubscriptionCacheChosen.ts"
export * as SubscriptionStoreCached from "../pipeline/SubscriptionStoreCached.ts"
export * as TableShapes from "../pipeline/TableShapes.ts"
export * as TransformerNone from "../pipeline/TransformerNone.ts"
export * as WithdrawalsLive from "../pipeline/WithdrawalsLive.ts"

// Postgres.
export * as Sql from "../postgres/Sql.ts"
export * as AcknowledgeGatePg from "../postgres/replication/AcknowledgeGatePg.ts"
export * as HeartbeatPg from "../postgres/replication/HeartbeatPg.ts"
export * as SlotSource from "../postgres/replication/SlotSource.ts"
export * as SlotSourcePglr from "../postgres/replication/SlotSourcePglr.ts"
export * as SourceProbePg from "../postgres/replication/SourceProbePg.ts"
export * as DdlTracker from "../postgres/schema/DdlTracker.ts"
export * as SchemaLogPg from "../postgres/schema/SchemaLogPg.ts"
export * as SetupPg from "../postgres/setup/Setup.ts"
export * as ApiTokensPg from "../postgres/store/ApiTokensPg.ts"
export * as CheckpointPg from "../postgres/store/CheckpointPg.ts"
export * as EndpointsPg from "../postgres/store/EndpointsPg.ts"
export * as EndpointStorePg from "../postgres/store/EndpointStorePg.ts"
export * as ParkedDeliveriesPg from "../postgres/store/ParkedDeliveriesPg.ts"
export * as RemovedRowsPg from "../postgres/store/RemovedRowsPg.ts"
export * as SubscriptionStorePg from "../postgres/store/SubscriptionStorePg.ts"

// HTTP.
export * as AddressGuardLive from "../http/AddressGuardLive.ts"
export * as ApiServer from "../http/ApiServer.ts"
export * as Health from "../http/Health.ts"
export * as WebhookTransportHttp from "../http/WebhookTransportHttp.ts"

// Memory: the same contracts, nothing durable.
export * as ApiTokensMemory from "../memory/ApiTokensMemory.ts"
export * as ChangeSourceMemory from "../memory/ChangeSourceMemory.ts"
export * as CheckpointMemory from "../memory/CheckpointMemory.ts"
export * as EndpointsMemory from "../memory/EndpointsMemory.ts"
export * as EndpointStoreMemory from "../memory/EndpointStoreMemory.ts"
export * as ParkedDeliveriesMemory from "../memory/ParkedDeliveriesMemory.ts"
export * as RemovedRowsMemory from "../memory/RemovedRowsMemory.ts"
export * as SchemaLogMemory from "../memory/SchemaLogMemory.ts"
export * as SubscriptionStoreMemory from "../memory/SubscriptionStoreMemory.ts"
export * as WebhookTables from "../memory/WebhookTables.ts"
export * as WebhookTransportMemory from "../memory/WebhookTransportMemory.ts"
