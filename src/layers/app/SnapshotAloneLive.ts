/** Layers of copies without a slot: the pipeline's, with one snapshot in place of the stream, and the store's definitions. */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { CurrentStream, CurrentStreamError } from "../../services/CurrentStream.ts"
import { Endpoints } from "../../services/Endpoints.ts"
import { EndpointStore } from "../../services/EndpointStore.ts"
import { TableSnapshot } from "../../services/TableSnapshot.ts"
import * as WebhookTransportHttp from "../http/WebhookTransportHttp.ts"
import * as FilterNone from "../pipeline/FilterNone.ts"
import * as Injector from "../pipeline/Injector.ts"
import * as InjectorNone from "../pipeline/InjectorNone.ts"
import * as NoticesLive from "../pipeline/NoticesLive.ts"
import * as Notifier from "../pipeline/Notifier.ts"
import * as SnapshotAlone from "../pipeline/SnapshotAlone.ts"
import * as SubscriptionCachePolled from "../pipeline/SubscriptionCachePolled.ts"
import * as TableShapes from "../pipeline/TableShapes.ts"
import * as TransformerNone from "../pipeline/TransformerNone.ts"
import * as WithdrawalsLive from "../pipeline/WithdrawalsLive.ts"
import * as CopyRequestsPg from "../postgres/copy/CopyRequestsPg.ts"
import * as SchemaLogPg from "../postgres/schema/SchemaLogPg.ts"
import * as TableSnapshotPg from "../postgres/snapshot/TableSnapshotPg.ts"
import * as Sql from "../postgres/Sql.ts"
import * as CheckpointPg from "../postgres/store/CheckpointPg.ts"
import * as DeadRetention from "../postgres/store/DeadRetention.ts"
import * as DeliveryAdminPg from "../postgres/store/DeliveryAdminPg.ts"
import * as DeliveryLogPg from "../postgres/store/DeliveryLogPg.ts"
import * as EndpointsPg from "../postgres/store/EndpointsPg.ts"
import * as EndpointStatesPg from "../postgres/store/EndpointStatesPg.ts"
import * as EndpointStorePg from "../postgres/store/EndpointStorePg.ts"
import * as NoticeStorePg from "../postgres/store/NoticeStorePg.ts"
import * as ParkedDeliveriesPg from "../postgres/store/ParkedDeliveriesPg.ts"
import * as RemovedRowsPg from "../postgres/store/RemovedRowsPg.ts"
import * as SegmentsPg from "../postgres/store/SegmentsPg.ts"
import * as SequenceRangesPg from "../postgres/store/SequenceRangesPg.ts"
import * as StoreHints from "../postgres/store/StoreHints.ts"
import * as SubscriptionStorePg from "../postgres/store/SubscriptionStorePg.ts"
import type { AppSettings } from "../settings/Resolve.ts"
import { databases } from "./AppLive.ts"

const stream = Effect.map(TableSnapshot, (snapshot) => Effect.mapError(snapshot.stream, (cause) => new CurrentStreamError({ cause })))

const currentStream = Layer.effect(CurrentStream, Effect.map(stream, (identify) => ({ identify })))

const endpoints = Layer.effect(Endpoints, Effect.flatMap(stream, (identify) => EndpointsPg.make(identify))).pipe(
  Layer.provide(StoreHints.layer))

const told = Layer.mergeAll(
  DeliveryLogPg.layer,
  NoticesLive.layer.pipe(Layer.provide(Layer.mergeAll(NoticeStorePg.layer, currentStream, WebhookTransportHttp.layer)))
)

/** Ends only by a fault that nothing mends. */
export const snapshotAlone = SnapshotAlone.run

export { untilSent } from "../pipeline/SnapshotAloneSent.ts"

/** Everything that `SnapshotAlone` needs. */
export const aloneLayer = (settings: AppSettings) =>
  Layer.mergeAll(
    Notifier.layer.pipe(Layer.provide(SubscriptionCachePolled.layer), Layer.provide(WebhookTransportHttp.layer)),
    TableShapes.layer,
    settings.injector ? Injector.layer : InjectorNone.layer,
    FilterNone.layer,
    TransformerNone.layer,
    DeliveryAdminPg.layer,
    Layer.effect(EndpointStore, Effect.flatMap(stream, (identify) => EndpointStorePg.make(identify)))
  ).pipe(
    Layer.provide(told),
    Layer.provide(WithdrawalsLive.layer.pipe(Layer.provideMerge(RemovedRowsPg.layer))),
    Layer.provideMerge(Layer.mergeAll(SubscriptionStorePg.layer, endpoints, ParkedDeliveriesPg.layer,
      SegmentsPg.layer, SequenceRangesPg.layer, EndpointStatesPg.layer, DeadRetention.layer)),
    Layer.provideMerge(Layer.mergeAll(CheckpointPg.layer, SchemaLogPg.layer, CopyRequestsPg.layer, TableSnapshotPg.layer)),
    Layer.provide(databases(settings)),
    Layer.provide(Layer.succeed(Sql.SqlSilence, { limitMs: Sql.RUNNING_SILENCE_MS }))
  )
