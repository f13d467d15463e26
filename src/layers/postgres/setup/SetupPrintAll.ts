/** The statements of `init --print-sql` for a superuser: what is missing of schema, triggers, identities, publication and grants. */
import * as Effect from "effect/Effect"
import type { PgClient } from "@effect/sql-pg"
import type * as SqlClient from "effect/sql/SqlClient"
import type { SqlError } from "effect/sql/SqlError"
import { eventTriggers } from "../../../../migrations/source/triggers.ts"
import { identifier } from "../../../domain/SqlText.ts"
import type { PrintOptions } from "../../../services/Setup.ts"
import { withoutIdentity } from "../schema/Identities.ts"
import * as MigrationsSource from "../schema/MigrationsSource.ts"
import * as MigrationsStore from "../store/MigrationsStore.ts"
import type * as Probe from "./Probe.ts"
import * as Publication from "./Publication.ts"
import type { Parts } from "./SetupParts.ts"
import * as SqlRecorder from "./SqlRecorder.ts"

/** Transactions older than the triggers are waited for this long, s: then the script stops. */
const WAIT_S = 300

/** Its privileges are those of its owner; so only our role may call them. */
const ownersFunctions = ["pgstream.make_full(oid, boolean)", "pgstream.give_back(oid, boolean, boolean)"]
/** The store's, where that is the same database: tables of segments are made and dropped while the service runs. */
const storeFunctions = ["pgstream.make_segment_table(text, bigint)", "pgstream.drop_segment_table(bigint)"]

type Migrations = Readonly<Record<string, Effect.Effect<unknown, unknown, SqlClient.SqlClient>>>

/** As the Migrator records them, from `version` on. */
const pending = Effect.fnUntraced(function*(table: string, migrations: Migrations, version: number) {
  const lines: Array<string> = []
  for (const [key, migration] of Object.entries(migrations)) {
    const [id, ...words] = key.split("_")
    if (Number(id) <= version) continue
    const statements = yield* Effect.orDie(SqlRecorder.statementsOf(migration))
    lines.push(`-- ${table}: ${key}`, ...statements.map((statement) => `${statement};`))
    lines.push(`INSERT INTO ${table} (migration_id, name) VALUES (${Number(id)}, '${words.join("_")}');`)
  }
  if (lines.length === 0) return []
  return [
    `CREATE TABLE IF NOT EXISTS ${table} (migration_id integer primary key, created_at timestamp with time zone not null default now(), name text not null);`,
    ...lines
  ]
})

const triggers: ReadonlyArray<string> = Object.entries(eventTriggers).flatMap(([name, [event, fn]]) => [
  `DROP EVENT TRIGGER IF EXISTS ${name};`,
  `CREATE EVENT TRIGGER ${name} ON ${event} EXECUTE FUNCTION pgstream.${fn}();`,
  `ALTER EVENT TRIGGER ${name} ENABLE ALWAYS;`
])

const grants = (
  roles: ReadonlyArray<string>, migrations: ReadonlyArray<string>, functions: ReadonlyArray<string>
): ReadonlyArray<string> => {
  const to = roles.map(identifier).join(", ")
  return [
    `GRANT USAGE ON SCHEMA pgstream TO ${to};`,
    `GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA pgstream TO ${to};`,
    `REVOKE INSERT, UPDATE, DELETE ON ${migrations.join(", ")} FROM ${to};`,
    `GRANT USAGE ON ALL SEQUENCES IN SCHEMA pgstream TO ${to};`,
    ...functions.flatMap((fn) => [
      `ALTER FUNCTION ${fn} SECURITY DEFINER;`,
      `REVOKE EXECUTE ON FUNCTION ${fn} FROM PUBLIC;`,
      `GRANT EXECUTE ON FUNCTION ${fn} TO ${to};`
    ])
  ]
}

/** Whoever was in a transaction when the triggers were committed may still run a statement that they do not see. */
const waiting = `DO $wait$
DECLARE
  _old text[] := (SELECT array_agg(l.virtualxid) FROM pg_locks l JOIN pg_stat_activity a ON a.pid = l.pid
    WHERE l.locktype = 'virtualxid' AND l.granted AND a.datname = current_database() AND l.pid <> pg_backend_pid()
      AND coalesce(a.backend_type, 'client backend') = 'client backend');
  _prepared text[] := (SELECT array_agg(p.gid) FROM pg_prepared_xacts p WHERE p.database = current_database());
  _until timestamptz := clock_timestamp() + interval '${WAIT_S} s';
BEGIN
  WHILE EXISTS (SELECT FROM pg_locks l WHERE l.locktype = 'virtualxid' AND l.virtualxid = ANY(_old))
    OR EXISTS (SELECT FROM pg_prepared_xacts p WHERE p.gid = ANY(_prepared)) LOOP
    IF clock_timestamp() > _until THEN
      RAISE 'pgstream: transactions older than its triggers are still open (%, %): end them, and print this again', _old, _prepared;
    END IF;
    PERFORM pg_sleep(0.1);
  END LOOP;
END $wait$;`

