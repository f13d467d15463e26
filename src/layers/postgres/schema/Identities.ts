/**
 * Replica identities that the triggers could not set, and those that may go back: table by table, each in a
 * transaction of its own. The first attempts take only a lock that is free; later ones wait a moment, because a busy
 * table is never free at an instant, and others queue behind whoever waits.
 */
import type { PgClient } from "@effect/sql-pg"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type { SqlError } from "effect/sql/SqlError"
import type { IdentityReport, TableName, Uncovered } from "../../../services/DdlTracker.ts"
import { readCommitted } from "./CatalogLook.ts"
import { arrayText, userTables } from "./CatalogLookSql.ts"

/** Others may queue behind our request for a lock this long. */
const LOCK_WAIT = "20ms"
const BETWEEN_ROUNDS = Duration.millis(100)
/** Rounds in which only a free lock is taken. */
const FREE_ROUNDS = 3

/** Rounds over the tables that are left: `init` and `destroy` try for about ten seconds, a scan comes again. */
export const rounds = { atOnce: 60, scan: 5 } as const

/** A relkind r that is published and has no usable identity. By the catalog, without a lock of the table. */
export const withoutIdentity = `
  SELECT c.oid::text AS oid, n.nspname AS schema, c.relname AS name
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
   WHERE ${userTables} AND c.relkind = 'r' AND c.relpersistence = 'p' AND c.relreplident <> 'f' AND NOT EXISTS (
     SELECT FROM pg_index i
      WHERE i.indrelid = c.oid AND i.indisvalid AND i.indisunique AND i.indimmediate AND i.indpred IS NULL
        AND CASE c.relreplident WHEN 'd' THEN i.indisprimary WHEN 'i' THEN i.indisreplident ELSE false END)
   ORDER BY c.oid`

/** On record, and still FULL. `usable`: only those whose key is there again. */
const onRecord = (usable: boolean) => `
  SELECT c.oid::text AS oid, n.nspname AS schema, c.relname AS name
    FROM pgstream.identities r JOIN pg_class c ON c.oid = r.oid JOIN pg_namespace n ON n.oid = c.relnamespace
   WHERE c.relreplident = 'f'${usable
  ? ` AND r.was = 'd' AND EXISTS (
     SELECT FROM pg_index i WHERE i.indrelid = c.oid AND i.indisprimary AND i.indimmediate AND i.indisvalid)`
  : ""}
   ORDER BY c.oid`

interface RawName {
  readonly oid: string
  readonly schema: string
  readonly name: string
}

const names = (sql: PgClient.PgClient, query: string) =>
  Effect.map(
    sql.unsafe<RawName>(query),
    (rows): ReadonlyArray<TableName> =>
      rows.map((row) => ({ oid: Number(row.oid), schema: row.schema, name: row.name }))
  )

type Outcome = "changed" | "nothing" | "locked" | "notOwner"

/** One call of a function of `migrations/source/identities.ts`. A table that went meanwhile is nothing to do. */
const attempt = (sql: PgClient.PgClient, call: (wait: boolean) => string, wait: boolean) =>
  Effect.andThen(
    readCommitted(sql, LOCK_WAIT),
    sql.unsafe<{ readonly done: boolean }>(`SELECT ${call(wait)} AS done`)
  ).pipe(
    sql.withTransaction,
    Effect.map(([row]): Outcome => row?.done === true ? "changed" : "nothing"),
    Effect.catchTag("SqlError", (error): Effect.Effect<Outcome, SqlError> => {
      const seen = error.reason._tag
      if (seen === "LockTimeoutError" || seen === "DeadlockError") return Effect.succeed("locked")
      if (seen === "AuthorizationError") return Effect.succeed("notOwner")
      if (seen === "SqlSyntaxError") return Effect.succeed("nothing")
      return Effect.fail(error)
    })
  )

const each = Effect.fnUntraced(function*(
  sql: PgClient.PgClient,
  tables: ReadonlyArray<TableName>,
  call: (table: TableName, wait: boolean) => string,
  attempts: number
) {
  const changed: Array<TableName> = []
  const failed: Array<IdentityReport["failed"][number]> = []
  let left = tables
  for (let round = 0; left.length > 0; round++) {
    const locked: Array<TableName> = []
    for (const table of left) {
      const outcome = yield* attempt(sql, (wait) => call(table, wait), round >= FREE_ROUNDS)
      if (outcome === "changed") changed.push(table)
      if (outcome === "notOwner") failed.push({ ...table, reason: "notOwner" })
      if (outcome === "locked") locked.push(table)
    }
    left = locked
    if (left.length === 0 || round + 1 >= attempts) break
    yield* Effect.sleep(BETWEEN_ROUNDS)
  }
  failed.push(...left.map((table) => ({ ...table, reason: "locked" as const })))
  return { changed, failed } satisfies IdentityReport
})

/** `init --keep-identities`: the triggers and the scan leave identities alone. */
export const setsIdentities = (sql: PgClient.PgClient) =>
  Effect.map(
    sql<{ readonly sets: boolean }>`SELECT pgstream.sets_identities() AS sets`,
    ([row]) => row?.sets !== false
  )

export const ensure = Effect.fnUntraced(function*(sql: PgClient.PgClient, attempts: number) {
  if (!(yield* setsIdentities(sql))) return { changed: [], failed: [] } satisfies IdentityReport
  const tables = yield* names(sql, withoutIdentity)
  return yield* each(sql, tables, (table, wait) => `pgstream.make_full(${table.oid}, ${wait})`, attempts)
})

/** `always`: also where what the table had before cannot be used. */
export const giveBack = Effect.fnUntraced(function*(sql: PgClient.PgClient, always: boolean, attempts: number) {
  const tables = yield* names(sql, onRecord(!always))
  return yield* each(sql, tables, (table, wait) => `pgstream.give_back(${table.oid}, ${wait}, ${always})`, attempts)
})

export const uncovered = Effect.fnUntraced(function*(sql: PgClient.PgClient) {
  const tables = yield* names(sql, withoutIdentity)
  if (tables.length === 0) return []
  const since = yield* sql<{ readonly oid: string; readonly at: Date }>`
    SELECT e->>'oid' AS oid, max(d.at) AS at FROM pgstream.ddl d CROSS JOIN LATERAL jsonb_array_elements(d.tables) e
     WHERE e->>'oid' = ANY(${arrayText(tables.map((table) => table.oid))}::text::text[]) GROUP BY 1`
  const times = new Map(since.map((row) => [Number(row.oid), row.at]))
  return tables.map((table): Uncovered => ({ ...table, since: times.get(table.oid) }))
})
