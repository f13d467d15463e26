/**
 * DDL from eight sessions at once, on a fresh schema and on one that was there before `init`, while the service scans:
 * every transaction commits, within a lock_timeout of one second, and every statement has its row.
 *
 * `PGSTREAM_DDL_TRANSACTIONS`: transactions a session and kind; 6 in CI, 600 by hand.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import * as DdlTrackerLayer from "../../src/layers/postgres/schema/DdlTracker.ts"
import * as MigrationsSource from "../../src/layers/postgres/schema/MigrationsSource.ts"
import * as Sql from "../../src/layers/postgres/Sql.ts"
import { DdlTracker } from "../../src/services/DdlTracker.ts"
import { testDatabase } from "../support/database.ts"
import { startSession } from "../support/sessions.ts"

const SESSIONS = 8
const transactions = Number(process.env["PGSTREAM_DDL_TRANSACTIONS"] ?? 6)

const range = (n: number): ReadonlyArray<number> => Array.from({ length: n }, (_, i) => i)

const kinds = [
  { name: "READ COMMITTED", begin: "BEGIN ISOLATION LEVEL READ COMMITTED", commit: () => "COMMIT" },
  { name: "REPEATABLE READ", begin: "BEGIN ISOLATION LEVEL REPEATABLE READ", commit: () => "COMMIT" },
  { name: "SERIALIZABLE", begin: "BEGIN ISOLATION LEVEL SERIALIZABLE", commit: () => "COMMIT" },
  {
    name: "two-phase", begin: "BEGIN",
    commit: (id: string) => `PREPARE TRANSACTION '${id}'; COMMIT PREPARED '${id}'`
  }
] as const

/** Statements of one transaction that a user may run, each on objects of the session's own, in a shared schema. */
const STATEMENTS = 9
const transaction = (schema: string, id: string): string => `
  CREATE TABLE ${schema}.a_${id}(i int PRIMARY KEY, v text);
  CREATE TABLE ${schema}.b_${id}(i int, v text);
  INSERT INTO ${schema}.b_${id} VALUES (1, 'v');
  UPDATE ${schema}.b_${id} SET v = 'w';
  ALTER TABLE ${schema}.a_${id} ADD COLUMN w numeric(10, 2) DEFAULT 1;
  ALTER TABLE ${schema}.a_${id} DROP CONSTRAINT a_${id}_pkey;
  UPDATE ${schema}.a_${id} SET v = 'w';
  ALTER TABLE ${schema}.b_${id} RENAME TO c_${id};
  CREATE SCHEMA s_${id};
  CREATE TABLE s_${id}.d(i int);
  DROP TABLE ${schema}.c_${id};
  DROP SCHEMA s_${id} CASCADE;`

/** On what was there before `init`: keyed and keyless tables, and schemas. */
const OLD_STATEMENTS = 4
const oldTransaction = (id: string): string => `
  ALTER TABLE old.k_${id} ADD COLUMN w int;
  ALTER TABLE old.n_${id} ADD COLUMN w int;
  DROP TABLE old.k_${id};
  DROP SCHEMA o_${id} CASCADE;`

const inSessions = async (database: string, sqlOf: (session: number, n: number, kind: typeof kinds[number]) => string) => {
  const runs = range(SESSIONS).map((session) =>
    startSession(database, `SET client_min_messages = warning;\n` +
      kinds.flatMap((kind) => range(transactions).map((n) => sqlOf(session, n, kind))).join("\n")))
  return Promise.all(runs)
}

const nameOf = (session: number, n: number, kind: typeof kinds[number]): string =>
  `${session}_${n}_${kinds.indexOf(kind)}`

/** Everything done, while the service scans every 50 ms. */
const whileScanning = (url: string, run: Effect.Effect<void>) =>
  Effect.gen(function*() {
    const tracker = yield* DdlTracker
    yield* run
    yield* tracker.look()
    yield* tracker.ensureIdentities
    assert.deepStrictEqual(yield* tracker.uncovered, [])
    yield* tracker.look()
    assert.deepStrictEqual(yield* tracker.look(), { looked: true, rows: 0 })
  }).pipe(Effect.provide(DdlTrackerLayer.layerScanning({ intervalMs: 50 }).pipe(
    Layer.provide(Layer.effect(Sql.SourceSql, Sql.make(Redacted.make(url), "test", 3))))))

