/**
 * The schema `pgstream` in the source database: forward-only migrations, and the two event triggers, which need a
 * superuser and so are a step of their own.
 */
import * as Effect from "effect/Effect"
import * as Migrator from "effect/sql/Migrator"
import * as SqlClient from "effect/sql/SqlClient"
import type { SqlError } from "effect/sql/SqlError"
import ids from "../../../../migrations/source/0001_ids.ts"
import schemaLog from "../../../../migrations/source/0002_schema_log.ts"
import ddl from "../../../../migrations/source/0003_ddl.ts"
import streams from "../../../../migrations/source/0004_streams.ts"
import copy from "../../../../migrations/source/0005_copy.ts"
import { setsIdentities } from "../../../../migrations/source/identities.ts"
import { eventTriggers } from "../../../../migrations/source/triggers.ts"

export const sourceMigrations = {
  "0001_ids": ids,
  "0002_schema_log": schemaLog,
  "0003_ddl": ddl,
  "0004_streams": streams,
  "0005_copy": copy
}

/** One row a migration that was run. */
export const migrationsTable = "pgstream.migrations_source"

/** The version that this program needs. */
export const latestVersion = Object.keys(sourceMigrations).length

/**
 * Makes the schema if needed and runs what is pending, in one transaction under a lock of the migrations table:
 * a second caller waits, and finds nothing to do. Nothing pending = nothing is locked, and no right to make anything
 * is needed. Answers the names of what it ran.
 */
export const run = (
  sql: SqlClient.SqlClient
): Effect.Effect<ReadonlyArray<string>, SqlError | Migrator.MigrationError> =>
  Effect.gen(function*() {
    if ((yield* currentVersion(sql)) >= latestVersion) return []
    const [schema] = yield* sql`SELECT 1 FROM pg_namespace WHERE nspname = 'pgstream'`
    if (schema === undefined) yield* sql`CREATE SCHEMA IF NOT EXISTS pgstream`
    const ran = yield* Migrator.make({})({ loader: Migrator.fromRecord(sourceMigrations), table: migrationsTable })
    return ran.map(([id, name]) => `${String(id).padStart(4, "0")}_${name}`)
  }).pipe(Effect.provideService(SqlClient.SqlClient, sql))

/** The version in the database; 0: none, or no schema at all. */
export const currentVersion = (sql: SqlClient.SqlClient): Effect.Effect<number, SqlError> =>
  Effect.gen(function*() {
    const [table] = yield* sql<{ readonly found: boolean }>`
      SELECT to_regclass(${migrationsTable}) IS NOT NULL AS found`
    if (table?.found !== true) return 0
    const [row] = yield* sql<{ readonly version: number }>`
      SELECT coalesce(max(migration_id), 0)::int AS version FROM pgstream.migrations_source`
    return row?.version ?? 0
  })

/**
 * Without them, looks at the catalog write the rows of `pgstream.ddl`. `notAllowed`: the role may not make event
 * triggers. `notSafe`: it may, but another role that is no superuser owns the schema, and could put code of its own into
 * the functions that every DDL of every user would then run.
 */
export type TriggersState = "installed" | "notAllowed" | "notSafe"

/** Makes what is missing of the two event triggers, and enables them always. Never waits for a statement of the user. */
export const installTriggers = (sql: SqlClient.SqlClient): Effect.Effect<TriggersState, SqlError> =>
  Effect.gen(function*() {
    const [owner] = yield* sql<{ readonly other: boolean }>`
      SELECT n.nspowner <> u.oid AND u.rolsuper AND NOT o.rolsuper AS other FROM pg_namespace n
        JOIN pg_roles o ON o.oid = n.nspowner JOIN pg_roles u ON u.rolname = current_user WHERE n.nspname = 'pgstream'`
    if (owner?.other === true) return "notSafe" as const
    for (const [name, [event, fn]] of Object.entries(eventTriggers)) {
      const [row] = yield* sql<{ readonly enabled: string; readonly fn: string }>`
        SELECT t.evtenabled::text AS enabled, t.evtfoid::regproc::text AS fn
          FROM pg_event_trigger t WHERE t.evtname = ${name}`
      if (row?.enabled === "A" && row.fn === `pgstream.${fn}`) continue
      if (row !== undefined && row.fn !== `pgstream.${fn}`) yield* sql`DROP EVENT TRIGGER ${sql(name)}`
      if (row?.fn !== `pgstream.${fn}`) {
        yield* sql.unsafe(`CREATE EVENT TRIGGER ${name} ON ${event} EXECUTE FUNCTION pgstream.${fn}()`)
      }
      yield* sql`ALTER EVENT TRIGGER ${sql(name)} ENABLE ALWAYS`
    }
    return "installed" as const
  }).pipe(
    sql.withTransaction,
    Effect.catchTag("SqlError", (error) =>
      error.reason._tag === "AuthorizationError" ? Effect.succeed("notAllowed" as const) : Effect.fail(error))
  )

/** Are both triggers there, ours and always enabled? */
export const triggersInstalled = (sql: SqlClient.SqlClient): Effect.Effect<boolean, SqlError> =>
  Effect.map(
    sql<{ readonly n: number }>`
      SELECT count(*)::int AS n FROM pg_event_trigger t JOIN pg_proc p ON p.oid = t.evtfoid
       WHERE p.pronamespace = to_regnamespace('pgstream') AND t.evtname IN ('pgstream_ddl', 'pgstream_drop')
         AND t.evtenabled = 'A'`,
    ([row]) => row?.n === 2
  )

/** `init --keep-identities` passes false: the triggers and the scan then leave every replica identity alone. */
export const allowIdentities = (sql: SqlClient.SqlClient, allowed: boolean): Effect.Effect<void, SqlError> =>
  Effect.asVoid(sql.unsafe(setsIdentities(allowed)))

/** Before the schema is dropped: a trigger whose function goes with the schema would warn the user of that statement. */
export const removeTriggers = (sql: SqlClient.SqlClient): Effect.Effect<void, SqlError> =>
  Effect.forEach(Object.keys(eventTriggers), (name) => sql`DROP EVENT TRIGGER IF EXISTS ${sql(name)}`, { discard: true })
