import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import * as DdlTrackerLayer from "../../src/layers/postgres/schema/DdlTracker.ts"
import * as MigrationsSource from "../../src/layers/postgres/schema/MigrationsSource.ts"
import * as Sql from "../../src/layers/postgres/Sql.ts"
import { DdlTracker } from "../../src/services/DdlTracker.ts"
import { eventually, type TestDatabase, testDatabase } from "../support/database.ts"
import { OpenSession, session } from "../support/sessions.ts"

const withTracker = <A, E>(url: string, f: (tracker: DdlTracker["Service"], sql: Sql.SourceSql["Service"]) => Effect.Effect<A, E>) =>
  Effect.gen(function*() {
    return yield* f(yield* DdlTracker, yield* Sql.SourceSql)
  }).pipe(Effect.provide(Layer.provideMerge(
    DdlTrackerLayer.layer, Layer.effect(Sql.SourceSql, Sql.make(Redacted.make(url), "test", 3)))))

const install = (sql: Sql.SourceSql["Service"], triggers = true) =>
  Effect.andThen(MigrationsSource.run(sql), triggers ? MigrationsSource.installTriggers(sql) : Effect.void)

/** `name identity` of the tables in public, by name. */
const identities = (db: TestDatabase) =>
  db.psql(`SELECT string_agg(relname::text || ' ' || relreplident::text, ', ' ORDER BY relname) FROM pg_class
    WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace`).trim()

const records = (db: TestDatabase) => db.psql(`SELECT string_agg(name || ' ' || was, ', ' ORDER BY name) FROM pgstream.identities`).trim()

const tables = `
  CREATE TABLE keyed(a int PRIMARY KEY);
  CREATE TABLE keyless(a int);
  CREATE TABLE deferred(a int PRIMARY KEY DEFERRABLE);
  CREATE TABLE nothing(a int PRIMARY KEY); ALTER TABLE nothing REPLICA IDENTITY NOTHING;
  CREATE TABLE whole(a int); ALTER TABLE whole REPLICA IDENTITY FULL;
  CREATE TABLE indexed(a int NOT NULL); CREATE UNIQUE INDEX i ON indexed(a); ALTER TABLE indexed REPLICA IDENTITY USING INDEX i; DROP INDEX i;
  CREATE UNLOGGED TABLE unlogged(a int);`

