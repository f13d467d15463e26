/**
 * What pgoutput hands out (DESIGN.md "Publication and replica identity").
 *
 * - `all`: one publication FOR ALL TABLES, never changed afterwards. Needs a superuser, and every table has to have a
 *   usable replica identity, or UPDATE and DELETE of the user fail.
 * - `listed`: `pgstream` names the tables whose identity is usable, `pgstream_inserts` the others, for insert and
 *   truncate only, so that no statement of the user fails. Tables that this role does not own are left out.
 */
import type { PgClient } from "@effect/sql-pg"
import * as Effect from "effect/Effect"
import type { SqlError } from "effect/sql/SqlError"
import { PUBLICATION } from "./Probe.ts"
import { serverFields } from "./SetupErrors.ts"

export const INSERTS = `${PUBLICATION}_inserts`

/** Postgres 18 hands out stored generated columns, and then a FULL identity of their table works (FACTS.md). */
const generated = (serverVersion: number): string =>
  serverVersion >= 180_000 ? "publish_generated_columns = stored" : ""

export const forAll = (serverVersion: number): string => {
  const options = generated(serverVersion)
  return `CREATE PUBLICATION ${PUBLICATION} FOR ALL TABLES${options === "" ? "" : ` WITH (${options})`}`
}

export const createForAll = (
  sql: PgClient.PgClient,
  serverVersion: number
): Effect.Effect<void, SqlError> => {
  return Effect.asVoid(sql.unsafe(forAll(serverVersion)))
}

export interface Listed {
  /** Tables of our own schema are always in; they do not count. */
  readonly added: number
  /** `schema.table` of tables that are published for insert and truncate only. */
  readonly insertsOnly: ReadonlyArray<string>
  /** `schema.table` of tables that this role does not own: not published. */
  readonly left: ReadonlyArray<string>
  /** `schema.table` of tables that were in use: the next call tries again. */
  readonly later: ReadonlyArray<string>
}

interface Candidate {
  readonly name: string
  readonly shown: string
  readonly usable: boolean
  readonly owned: boolean
  readonly place: "" | "all" | "inserts"
}

/**
 * Permanent tables with the publication that they are in. `usable` as UPDATE will find it: a partition is published
 * by its own name, and a virtual generated column in a FULL identity (18) is no help.
 */
const candidates = (sql: PgClient.PgClient, serverVersion: number) => {
  const virtual =
    serverVersion >= 180_000
      ? "AND NOT (c.relreplident = 'f' AND EXISTS (SELECT FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attgenerated = 'v' AND NOT a.attisdropped))"
      : ""
  return sql.unsafe<Candidate>(`
    SELECT format('%I.%I', n.nspname, c.relname) AS name, n.nspname || '.' || c.relname AS shown,
      (c.relreplident = 'f' OR pg_get_replica_identity_index(c.oid) IS NOT NULL) ${virtual} AS usable,
      pg_has_role(c.relowner, 'USAGE') AS owned,
      coalesce((SELECT CASE WHEN bool_or(p.pubname = '${PUBLICATION}') THEN 'all' ELSE 'inserts' END
        FROM pg_publication_rel r JOIN pg_publication p ON p.oid = r.prpubid
        WHERE r.prrelid = c.oid AND p.pubname IN ('${PUBLICATION}', '${INSERTS}') HAVING count(*) > 0), '') AS place
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE c.relkind = 'r' AND c.relpersistence = 'p' AND n.nspname NOT IN ('pg_catalog', 'information_schema') AND n.nspname !~ '^pg_toast'
      AND c.oid >= 16384
    ORDER BY 1`)
}

/** Each ADD takes a SHARE UPDATE EXCLUSIVE lock of its table: one statement a table, so that nobody waits for two. */
const add = (sql: PgClient.PgClient, publication: string, table: string) =>
  sql.withTransaction(
    Effect.gen(function*() {
      yield* sql`SET LOCAL lock_timeout = '500ms'`
      yield* sql.unsafe(`ALTER PUBLICATION ${publication} ADD TABLE ONLY ${table}`)
    })
  )

