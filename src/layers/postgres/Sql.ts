/**
 * The two databases as SQL clients: the source (schema log, identities, slot checks), and the store
 * (subscriptions, checkpoint, parked deliveries). They may be the same database.
 *
 * The URL is read by `domain/PostgresUrl` and connected by `replication/openSocket`, the same as the replication
 * connection: hosts, TLS, Unix sockets.
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
import { ConnectionError, SqlError } from "effect/sql/SqlError"
import * as PostgresUrl from "../../domain/PostgresUrl.ts"
import { SourceSettings, StoreSettings } from "../../services/Settings.ts"
import { socketOptions } from "./replication/openSocket.ts"
import { SocketStream } from "./replication/SocketStream.ts"

export class SourceSql extends Context.Service<SourceSql, PgClient.PgClient>()(
  "pgstream/layers/postgres/SourceSql"
) {}
export class StoreSql extends Context.Service<StoreSql, PgClient.PgClient>()(
  "pgstream/layers/postgres/StoreSql"
) {}

export const sessionParameters: Readonly<Record<string, string>> = {
  synchronous_commit: "local",
  datestyle: "ISO",
  intervalstyle: "postgres",
  extra_float_digits: "1",
  bytea_output: "hex",
  timezone: "UTC"
}

/** A parked body may be as large as a row may be: 1 GB. */
const MAX_MESSAGE_BYTES = 1_073_741_824

/** A plain connection to one host needs no stream of ours; everything else goes through `SocketStream`. */
const transport = (target: PostgresUrl.ConnectionTarget): Partial<PgClient.PgClientConfig> => {
  const [only] = target.hosts
  if (target.hosts.length === 1 && only !== undefined) {
    if (only.host.startsWith("/")) return { ...socketOptions(only), ssl: false }
    if (target.sslMode === "disable") return { host: only.host, port: only.port, ssl: false }
  }
  return { stream: () => new SocketStream(target), ssl: false }
}

/** The client's configuration for `target`: what `make` uses, without a pool. */
export const clientConfig = (
  target: PostgresUrl.ConnectionTarget,
  applicationName: string
): PgClient.PgClientConfig => ({
  ...transport(target),
  username: target.user,
  password: target.password,
  database: target.database,
  applicationName: target.applicationName ?? applicationName,
  startupOptions: target.options,
  maxMessageSize: MAX_MESSAGE_BYTES,
  connectTimeout: target.hosts.length * target.connectTimeoutSeconds * 1000,
  startupParameters: { ...target.parameters, ...sessionParameters }
})

const unreadable = (error: PostgresUrl.PostgresUrlError) =>
  new SqlError({
    reason: new ConnectionError({ cause: error, message: error.message, operation: "connect" })
  })

/** A pool for `url`; each connection lives as long as the scope. */
export const make = (url: Redacted.Redacted<string>, applicationName: string, maxConnections = 4) =>
  Effect.fromResult(PostgresUrl.parse(url)).pipe(
    Effect.mapError(unreadable),
    Effect.flatMap((target) => PgClient.make({ ...clientConfig(target, applicationName), maxConnections })),
    Effect.provide(Reactivity.layer)
  )

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