describe("identities", () => {
  const before = testDatabase("identities_before")
  const back = testDatabase("identities_back")
  const busy = testDatabase("identities_busy")
  const foreign = testDatabase("identities_foreign")
  const kept = testDatabase("identities_kept")
  const blind = testDatabase("identities_blind")

  it.live("of tables made before become FULL where none is usable, and destroy gives all back", () =>
    withTracker(before.url, (tracker, sql) =>
      Effect.gen(function*() {
        before.psql(tables)
        yield* install(sql)
        const uncovered = yield* tracker.uncovered
        assert.deepStrictEqual(uncovered.map((table) => [table.schema, table.name, table.since]),
          ["keyless", "deferred", "nothing", "indexed"].map((name) => ["public", name, undefined]))
        const report = yield* tracker.ensureIdentities
        assert.deepStrictEqual([report.changed.map((table) => table.name), report.failed], [["keyless", "deferred", "nothing", "indexed"], []])
        assert.strictEqual(identities(before), "deferred f, indexed f, keyed d, keyless f, nothing f, unlogged d, whole f")
        assert.strictEqual(records(before), "deferred d, indexed i, keyless d, nothing n")
        assert.deepStrictEqual(yield* tracker.uncovered, [])
        // The row says whose FULL it is, and stands for no entry.
        assert.strictEqual(
          before.psql(`SELECT string_agg(DISTINCT tag || skip || isolation, ',') || string_agg(e->>'full_ours', '' ORDER BY d.id)
            FROM pgstream.ddl d, jsonb_array_elements(d.tables) e`).trim(), "IDENTITYtrueread committedddni")
        before.psql(`CREATE TABLE later(a int)`)
        const restored = yield* tracker.restoreIdentities
        assert.deepStrictEqual([restored.changed.map((table) => table.name), restored.failed], [["keyless", "deferred", "nothing", "indexed", "later"], []])
        assert.strictEqual(identities(before), "deferred d, indexed n, keyed d, keyless d, later d, nothing n, unlogged d, whole f")
        assert.strictEqual(records(before), "")
      })))

  it.live("that the user sets end the record; a FULL that is ours stays on record through other statements", () =>
    withTracker(back.url, (tracker, sql) =>
      Effect.gen(function*() {
        yield* install(sql)
        back.psql(`CREATE TABLE a(i int NOT NULL); CREATE TABLE b(i int); CREATE TABLE c(i int); CREATE TABLE d(i int); CREATE TABLE e(i int)`)
        yield* tracker.look()
        assert.strictEqual(records(back), "a d, b d, c d, d d, e d")
        back.psql(`CREATE UNIQUE INDEX ai ON a(i); ALTER TABLE a REPLICA IDENTITY USING INDEX ai; ALTER TABLE b ADD COLUMN v text;
          ALTER TABLE c REPLICA IDENTITY DEFAULT; ALTER TABLE d ADD PRIMARY KEY (i); ALTER TABLE d REPLICA IDENTITY DEFAULT; ALTER TABLE d REPLICA IDENTITY FULL;
          DROP TABLE e`)
        yield* tracker.look()
        assert.strictEqual(identities(back), "a i, b f, c f, d f")
        assert.strictEqual(records(back), "b d, c d")
        yield* tracker.restoreIdentities
        assert.strictEqual(identities(back), "a i, b d, c d, d f")
      })))

  it.live("of a table in use are left, reported, and set when it is free; nobody waits for us meanwhile", () =>
    withTracker(busy.url, (tracker, sql) =>
      Effect.gen(function*() {
        busy.psql(`CREATE TABLE used(a int); CREATE TABLE free(a int)`)
        yield* install(sql)
        const user = new OpenSession(busy.name)
        yield* Effect.promise(() => user.run("BEGIN; INSERT INTO used VALUES (1);"))
        const [report] = yield* Effect.all([
          tracker.ensureIdentities,
          Effect.promise(async () => {
            await eventually("the free table is done", () => identities(busy).includes("free f"))
            for (let n = 0; n < 10; n++) {
              assert.deepStrictEqual(session(busy.name, "SET lock_timeout = '500ms'; INSERT INTO used VALUES (2); SELECT count(*) FROM used"), { ok: true, out: String(n + 1), messages: "" })
            }
          })
        ], { concurrency: 2 })
        assert.deepStrictEqual(report.failed.map((table) => [table.name, table.reason]), [["used", "locked"]])
        assert.deepStrictEqual((yield* tracker.uncovered).map((table) => table.name), ["used"])
        yield* Effect.promise(() => user.run("COMMIT;"))
        yield* Effect.promise(() => user.end())
        assert.deepStrictEqual((yield* tracker.ensureIdentities).changed.map((table) => table.name), ["used"])
      })), 60_000)

  it.live("of another owner's tables are reported, and stay uncovered since their newest row", () =>
    Effect.gen(function*() {
      const role = `role_${foreign.name}`
      foreign.psql(`CREATE ROLE ${role} LOGIN; GRANT CREATE ON DATABASE ${foreign.name} TO ${role}; GRANT CREATE ON SCHEMA public TO ${role}; CREATE TABLE theirs(a int)`)
      yield* Effect.addFinalizer(() => Effect.sync(() => foreign.psql(`DROP OWNED BY ${role}; DROP ROLE ${role}`)))
      yield* withTracker(foreign.url.replace("//postgres:postgres@", `//${role}:x@`), (tracker, sql) =>
        Effect.gen(function*() {
          yield* install(sql)
          session(foreign.name, "CREATE TABLE mine(a int)", role)
          yield* tracker.look()
          const report = yield* tracker.ensureIdentities
          assert.deepStrictEqual(report.changed.map((table) => table.name), ["mine"])
          assert.deepStrictEqual(report.failed.map((table) => [table.name, table.reason]), [["theirs", "notOwner"]])
          const [theirs] = yield* tracker.uncovered
          assert.strictEqual(theirs?.since?.getTime(), Date.parse(foreign.psql(`SELECT to_char(max(at) AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"') FROM pgstream.ddl WHERE tag = 'LOOK'`).trim()))
        }))
    }).pipe(Effect.scoped))

  it.live("stay as they are with --keep-identities, also for the triggers", () =>
    withTracker(kept.url, (tracker, sql) =>
      Effect.gen(function*() {
        kept.psql(`CREATE TABLE before(a int)`)
        yield* install(sql)
        yield* MigrationsSource.allowIdentities(sql, false)
        kept.psql(`CREATE TABLE after(a int)`)
        assert.deepStrictEqual(yield* tracker.ensureIdentities, { changed: [], failed: [] })
        assert.strictEqual(identities(kept), "after d, before d")
        yield* MigrationsSource.allowIdentities(sql, true)
        kept.psql(`CREATE TABLE last(a int)`)
        assert.strictEqual(identities(kept), "after d, before d, last f")
      })))

  it.live("are set and given back by the service alone, where there are no triggers", () =>
    withTracker(blind.url, (tracker, sql) =>
      Effect.gen(function*() {
        yield* install(sql, false)
        blind.psql(`CREATE TABLE a(i int)`)
        yield* tracker.look()
        yield* tracker.ensureIdentities
        assert.strictEqual(records(blind), "a d")
        blind.psql(`ALTER TABLE a ADD COLUMN v text`)
        yield* tracker.look()
        assert.strictEqual(
          blind.psql(`SELECT e->>'full_ours' FROM pgstream.ddl d, jsonb_array_elements(d.tables) e ORDER BY d.id DESC LIMIT 1`).trim(), "d")
        assert.strictEqual(records(blind), "a d")
        assert.deepStrictEqual((yield* tracker.look()).rows, 0)
      })))
})