/** False: it is in use. One that went meanwhile is nothing to do. */
const move = (sql: PgClient.PgClient, table: Candidate): Effect.Effect<boolean, SqlError> => {
  const target = table.usable ? PUBLICATION : INSERTS
  if (table.place === (table.usable ? "all" : "inserts")) return Effect.succeed(true)
  return sql
    .withTransaction(
      Effect.gen(function*() {
        yield* sql`SET LOCAL lock_timeout = '500ms'`
        if (table.place !== "")
          yield* sql.unsafe(
            `ALTER PUBLICATION ${table.place === "all" ? PUBLICATION : INSERTS} DROP TABLE ONLY ${table.name}`
          )
        yield* add(sql, target, table.name)
        return true
      })
    )
    .pipe(
      Effect.catchTag("SqlError", (error) => {
        if (error.reason._tag === "LockTimeoutError" || error.reason._tag === "DeadlockError")
          return Effect.succeed(false)
        return serverFields(error).code === "42P01" ? Effect.succeed(true) : Effect.fail(error)
      })
    )
}

/** Adds what is not listed yet, and moves a table whose identity has become usable. Changes nothing when all is right. */
export const refreshListed = (
  sql: PgClient.PgClient,
  serverVersion: number
): Effect.Effect<Listed, SqlError> =>
  Effect.gen(function*() {
    const tables = yield* candidates(sql, serverVersion)
    const mine = tables.filter((table) => table.owned)
    const done = yield* Effect.forEach(mine, (table) => move(sql, table))
    return {
      later: mine.filter((_, n) => done[n] === false).map((table) => table.shown),
      added: mine.filter((table) => !table.shown.startsWith("pgstream.")).length,
      insertsOnly: mine.filter((table) => !table.usable).map((table) => table.shown),
      left: tables.filter((table) => !table.owned).map((table) => table.shown)
    }
  })

/** What the listed publications leave out; changes nothing. */
export const listedState = (
  sql: PgClient.PgClient,
  serverVersion: number
): Effect.Effect<Omit<Listed, "added" | "later">, SqlError> =>
  Effect.map(candidates(sql, serverVersion), (tables) => ({
    insertsOnly: tables.filter((table) => table.place === "inserts").map((table) => table.shown),
    left: tables.filter((table) => table.place === "").map((table) => table.shown)
  }))

/** Makes both publications, with the tables that there are. */
export const createListed = (
  sql: PgClient.PgClient,
  serverVersion: number
): Effect.Effect<Listed, SqlError> =>
  Effect.gen(function*() {
    const options = generated(serverVersion)
    yield* sql.unsafe(
      `CREATE PUBLICATION ${PUBLICATION} WITH (publish = 'insert, update, delete, truncate'${options === "" ? "" : `, ${options}`})`
    )
    yield* sql.unsafe(
      `CREATE PUBLICATION ${INSERTS} WITH (publish = 'insert, truncate'${options === "" ? "" : `, ${options}`})`
    )
    return yield* refreshListed(sql, serverVersion)
  })

export const drop = (sql: PgClient.PgClient): Effect.Effect<void, SqlError> =>
  Effect.forEach([PUBLICATION, INSERTS], (name) => sql.unsafe(`DROP PUBLICATION IF EXISTS ${name}`), {
    discard: true
  })

/** `schema.table` of tables that no identity helps: keyless, with a virtual generated column (18). */
export const withoutHelp = (
  sql: PgClient.PgClient,
  serverVersion: number
): Effect.Effect<ReadonlyArray<string>, SqlError> =>
  serverVersion < 180_000
    ? Effect.succeed([])
    : Effect.map(
        sql<{ readonly name: string }>`
        SELECT n.nspname || '.' || c.relname AS name FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
        WHERE c.relkind = 'r' AND c.relpersistence = 'p' AND c.oid >= 16384 AND pg_get_replica_identity_index(c.oid) IS NULL
          AND EXISTS (SELECT FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attgenerated = 'v' AND NOT a.attisdropped)
        ORDER BY 1`,
        (rows) => rows.map((row) => row.name)
      )
