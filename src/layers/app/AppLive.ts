/**
 * READ SECOND: the layer graph. Which implementation stands for which service, and what each of them needs.
 *
 * ```
 * settings ─→ SourceSql ─→ SchemaLog · DdlTracker · Heartbeat
 *         └─→ StoreSql ──→ Checkpoint · ParkedDeliveries · Segments · SubscriptionStore · Endpoints
 * ChangeSource ─→ Listener          SubscriptionCache ← the stream, or the store if it is elsewhere
 * WebhookTransport ─→ Notifier      ApiServer · Health beside the pipeline
 * ```
 *
 * An embedder replaces any of them: `Layer.provide` another Layer of the same service.
 */
import * as Layer from "effect/Layer"
import * as AddressGuardLive from "../http/AddressGuardLive.ts"
import * as ApiServer from "../http/ApiServer.ts"
import * as Health from "../http/Health.ts"
import * as HealthChecksLive from "../http/HealthChecksLive.ts"
import * as WebhookTransportHttp from "../http/WebhookTransportHttp.ts"
import * as EndpointTestsLive from "../pipeline/EndpointTestsLive.ts"
import * as FilterNone from "../pipeline/FilterNone.ts"
import * as CopyAskingLive from "../pipeline/CopyAskingLive.ts"
import * as Injector from "../pipeline/Injector.ts"
import * as InjectorNone from "../pipeline/InjectorNone.ts"
import * as Listener from "../pipeline/Listener.ts"
import * as Notifier from "../pipeline/Notifier.ts"
import * as Snapshotter from "../pipeline/Snapshotter.ts"
import * as SubscriptionCacheChosen from "../pipeline/SubscriptionCacheChosen.ts"
import * as TableShapes from "../pipeline/TableShapes.ts"
import * as TransformerNone from "../pipeline/TransformerNone.ts"
import * as WithdrawalsLive from "../pipeline/WithdrawalsLive.ts"
import * as ApiTokensPg from "../postgres/store/ApiTokensPg.ts"
import * as TableReaderPg from "../postgres/copy/TableReaderPg.ts"
import * as CheckpointPg from "../postgres/store/CheckpointPg.ts"
import * as DdlTracker from "../postgres/schema/DdlTracker.ts"
import * as EndpointsPg from "../postgres/store/EndpointsPg.ts"
import * as EndpointStorePg from "../postgres/store/EndpointStorePg.ts"
import * as DeadRetention from "../postgres/store/DeadRetention.ts"
import * as ParkedDeliveriesPg from "../postgres/store/ParkedDeliveriesPg.ts"
import * as SegmentsPg from "../postgres/store/SegmentsPg.ts"
import * as WalHeldPg from "../postgres/replication/WalHeldPg.ts"
import * as SequenceRangesPg from "../postgres/store/SequenceRangesPg.ts"
import * as EndpointStatesPg from "../postgres/store/EndpointStatesPg.ts"
import * as HeartbeatPg from "../postgres/replication/HeartbeatPg.ts"
import * as AcknowledgeGatePg from "../postgres/replication/AcknowledgeGatePg.ts"
import * as SourceProbePg from "../postgres/replication/SourceProbePg.ts"
import * as CopyRequestsPg from "../postgres/copy/CopyRequestsPg.ts"
import * as SlotSource from "../postgres/replication/SlotSource.ts"
import * as SlotSourcePglr from "../postgres/replication/SlotSourcePglr.ts"
import * as PublicationScan from "../postgres/setup/PublicationScan.ts"
import * as SchemaLogPg from "../postgres/schema/SchemaLogPg.ts"
import * as SetupPg from "../postgres/setup/Setup.ts"
import * as TableCatalogPg from "../postgres/TableCatalogPg.ts"
import * as Sql from "../postgres/Sql.ts"
import * as StreamBehindPg from "../postgres/StreamBehindPg.ts"
import * as StoreProbePg from "../postgres/store/StoreProbePg.ts"
import * as RemovedRowsPg from "../postgres/store/RemovedRowsPg.ts"
import * as SubscriptionStorePg from "../postgres/store/SubscriptionStorePg.ts"
import type { AppSettings } from "../settings/Resolve.ts"
import * as SettingsLive from "../settings/SettingsLive.ts"
import * as DeliveriesLive from "./DeliveriesLive.ts"

