/**
 * Schema `pgstream` of the store's database: its migrations, forward only, and which of them are there.
 * Recorded in `pgstream.migrations_store`.
 */
import * as Effect from "effect/Effect"
import * as Migrator from "effect/sql/Migrator"
import * as SqlClient from "effect/sql/SqlClient"
import type { SqlError } from "effect/sql/SqlError"
import store from "../../../../migrations/store/0001_store.ts"
import madeIn from "../../../../migrations/store/0002_made_in.ts"
import endpointSecrets from "../../../../migrations/store/0003_endpoint_secrets.ts"
import segments from "../../../../migrations/store/0004_segments.ts"
import deliveryLog from "../../../../migrations/store/0005_delivery_log.ts"
import apiTokens from "../../../../migrations/store/0006_api_tokens.ts"
import splitLimits from "../../../../migrations/store/0007_split_limits.ts"

const table = "pgstream.migrations_store"

export const storeMigrations = {
  "0001_store": store, "0002_made_in": madeIn, "0003_endpoint_secrets": endpointSecrets,
  "0004_segments": segments, "0005_delivery_log": deliveryLog, "0006_api_tokens": apiTokens,
  "0007_split_limits": splitLimits
}

/** Version that this program needs. */
export const latestVersion = Math.max(...Object.keys(storeMigrations).map((name) => parseInt(name, 10)))

/** Version of the database; `0`: nothing of the store is there. */
export const currentVersion = Effect.fn("MigrationsStore.currentVersion")(function*(sql: SqlClient.SqlClient) {
  const [found] = yield* sql<{ readonly there: boolean }>`SELECT to_regclass(${table}) IS NOT NULL AS there`
  if (found?.there !== true) return 0
  const [row] = yield* sql<{ readonly version: number }>`
    SELECT coalesce(max(migration_id), 0)::int AS version FROM pgstream.migrations_store`
  return row?.version ?? 0
})

/** The schema is made only where it is missing: IF NOT EXISTS asks for CREATE on the database all the same. */
const ensureSchema = Effect.fnUntraced(function*(sql: SqlClient.SqlClient) {
  const [found] = yield* sql<{ readonly there: boolean }>`SELECT to_regnamespace('pgstream') IS NOT NULL AS there`
  if (found?.there !== true) yield* sql`CREATE SCHEMA IF NOT EXISTS pgstream`
})

/**
 * Brings the store to `latestVersion`, in one transaction; of two at once, one waits for the other (IF NOT EXISTS
 * alone does not do that). Idempotent: nothing is locked or written when it is there already. Also on a database with
 * the four-column `webhook_subscriptions` of an older system (see `adoptSeedRows`).
 */
export const run = Effect.fn("MigrationsStore.run")(function*(sql: SqlClient.SqlClient) {
  if ((yield* currentVersion(sql)) >= latestVersion) return
  yield* sql.withTransaction(Effect.gen(function*() {
    yield* sql`SELECT pg_advisory_xact_lock(hashtext('pgstream'), hashtext('migrations_store'))`
    yield* ensureSchema(sql)
    yield* Migrator.make({})({ loader: Migrator.fromRecord(storeMigrations), table }).pipe(
      Effect.provideService(SqlClient.SqlClient, sql)
    )
  }))
})

export interface AdoptedEndpoint {
  readonly id: string
  /** May hold userinfo: show it only without. */
  readonly url: string
}

/**
 * Endpoints that the migration found on an older system's database: they keep its order (`total`, one request in
 * flight). Each is named once, to the `init` that takes them over; what an operator changes later stays.
 */
export const adoptSeedRows = (
  sql: SqlClient.SqlClient
): Effect.Effect<ReadonlyArray<AdoptedEndpoint>, SqlError> =>
  sql<AdoptedEndpoint>`
    UPDATE pgstream.webhook_endpoints SET order_mode = 'total', concurrency = 1, seed = 'adopted'
    WHERE seed = 'found' RETURNING id::text AS id, url`
