import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import * as DdlTrackerLayer from "../../src/layers/postgres/schema/DdlTracker.ts"
import * as MigrationsSource from "../../src/layers/postgres/schema/MigrationsSource.ts"
import * as Sql from "../../src/layers/postgres/Sql.ts"
import { DdlTracker } from "../../src/services/DdlTracker.ts"
import { startServer } from "../support/PostgresServer.ts"
import { eventually, testDatabase } from "../support/database.ts"
import { OpenSession } from "../support/sessions.ts"

const source = (url: string) => Layer.effect(Sql.SourceSql, Sql.make(Redacted.make(url), "test", 3))

const withTracker = <A, E>(
  url: string,
  f: (tracker: DdlTracker["Service"], sql: Sql.SourceSql["Service"]) => Effect.Effect<A, E>,
  layer = DdlTrackerLayer.layer
) =>
  Effect.gen(function*() {
    return yield* f(yield* DdlTracker, yield* Sql.SourceSql)
  }).pipe(Effect.provide(Layer.provideMerge(layer, source(url))))

const install = (sql: Sql.SourceSql["Service"], triggers = true) =>
  Effect.andThen(MigrationsSource.run(sql), triggers ? MigrationsSource.installTriggers(sql) : Effect.void)

describe("a look at the catalog", () => {
  const before = testDatabase("look_before")
  const blind = testDatabase("look_blind")
  const unsure = testDatabase("look_unsure")
  const alone = testDatabase("look_alone")

  it.live("writes the tables made before, with ids, once", () =>
    withTracker(before.url, (tracker, sql) =>
      Effect.gen(function*() {
        before.psql(`CREATE TABLE a(id int PRIMARY KEY, v text DEFAULT 'x'); CREATE SCHEMA s; CREATE TABLE s.b(v int); CREATE TEMP TABLE c(i int)`)
        yield* install(sql)
        assert.deepStrictEqual(yield* tracker.look(), { looked: true, rows: 2 })
        assert.strictEqual(
          before.psql(`SELECT d.tag, d.skip, e->>'schema', e->>'name', d.new_ids ? (e->>'oid'), d.xid LIKE '%:%'
            FROM pgstream.ddl d, jsonb_array_elements(d.tables) e ORDER BY 3`).trim(),
          "LOOK|f|public|a|t|t\nLOOK|f|s|b|t|t")
        assert.strictEqual(before.psql(`SELECT skip, jsonb_path_query_array(schemas, '$[*][1 to 2]') FROM pgstream.ddl WHERE schemas IS NOT NULL`).trim(),
          `t|["public", "LOOK", "s", "LOOK"]`)
        assert.deepStrictEqual(yield* tracker.look(), { looked: true, rows: 0 })
        before.psql(`CREATE TABLE d(id int PRIMARY KEY); ALTER TABLE a ADD COLUMN w int`)
        before.psql(`CREATE INDEX ON a(v); ANALYZE; ALTER SCHEMA s RENAME TO t; DROP TABLE d`)
        assert.deepStrictEqual(yield* tracker.look(), { looked: true, rows: 0 })
      })))

  it.live("finds what happened without triggers, and says which of it golden would have logged", () =>
    withTracker(blind.url, (tracker, sql) =>
      Effect.gen(function*() {
        blind.psql(`CREATE TYPE mood AS ENUM ('a'); CREATE TABLE a(id int PRIMARY KEY, m mood); CREATE TABLE gone(id int PRIMARY KEY); CREATE SCHEMA old; CREATE TABLE old.x(i int)`)
        yield* install(sql, false)
        yield* tracker.look()
        const rows = (sqlText: string) =>
          Effect.gen(function*() {
            const last = blind.psql(`SELECT max(id) FROM pgstream.ddl`).trim()
            blind.psql(sqlText)
            yield* tracker.look()
            return blind.psql(`SELECT skip, coalesce((SELECT string_agg(e->>'name', ',' ORDER BY 1) FROM jsonb_array_elements(tables) e), ''),
              coalesce(jsonb_path_query_array(schemas, '$[*][1 to 2]')::text, ''), coalesce(jsonb_path_query_array(dropped, '$[*][0,2,3]')::text, '')
              FROM pgstream.ddl WHERE id > ${last} ORDER BY id`).trim()
          })
        assert.strictEqual(yield* rows(`ALTER TABLE a ADD COLUMN n int`), "f|a||")
        assert.strictEqual(yield* rows(`CREATE UNIQUE INDEX ON a(n)`), "t|a||")
        assert.strictEqual(yield* rows(`COMMENT ON COLUMN a.n IS 'n'`), "t|a||")
        assert.strictEqual(yield* rows(`ALTER TYPE mood RENAME TO temper`), "t|a||")
        assert.strictEqual(yield* rows(`CREATE SCHEMA new; CREATE TABLE new.y(i int)`), `f||["new", "CREATE SCHEMA"]|\nf|y||`)
        assert.strictEqual(yield* rows(`ALTER SCHEMA new RENAME TO newer`), `t||["newer", "ALTER SCHEMA"]|`)
        assert.strictEqual(yield* rows(`ALTER TABLE newer.y SET SCHEMA public`), "f|y||")
        assert.strictEqual(yield* rows(`DROP SCHEMA old CASCADE; DROP TABLE gone`),
          `f|||["table", "public", "gone", "table", "old", "x", "schema", null, "old"]`)
        assert.strictEqual(yield* rows(`SELECT 1`), "")
      })))

  it.live("takes no transaction id on an idle database, however often it looks", () =>
    Effect.acquireUseRelease(
      Effect.promise(() => startServer({ conf: ["autovacuum = off"] })),
      (server) =>
        withTracker(server.url(), (tracker, sql) =>
          Effect.gen(function*() {
            server.psql(`CREATE TABLE a(id int PRIMARY KEY)`)
            server.psql(`CREATE TABLE b(v int)`)
            yield* install(sql)
            const round = Effect.all([tracker.look(), tracker.ensureIdentities, tracker.uncovered])
            yield* round
            yield* tracker.look()
            const next = () => server.psql(`SELECT pg_snapshot_xmax(pg_current_snapshot())`)
            const before = next()
            for (let n = 0; n < 5; n++) assert.deepStrictEqual((yield* round)[0], { looked: true, rows: 0 })
            assert.strictEqual(next(), before)
          })),
      (server) => Effect.promise(() => server.stop())
    ))

  it.live("answers a shape that is unsure or from a snapshot, even when nothing differs", () =>
    withTracker(unsure.url, (tracker, sql) =>
      Effect.gen(function*() {
        yield* install(sql)
        unsure.psql(`CREATE TABLE a(id int PRIMARY KEY)`)
        yield* tracker.look()
        unsure.psql(`BEGIN ISOLATION LEVEL REPEATABLE READ; ALTER TABLE a ADD COLUMN n int; COMMIT`)
        assert.deepStrictEqual(yield* tracker.look(), { looked: true, rows: 1 })
        assert.strictEqual(unsure.psql(`SELECT tag, isolation, skip FROM pgstream.ddl ORDER BY id DESC LIMIT 1`).trim(), "LOOK|read committed|t")
        assert.deepStrictEqual(yield* tracker.look(), { looked: true, rows: 0 })
        unsure.psql(`INSERT INTO pgstream.ddl(tag, tables) SELECT 'ALTER TABLE', jsonb_build_array(jsonb_build_object('oid', 'a'::regclass::oid::text, 'unsure', true))`)
        assert.deepStrictEqual(yield* tracker.look(), { looked: true, rows: 1 })
        assert.strictEqual(unsure.psql(`SELECT tag, skip FROM pgstream.ddl ORDER BY id DESC LIMIT 1`).trim(), "LOOK|t")
      })))

  it.live("is one session's at a time, and may be at some tables only", () =>
    withTracker(alone.url, (tracker, sql) =>
      Effect.gen(function*() {
        yield* install(sql, false)
        alone.psql(`CREATE TABLE a(i int); CREATE TABLE b(i int)`)
        const oid = Number(alone.psql(`SELECT 'a'::regclass::oid`))
        const other = new OpenSession(alone.name)
        yield* Effect.promise(() => other.run("BEGIN; SELECT pg_advisory_xact_lock(hashtextextended('pgstream.look', 0));"))
        assert.deepStrictEqual(yield* tracker.look(), { looked: false, rows: 0 })
        yield* Effect.promise(() => other.run("COMMIT;"))
        yield* Effect.promise(() => other.end())
        assert.deepStrictEqual(yield* tracker.look([oid]), { looked: true, rows: 1 })
        assert.strictEqual(alone.psql(`SELECT string_agg(e->>'name', ' ') FROM pgstream.ddl d, jsonb_array_elements(d.tables) e`).trim(), "a")
        alone.psql(`DROP TABLE a; DROP TABLE b`)
        assert.deepStrictEqual(yield* tracker.look([oid]), { looked: true, rows: 1 })
        assert.strictEqual(alone.psql(`SELECT dropped->0->>3 FROM pgstream.ddl ORDER BY id DESC LIMIT 1`).trim(), "a")
      })))
})