/** Settings and the two databases: below everything else. */
export const databases = (settings: AppSettings) =>
  Layer.mergeAll(Sql.layerSource, Sql.layerStore).pipe(Layer.provideMerge(SettingsLive.layer(settings)))

/** For `init`, `destroy`, `status` and the check before `run`. */
export const setupLayer = (settings: AppSettings) =>
  SetupPg.layer.pipe(
    Layer.provide(Layer.mergeAll(CheckpointPg.layer, DdlTracker.layer)),
    Layer.provide(databases(settings))
  )

/** How copies are asked for, and the requests. */
export const copies = CopyAskingLive.layer.pipe(Layer.provide(TableCatalogPg.layer), Layer.provideMerge(CopyRequestsPg.layer))

/** The driver that reads the slot. */
const source = (settings: AppSettings) =>
  settings.source.driver === "socket" ? SlotSource.layer : SlotSourcePglr.layer

const graph = (settings: AppSettings) =>
  Layer.mergeAll(
    Notifier.layer.pipe(Layer.provide(SubscriptionCacheChosen.layer), Layer.provide(WebhookTransportHttp.layer)),
    TableShapes.layer.pipe(
      Layer.provide(DdlTracker.layerScanning({ intervalMs: settings.schemaScanIntervalMs }))
    ),
    settings.injector ? Injector.layer : InjectorNone.layer,
    FilterNone.layer,
    TransformerNone.layer,
    Snapshotter.layer.pipe(Layer.provide(Layer.mergeAll(TableReaderPg.layer, CopyRequestsPg.layer))),
    ApiServer.layer.pipe(Layer.provide(StreamBehindPg.layer), Layer.provide(EndpointStorePg.layer), Layer.provide(ApiTokensPg.layer), Layer.provide(copies),
      Layer.provide(DeliveriesLive.tools),
      Layer.provide(AddressGuardLive.layer), Layer.provide(EndpointTestsLive.layer.pipe(Layer.provide(WebhookTransportHttp.layer)))),
    Health.layer.pipe(
      Layer.provide(HealthChecksLive.layer),
      Layer.provide(Layer.mergeAll(StoreProbePg.layer, SourceProbePg.layer()))
    ),
    PublicationScan.layer(settings.schemaScanIntervalMs),
    DeliveriesLive.worker
  ).pipe(
    Layer.provide(DeliveriesLive.told),
    Layer.provide(WalHeldPg.layer),
    Layer.provide(WithdrawalsLive.layer.pipe(Layer.provideMerge(RemovedRowsPg.layer))),
    Layer.provideMerge(Layer.mergeAll(SubscriptionStorePg.layer, EndpointsPg.layer, ParkedDeliveriesPg.layer,
      SegmentsPg.layer, SequenceRangesPg.layer, EndpointStatesPg.layer, DeadRetention.layer)),
    Layer.provideMerge(Layer.mergeAll(CheckpointPg.layer, SchemaLogPg.layer)),
    Layer.provideMerge(Listener.layer),
    Layer.provideMerge(AcknowledgeGatePg.layer),
    Layer.provide(Layer.mergeAll(source(settings), HeartbeatPg.layer)),
    Layer.provide(databases(settings)),
    Layer.provide(Layer.succeed(Sql.SqlSilence, { limitMs: Sql.RUNNING_SILENCE_MS }))
  )

/**
 * Everything that `Pipeline.run` needs, with the API and health servers beside it. Shares nothing with what is provided
 * around it: an effect below another's provided Layers would get the stores of that one's database, since a Layer that
 * is a constant is made once for both.
 */
export const pipelineLayer = (settings: AppSettings) => Layer.fresh(graph(settings))
