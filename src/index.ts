/**
 * The API for embedders: domain, services (contracts), and the Layers that stand for them.
 *
 * `pipelineLayer(settings)` is the whole graph of the binary; replace any part by giving another Layer of the same
 * service. `examples/embed` runs the pipeline with a Notifier of its own. A graph of your own that is provided below
 * another one needs `Layer.fresh` (docs/architecture.md, "Inside another Effect app").
 */
// Domain: pure values and decisions.
export * as Change from "./domain/Change.ts"
export * as Chunk from "./domain/Chunk.ts"
export * as Delivery from "./domain/Delivery.ts"
export * as DeliverySelector from "./domain/DeliverySelector.ts"
export * as EventId from "./domain/EventId.ts"
export * as Key from "./domain/Key.ts"
export * as Lsn from "./domain/Lsn.ts"
export * as PostgresUrl from "./domain/PostgresUrl.ts"
export * as Sending from "./domain/Sending.ts"
export * as Signature from "./domain/Signature.ts"
export * as StreamId from "./domain/StreamId.ts"
export * as Subscription from "./domain/Subscription.ts"
export * as TableShape from "./domain/TableShape.ts"
export * as Progress from "./domain/Progress.ts"
export * as TablePattern from "./domain/TablePattern.ts"
export * as Ranges from "./domain/Ranges.ts"
export * as VerifyNumbers from "./domain/Verify.ts"
export { BodyWriter } from "./domain/Body.ts"
export * as Decoder from "./domain/Decoder.ts"

// Services: what callers may rely on.
export { AcknowledgeGate } from "./services/AcknowledgeGate.ts"
export { AddressGuard, AddressGuardSettings, type AddressGuardSettingsShape, AddressRefused } from "./services/AddressGuard.ts"
export { nothingAllowed, parseAllowedHosts } from "./domain/AddressRules.ts"
export { ApiCaller, type Caller } from "./services/ApiCaller.ts"
export { ApiTokenRefused, ApiTokens, ApiTokensError, type MadeToken, type NewToken, type StoredToken } from "./services/ApiTokens.ts"
export { AuditLog, type AuditAction } from "./services/Audit.ts"
export { ChangeSource, SourceError, type Plugin, type SourceConnection } from "./services/ChangeSource.ts"
export { Checkpoint, CheckpointError, type CheckpointState, type CheckpointUpdate, type EndpointCount } from "./services/Checkpoint.ts"
export { CurrentStream, CurrentStreamError } from "./services/CurrentStream.ts"
export {
  DeliveryAdmin, DeliveryAdminError, type Blocking, type DeliveryCounts, type DeliveryPage, type DeliveryQuery, type ListedDelivery,
  type ShownDelivery
} from "./services/DeliveryAdmin.ts"
export {
  DeliveryCommands, DeliveryCommandsError, type Command, type CommandRequest, type CommandView
} from "./services/DeliveryCommands.ts"
export { DeliveryLog, type Attempted } from "./services/DeliveryLog.ts"
export { DeliveryLogSettings, NoticeSettings } from "./services/DeliverySettings.ts"
export { Endpoints, EndpointsError } from "./services/Endpoints.ts"
export { EndpointStates, EndpointStatesError } from "./services/EndpointStates.ts"
export { EndpointTests, type EndpointTested } from "./services/EndpointTests.ts"
export {
  EndpointRefused, EndpointStore, EndpointStoreError, type EndpointChange, type RotatedSecret, type SecretRequest
} from "./services/EndpointStore.ts"
export { FailPoints, type FailPoint } from "./services/FailPoints.ts"
export { Filter } from "./services/Filter.ts"
export { DdlTracker } from "./services/DdlTracker.ts"
export { HealthChecks, type HealthCheck } from "./services/HealthChecks.ts"
export { Heartbeat } from "./services/Heartbeat.ts"
export { Injector, InjectorError } from "./services/Injector.ts"
export { Listener, ListenerError, type Listening, type ListenerState } from "./services/Listener.ts"
export { LiveDeliveries, type LiveDeliveriesShape } from "./services/LiveDeliveries.ts"
export { Notices, type Notice, type NoticeKind } from "./services/Notices.ts"
export { NoticeStore, NoticeStoreError, type ToldNotice } from "./services/NoticeStore.ts"
export { Notifier, NotifierError, type Notifying, type Settled } from "./services/Notifier.ts"
export { type LoadedKeys, ParkedDeliveries, ParkedDeliveriesError, type ParkedDelivery, type ParkedKeys } from "./services/ParkedDeliveries.ts"
export { Segments, SegmentsError, type Backlog, type Segment, type SegmentCursor } from "./services/Segments.ts"
export { SequenceRanges, SequenceRangesError, type RangeState, type SequenceRange } from "./services/SequenceRanges.ts"
export { RemovedRows } from "./services/RemovedRows.ts"
export { SchemaLog } from "./services/SchemaLog.ts"
export { ApiSettings, NotifierSettings, notifierDefaults, SecretSettings, SourceSettings, StoreSettings, SubscriptionSettings } from "./services/Settings.ts"
export { Setup, SetupError, type DestroyReport, type Finding, type InitOptions, type InitReport, type StatusReport } from "./services/Setup.ts"
export {
  CopyIsOver, CopyRequests, CopyRequestsError, CopyUnknown, type Copy, type CopySpec, type Created
} from "./services/CopyRequests.ts"
export { CopyAsking, CopyRefused, type Asked, type CopyWish } from "./services/CopyAsking.ts"
export { CopySettings, copyDefaults, type CopySettingsShape } from "./services/CopySettings.ts"
export { Snapshotter, SnapshotError, type Copying } from "./services/Snapshotter.ts"
export { SnapshotSettings, snapshotDefaults, type SnapshotSettingsShape } from "./services/SnapshotSettings.ts"
export { StreamFollowed } from "./services/StreamFollowed.ts"
export { TableCatalog, TableCatalogError } from "./services/TableCatalog.ts"
export { TableReader, TableReaderError } from "./services/TableReader.ts"
export { SourceProbe } from "./services/SourceProbe.ts"
export { SubscriptionCache } from "./services/SubscriptionCache.ts"
export {
  SubscriptionStore, SubscriptionStoreError, TooManySubscriptions, type RemovedSubscription, type SubscriptionKey
} from "./services/SubscriptionStore.ts"
export { SchemaLogError, TableShapes, type ShapesInForce } from "./services/TableShapes.ts"
export { Transformer } from "./services/Transformer.ts"
export { Verify, VerifyError, type KnownEndpoint } from "./services/Verify.ts"
export { WalHeld } from "./services/WalHeld.ts"
export { WebhookTransport } from "./services/WebhookTransport.ts"
export { Withdrawals } from "./services/Withdrawals.ts"

// Settings and the graph.
export { ConfigurationError, load, usable, type AppSettings, type Loaded, type LoadOptions } from "./layers/app/Configuration.ts"
export { pipelineLayer, setupLayer } from "./layers/app/AppLive.ts"
export * as Layers from "./layers/app/Layers.ts"
export { pipeline, runPipeline } from "./layers/app/RunPipeline.ts"
export { version } from "./version.ts"
