/** Log, notices, commands and tools of deliveries, as the running service has them. */
import * as Layer from "effect/Layer"
import * as WebhookTransportHttp from "../http/WebhookTransportHttp.ts"
import * as CurrentStreamLive from "../pipeline/CurrentStreamLive.ts"
import * as DeliveryWorker from "../pipeline/DeliveryWorker.ts"
import * as NoticesLive from "../pipeline/NoticesLive.ts"
import * as SlotWatch from "../postgres/replication/SlotWatch.ts"
import * as DeliveryAdminPg from "../postgres/store/DeliveryAdminPg.ts"
import * as DeliveryCommandsPg from "../postgres/store/DeliveryCommandsPg.ts"
import * as DeliveryLogPg from "../postgres/store/DeliveryLogPg.ts"
import * as EndpointStorePg from "../postgres/store/EndpointStorePg.ts"
import * as NoticeStorePg from "../postgres/store/NoticeStorePg.ts"
import * as VerifyPg from "../postgres/store/VerifyPg.ts"

/** Behind the API. */
export const tools = Layer.mergeAll(DeliveryAdminPg.layer, DeliveryCommandsPg.layer, VerifyPg.layer, CurrentStreamLive.layer)

const notices = NoticesLive.layer.pipe(
  Layer.provide(Layer.mergeAll(NoticeStorePg.layer, CurrentStreamLive.layer, WebhookTransportHttp.layer))
)

/** What the Notifier tells of attempts and states: below it. */
export const told = Layer.mergeAll(DeliveryLogPg.layer, notices)

/** Beside the pipeline: carries out commands, and watches the slot. */
export const worker = Layer.mergeAll(
  DeliveryWorker.layer.pipe(Layer.provide(tools), Layer.provide(EndpointStorePg.layer), Layer.provide(WebhookTransportHttp.layer)),
  SlotWatch.layer
)