const install = (url: string) =>
  Effect.gen(function*() {
    const sql = yield* Sql.make(Redacted.make(url), "test", 1)
    yield* MigrationsSource.run(sql)
    yield* MigrationsSource.installTriggers(sql)
    yield* sql`CREATE PUBLICATION pgstream FOR ALL TABLES`
  }).pipe(Effect.scoped)

describe("DDL from eight sessions at once", () => {
  const fresh = testDatabase("ddl_fresh")
  const before = testDatabase("ddl_before")

  it.live("on a fresh schema: all commit, each statement has one row, each table an identity", () =>
    Effect.gen(function*() {
      yield* install(fresh.url)
      fresh.psql("CREATE SCHEMA app")
      const last = fresh.psql("SELECT max(id) FROM pgstream.ddl").trim()
      yield* whileScanning(fresh.url, Effect.promise(async () => {
        const ends = await inSessions(fresh.name, (session, n, kind) => {
          const id = nameOf(session, n, kind)
          return `${kind.begin};${transaction("app", id)}\n${kind.commit(`ddl_${id}`)};`
        })
        for (const end of ends) assert.deepStrictEqual(end, { ok: true, out: "", messages: "" })
      }))
      const all = SESSIONS * transactions * kinds.length
      assert.strictEqual(
        fresh.psql(`SELECT count(*) FROM pgstream.ddl WHERE id > ${last} AND tag NOT IN ('LOOK', 'IDENTITY')`).trim(), String(all * STATEMENTS))
      // A look answers for shapes of a snapshot; it never makes an entry for what a trigger has noted.
      assert.strictEqual(fresh.psql(`SELECT count(*) FROM pgstream.ddl WHERE id > ${last} AND tag = 'LOOK' AND NOT skip`).trim(), "0")
      assert.strictEqual(fresh.psql(`SELECT count(DISTINCT entry_id) = count(*) FROM pgstream.ddl`).trim(), "t")
      assert.strictEqual(fresh.psql(`SELECT count(*), bool_and(relreplident = 'f') FROM pg_class WHERE relnamespace = 'app'::regnamespace AND relkind = 'r'`).trim(), `${all}|t`)
    }), 600_000)

  it.live("on tables and schemas made before init: all commit, each statement has one row", () =>
    Effect.gen(function*() {
      const ids = range(SESSIONS).flatMap((session) => range(transactions).flatMap((n) => kinds.map((kind) => nameOf(session, n, kind))))
      before.psql(`CREATE SCHEMA old;\n` + ids.map((id) =>
        `CREATE TABLE old.k_${id}(i int PRIMARY KEY); CREATE TABLE old.n_${id}(i int); CREATE SCHEMA o_${id}; CREATE TABLE o_${id}.t(i int);`).join("\n"))
      yield* install(before.url)
      yield* whileScanning(before.url, Effect.promise(async () => {
        const ends = await inSessions(before.name, (session, n, kind) => {
          const id = nameOf(session, n, kind)
          return `${kind.begin};${oldTransaction(id)}\n${kind.commit(`old_${id}`)};`
        })
        for (const end of ends) assert.deepStrictEqual(end, { ok: true, out: "", messages: "" })
      }))
      const all = SESSIONS * transactions * kinds.length
      assert.strictEqual(before.psql(`SELECT count(*) FROM pgstream.ddl WHERE tag NOT IN ('LOOK', 'IDENTITY')`).trim(), String(all * OLD_STATEMENTS))
      assert.strictEqual(before.psql(`SELECT count(*), bool_and(relreplident = 'f') FROM pg_class WHERE relnamespace = 'old'::regnamespace AND relkind = 'r'`).trim(), `${all}|t`)
      assert.strictEqual(before.psql(`SELECT count(*) FROM pgstream.identities`).trim(), String(all))
    }), 600_000)
})
