import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import * as DdlTrackerLayer from "../../src/layers/postgres/schema/DdlTracker.ts"
import * as MigrationsSource from "../../src/layers/postgres/schema/MigrationsSource.ts"
import * as Sql from "../../src/layers/postgres/Sql.ts"
import { DdlTracker } from "../../src/services/DdlTracker.ts"
import { testDatabase } from "../support/database.ts"
import { seedSql } from "../support/seed.ts"

const withSql = <A, E>(url: string, f: (sql: Effect.Success<ReturnType<typeof Sql.make>>) => Effect.Effect<A, E>) =>
  Effect.scoped(Effect.flatMap(Sql.make(Redacted.make(url), "test", 2), f))

const install = (url: string) =>
  withSql(url, (sql) =>
    Effect.gen(function*() {
      const ran = yield* MigrationsSource.run(sql)
      const triggers = yield* MigrationsSource.installTriggers(sql)
      return { ran, triggers, version: yield* MigrationsSource.currentVersion(sql) }
    }))

describe("migrations of the source", () => {
  const fresh = testDatabase("migrations")
  const ids = testDatabase("xid")
  const plain = testDatabase("plain")
  const seeds = { 7: testDatabase("seed7"), 8: testDatabase("seed8") }

  it.live("install on an empty database, and find nothing to do the second time", () =>
    Effect.gen(function*() {
      const db = fresh
      const first = yield* install(db.url)
      assert.deepStrictEqual(first, {
        ran: Object.keys(MigrationsSource.sourceMigrations), triggers: "installed", version: MigrationsSource.latestVersion
      })
      assert.deepStrictEqual((yield* install(db.url)).ran, [])
      assert.isTrue(yield* withSql(db.url, MigrationsSource.triggersInstalled))
    }))

  it.live("make ids that the seed's users can read", () =>
    Effect.gen(function*() {
      const db = ids
      yield* install(db.url)
      // The tutorial's id (golden/SCHEMA.md).
      assert.strictEqual(
        db.psql(`SELECT pgstream.xid_time('cv9al8qhi0j00i9chq80') AT TIME ZONE 'UTC', pgstream.xid_decode('cv9al8qhi0j00i9chq80'),
          pgstream.xid_machine('cv9al8qhi0j00i9chq80'), pgstream.xid_pid('cv9al8qhi0j00i9chq80'),
          pgstream.xid_counter('cv9al8qhi0j00i9chq80'), pgstream.xid_encode(pgstream.xid_decode('cv9al8qhi0j00i9chq80'))`).trim(),
        "2025-03-13 09:51:31|{103,210,170,163,81,144,38,0,73,44,142,144}|{81,144,38}|73|2920080|cv9al8qhi0j00i9chq80")
      assert.strictEqual(
        db.psql(`WITH x AS (SELECT pgstream.xid() AS id FROM generate_series(1, 1000))
          SELECT count(DISTINCT id), bool_and(pgstream.xid_encode(pgstream.xid_decode(id)) = id),
            bool_and(pgstream.xid_pid(id) = pg_backend_pid() & 65535),
            bool_and(pgstream.xid_time(id) = date_trunc('second', now())),
            bool_and((pgstream.xid_machine(id))[3] = (SELECT system_identifier & 255 FROM pg_control_system()))
          FROM x`).trim(),
        "1000|t|t|t|t")
    }))

  for (const version of [7, 8] as const) {
    it.live(`upgrade the seed's schema after its migration ${version} in place, and keep what it holds`, () =>
      Effect.gen(function*() {
        const db = seeds[version]
        db.psql(seedSql(version))
        db.psql(`CREATE TABLE a(id int PRIMARY KEY, g int GENERATED ALWAYS AS (id) STORED); ALTER TABLE a ADD COLUMN v text; CREATE TABLE b(v int);
          INSERT INTO pgstream.webhook_subscriptions VALUES ('http://127.0.0.1:9910/webhook', 'public', 'a', NULL)`)
        const held = () => db.psql(`SELECT * FROM pgstream.schema_log ORDER BY id; SELECT * FROM pgstream.table_ids ORDER BY id;
          SELECT * FROM pgstream.schema_migrations; SELECT * FROM pgstream.webhook_subscriptions`)
        const before = held()
        const serial = db.psql("SELECT last_value FROM pgstream.xid_serial").trim()
        assert.strictEqual(db.psql("SELECT max(version), count(*) FROM pgstream.schema_log").trim(), "3|3")

        assert.deepStrictEqual(yield* install(db.url), {
          ran: Object.keys(MigrationsSource.sourceMigrations), triggers: "installed", version: MigrationsSource.latestVersion
        })
        assert.strictEqual(held(), before)
        assert.strictEqual(db.psql("SELECT last_value FROM pgstream.xid_serial").trim(), serial)
        assert.strictEqual(db.psql("SELECT string_agg(evtname, ' ' ORDER BY evtname) FROM pg_event_trigger").trim(), "pgstream_ddl pgstream_drop")
        assert.strictEqual(db.psql("SELECT count(*) FROM pg_proc WHERE pronamespace = 'pgstream'::regnamespace AND proname IN ('log_schema', 'create_table_mapping')").trim(), "0")

        // Ids of tables are the seed's; the look makes none anew and no entry, and ours are of the same kind.
        yield* withSql(db.url, (sql) => Effect.provide(Effect.flatMap(DdlTracker, (tracker) => tracker.look()), DdlTrackerLayer.layer.pipe(
          Layer.provide(Layer.succeed(Sql.SourceSql, sql)))))
        assert.strictEqual(db.psql("SELECT bool_and(skip), count(new_ids) FROM pgstream.ddl").trim(), "t|0")
        db.psql("CREATE TABLE c(id int); INSERT INTO pgstream.table_ids(oid) VALUES (1)")
        assert.strictEqual(
          db.psql(`SELECT tag, new_ids->>('c'::regclass::oid::text) ~ '^[0-9a-v]{20}$' FROM pgstream.ddl ORDER BY id DESC LIMIT 1`).trim(),
          "CREATE TABLE|t")
        assert.strictEqual(
          db.psql(`SELECT jsonb_path_query_array(pgstream.get_schema('public'), '$.tables[0].columns[*].generated')`).trim(), "[false, true, false]")
      }))
  }

  it.live("answer notAllowed, and install everything else, without superuser", () =>
    Effect.gen(function*() {
      const db = plain
      const role = `role_${db.name}`
      db.psql(`CREATE ROLE ${role} LOGIN; GRANT CREATE ON DATABASE ${db.name} TO ${role}`)
      yield* Effect.addFinalizer(() => Effect.sync(() => db.psql(`DROP OWNED BY ${role}; DROP ROLE ${role}`)))
      const installed = yield* install(db.url.replace("//postgres:postgres@", `//${role}:x@`))
      assert.deepStrictEqual([installed.triggers, installed.version], ["notAllowed", MigrationsSource.latestVersion])
    }).pipe(Effect.scoped))
})