/** One table a transaction; a table that stays in use ends the script before the publication is made. */
const identities = [
  "SET lock_timeout = '5s';",
  `SELECT format('SELECT pgstream.make_full(%s, true)', t.oid) FROM (${withoutIdentity.trim()}) t`,
  "\\gexec",
  "RESET lock_timeout;"
]

interface Access {
  readonly usage: boolean
  readonly all: boolean
}

/** What each of the roles may do with our tables and functions. */
const access = (sql: PgClient.PgClient, roles: ReadonlyArray<string>): Effect.Effect<Access, SqlError> =>
  Effect.map(
    sql<Access>`
      SELECT bool_and(has_schema_privilege(r.role, 'pgstream', 'USAGE')) AS usage,
        bool_and(NOT EXISTS (SELECT FROM pg_class c WHERE c.relnamespace = 'pgstream'::regnamespace AND (c.relkind = 'r' AND
            NOT (has_table_privilege(r.role, c.oid, 'SELECT') AND (starts_with(c.relname, 'migrations_') OR has_table_privilege(r.role, c.oid, 'INSERT')
              AND has_table_privilege(r.role, c.oid, 'UPDATE') AND has_table_privilege(r.role, c.oid, 'DELETE')))
            OR c.relkind = 'S' AND NOT has_sequence_privilege(r.role, c.oid, 'USAGE')))
          AND NOT EXISTS (SELECT FROM pg_proc p WHERE p.pronamespace = 'pgstream'::regnamespace AND p.proname IN ('make_full', 'give_back', 'make_segment_table', 'drop_segment_table')
            AND NOT (p.prosecdef AND has_function_privilege(r.role, p.oid, 'EXECUTE')))) AS all
        FROM unnest(${roles}::text[]) r(role)`,
    ([row]) => row!
  )

/** Those of the functions that exist. */
const thereOf = (sql: PgClient.PgClient, functions: ReadonlyArray<string>): Effect.Effect<ReadonlyArray<string>, SqlError> =>
  Effect.map(
    sql<{ readonly fn: string }>`
      SELECT f.fn FROM unnest(${functions}::text[]) f(fn) WHERE EXISTS (SELECT FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
        WHERE n.nspname = 'pgstream' AND starts_with(f.fn, 'pgstream.' || p.proname || '('))`,
    (rows) => rows.map((row) => row.fn)
  )

/** Empty: nothing is missing. */
export const statements = (
  parts: Parts,
  facts: Probe.Facts,
  options: PrintOptions,
  roles: ReadonlyArray<string>
): Effect.Effect<ReadonlyArray<string>, SqlError> =>
  Effect.gen(function*() {
    const { source, storeInSource } = parts
    const tables = ["pgstream.migrations_source", ...storeInSource ? ["pgstream.migrations_store"] : []]
    const functions = [...ownersFunctions, ...storeInSource ? storeFunctions : []]
    const may = facts.schema ? yield* access(source, roles) : { usage: true, all: false }
    if (!may.usage) {
      return ["-- When this is done, print it again: what else is missing is not shown to this role yet.", "BEGIN;", ...grants(roles, tables, yield* thereOf(source, functions)), "COMMIT;"]
    }
    const [fromSource, fromStore] = facts.schema
      ? [yield* MigrationsSource.currentVersion(source), yield* MigrationsStore.currentVersion(source)]
      : [0, 0]
    const migrations = [
      ...yield* pending("pgstream.migrations_source", MigrationsSource.sourceMigrations, fromSource),
      ...storeInSource ? yield* pending("pgstream.migrations_store", MigrationsStore.storeMigrations, fromStore) : []
    ]
    const triggersThere = facts.schema && (yield* MigrationsSource.triggersInstalled(source))
    const made = [...facts.schema ? [] : ["CREATE SCHEMA pgstream;"], ...migrations, ...triggersThere ? [] : triggers]
    const uncovered = yield* source.unsafe(`SELECT 1 FROM (${withoutIdentity.trim()}) t LIMIT 1`)
    const out: Array<string> = []
    if (made.length > 0 || !may.all) out.push("BEGIN;", ...made, ...grants(roles, tables, functions), "COMMIT;", "")
    if (!triggersThere) out.push(waiting, "")
    if (!triggersThere || uncovered.length > 0) out.push(...identities, "")
    if (options.plugin !== "wal2json" && facts.publication === "none") out.push(`${Publication.forAll(facts.serverVersion)};`)
    return out
  })
