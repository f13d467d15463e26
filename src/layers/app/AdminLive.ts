/**
 * What the commands for operators need, with or without a service beside them: the same stores as behind the API, on the
 * same database. The source is asked only for the name of the stream, whose pauses and states of endpoints hold.
 */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import { CurrentStream } from "../../services/CurrentStream.ts"
import { EndpointStore } from "../../services/EndpointStore.ts"
import * as AddressGuardLive from "../http/AddressGuardLive.ts"
import * as WebhookTransportHttp from "../http/WebhookTransportHttp.ts"
import * as EndpointTestsLive from "../pipeline/EndpointTestsLive.ts"
import * as Sql from "../postgres/Sql.ts"
import * as ApiTokensPg from "../postgres/store/ApiTokensPg.ts"
import * as EndpointStorePg from "../postgres/store/EndpointStorePg.ts"
import * as MigrationsStore from "../postgres/store/MigrationsStore.ts"
import * as SubscriptionStorePg from "../postgres/store/SubscriptionStorePg.ts"
import type { AppSettings } from "../settings/Resolve.ts"
import * as SettingsLive from "../settings/SettingsLive.ts"
import * as CurrentStreamOrStored from "./CurrentStreamOrStored.ts"
import * as DeliveryToolsLive from "./DeliveryToolsLive.ts"

const NOTHING_CHANGED = "Nothing was changed."

/** The store is not as this program needs it. */
export class StoreNotReady extends Schema.TaggedError<StoreNotReady>()("StoreNotReady", {
  code: Schema.Literals(["SchemaMissing", "SchemaOutdated", "SchemaNewer"]),
  seen: Schema.String,
  mend: Schema.String
}) {
  /** A precondition of the environment. */
  readonly exitCode = 4
  override get message() {
    return `Cannot use the store: ${this.seen}.\n\n  ${this.mend}\n\n${NOTHING_CHANGED}  ${this.code}`
  }
}

const notReady = (there: number): StoreNotReady | undefined => {
  const needed = MigrationsStore.latestVersion
  if (there === 0) {
    return new StoreNotReady({ code: "SchemaMissing", seen: "schema pgstream is not there", mend: "pgstream init" })
  }
  if (there < needed) {
    const seen = `its schema is at migration ${there}, and this program needs ${needed}`
    return new StoreNotReady({ code: "SchemaOutdated", seen, mend: "pgstream init" })
  }
  const seen = `its schema is at migration ${there}, newer than this program knows (${needed})`
  return there > needed
    ? new StoreNotReady({ code: "SchemaNewer", seen, mend: "Use the newer pgstream that made it." })
    : undefined
}

/** Before any of the stores is asked. */
const ready = Layer.effectDiscard(Effect.gen(function*() {
  const sql = yield* Sql.StoreSql
  const problem = notReady(yield* MigrationsStore.currentVersion(sql))
  if (problem !== undefined) return yield* problem
}))

const endpoints = Layer.effect(EndpointStore, Effect.flatMap(CurrentStream, ({ identify }) => EndpointStorePg.make(identify)))

export const adminLayer = (settings: AppSettings) =>
  Layer.mergeAll(
    SubscriptionStorePg.layer,
    endpoints,
    ApiTokensPg.layer,
    DeliveryToolsLive.layer,
    AddressGuardLive.layer,
    EndpointTestsLive.layer.pipe(Layer.provide(WebhookTransportHttp.layer))
  ).pipe(
    Layer.provideMerge(CurrentStreamOrStored.layer(settings)),
    Layer.provideMerge(ready),
    Layer.provide(Sql.layerStore),
    Layer.provide(SettingsLive.layer(settings))
  )