describe("the scan", () => {
  const db = testDatabase("scan")
  const again = testDatabase("scan_again")

  it.live("says again how every table is, with its id, when the stream could not read a row", () =>
    withTracker(again.url, (tracker, sql) =>
      Effect.gen(function*() {
        yield* install(sql)
        again.psql(`CREATE TABLE a(id int PRIMARY KEY)`)
        again.psql(`ALTER TABLE a ADD COLUMN n int`)
        yield* tracker.look()
        const last = Number(again.psql(`SELECT max(id) FROM pgstream.ddl`))
        assert.deepStrictEqual(yield* tracker.look(), { looked: true, rows: 0 })
        tracker.request([])
        const said = () => again.psql(`SELECT d.tag, e->>'name', jsonb_array_length(e->'columns'),
            d.new_ids->>(e->>'oid') = (SELECT f.new_ids->>(e->>'oid') FROM pgstream.ddl f WHERE f.tag = 'CREATE TABLE')
          FROM pgstream.ddl d, jsonb_array_elements(d.tables) e WHERE d.id > ${last}`).trim()
        yield* Effect.promise(() => eventually("the row is there", () => said() !== ""))
        assert.strictEqual(said(), "LOOK|a|2|t")
        assert.deepStrictEqual(yield* tracker.look(), { looked: true, rows: 0 })
        assert.strictEqual(said(), "LOOK|a|2|t")
      }), DdlTrackerLayer.layerScanning({ intervalMs: 60_000 })))

  it.live("covers tables made before, and gives FULL back when a key has come", () =>
    withTracker(db.url, (tracker, sql) =>
      Effect.gen(function*() {
        db.psql(`CREATE TABLE keyless(v int)`)
        yield* install(sql)
        const identity = () => db.psql(`SELECT relreplident FROM pg_class WHERE relname = 'keyless'`).trim()
        yield* Effect.promise(() => eventually("keyless is FULL", () => identity() === "f"))
        assert.deepStrictEqual(yield* tracker.uncovered, [])
        db.psql(`ALTER TABLE keyless ADD PRIMARY KEY (v)`)
        tracker.request([1])
        yield* Effect.promise(() => eventually("FULL is given back", () => identity() === "d"))
        assert.strictEqual(db.psql(`SELECT count(*) FROM pgstream.identities`).trim(), "0")
      }), DdlTrackerLayer.layerScanning({ intervalMs: 50 })))
})
