/**
 * The two databases as SQL clients: the source (schema log, identities, slot checks), and the store
 * (subscriptions, checkpoint, parked deliveries). They may be the same database.
 *
 * Every session: `synchronous_commit = local` (durable, never waiting for a standby), and the output settings
 * that payloads and comparisons rely on.
 */
import { PgClient } from "@effect/sql-pg"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Reactivity from "effect/reactivity/Reactivity"
import type * as Redacted from "effect/Redacted"
import { SourceSettings, StoreSettings } from "../../services/Settings.ts"

export class SourceSql extends Context.Service<SourceSql, PgClient.PgClient>()("pgstream/layers/postgres/SourceSql") {}
export class StoreSql extends Context.Service<StoreSql, PgClient.PgClient>()("pgstream/layers/postgres/StoreSql") {}

export const sessionParameters: Readonly<Record<string, string>> = {
  synchronous_commit: "local",
  datestyle: "ISO",
  intervalstyle: "postgres",
  extra_float_digits: "1",
  bytea_output: "hex",
  timezone: "UTC"
}

/** A pool for `url`; each connection lives as long as the scope. */
export const make = (url: Redacted.Redacted<string>, applicationName: string, maxConnections = 4) =>
  PgClient.make({
    url,
    applicationName,
    maxConnections,
    startupParameters: sessionParameters
  }).pipe(Effect.provide(Reactivity.layer))

export const layerSource = Layer.effect(
  SourceSql,
  Effect.gen(function*() {
    const settings = yield* SourceSettings
    return yield* make(settings.url, "pgstream")
  })
)

export const layerStore = Layer.effect(
  StoreSql,
  Effect.gen(function*() {
    const settings = yield* StoreSettings
    return yield* make(settings.url, "pgstream store")
  })
)
