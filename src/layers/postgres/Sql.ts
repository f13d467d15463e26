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
import * as Net from "node:net"
import * as PostgresUrl from "../../domain/PostgresUrl.ts"
import { SourceSettings, StoreSettings } from "../../services/Settings.ts"
import { socketOptions } from "./replication/openSocket.ts"
import { SocketStream } from "./replication/SocketStream.ts"
import { endSilent } from "./endSilent.ts"

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

/**
 * How long a statement that was sent may be without any sign of life, ms; `undefined`: for ever. A network that is half
 * open swallows a COMMIT, which nothing may interrupt: without an end of the connection it would never return.
 */
export const SqlSilence = Context.Reference<{ readonly limitMs: number | undefined }>("pgstream/layers/postgres/SqlSilence", {
  defaultValue: () => ({ limitMs: undefined })
})

/** For a pipeline that runs: no statement of it waits for longer, and each is repeated. */
export const RUNNING_SILENCE_MS = 20_000

/** A plain connection to one host is a socket; everything else goes through `SocketStream`. */
const transport = (target: PostgresUrl.ConnectionTarget, silenceMs: number | undefined): Partial<PgClient.PgClientConfig> => {
  const [only] = target.hosts
  const isPlain = only !== undefined && target.hosts.length === 1 && (only.host.startsWith("/") || target.sslMode === "disable")
  return {
    ssl: false,
    stream: () =>
      isPlain
        ? endSilent(Net.connect({ ...socketOptions(only), noDelay: true }), silenceMs)
        : new SocketStream(target, silenceMs)
  }
}

/** The client's configuration for `target`: what `make` uses, without a pool. */
export const clientConfig = (
  target: PostgresUrl.ConnectionTarget,
  applicationName: string,
  silenceMs?: number
): PgClient.PgClientConfig => ({
  ...transport(target, silenceMs),
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
  Effect.gen(function*() {
    const { limitMs } = yield* SqlSilence
    const target = yield* Effect.mapError(Effect.fromResult(PostgresUrl.parse(url)), unreadable)
    return yield* PgClient.make({ ...clientConfig(target, applicationName, limitMs), maxConnections })
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
