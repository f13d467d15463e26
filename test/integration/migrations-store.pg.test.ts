import { assert, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import { spawn } from "node:child_process"
import { mend } from "../../src/layers/postgres/store/EndpointsPgMend.ts"
import * as MigrationsStore from "../../src/layers/postgres/store/MigrationsStore.ts"
import * as Sql from "../../src/layers/postgres/Sql.ts"
import { eventually, testDatabase, type TestDatabase } from "../support/database.ts"

const withStore = <A, E>(database: TestDatabase, use: (sql: Effect.Success<ReturnType<typeof Sql.make>>) => Effect.Effect<A, E>) =>
  Effect.scoped(Effect.flatMap(Sql.make(Redacted.make(database.url), "test"), use))

const migrate = (database: TestDatabase) => withStore(database, MigrationsStore.run)

const databases = {
  empty: testDatabase("mig_store_empty"),
  seed: testDatabase("mig_store_seed"),
  twice: testDatabase("mig_store_twice"),
  insert: testDatabase("mig_store_insert"),
  url: testDatabase("mig_store_url"),
  split: testDatabase("mig_store_split"),
  end: testDatabase("mig_store_end"),
  roles: testDatabase("mig_store_roles"),
  race: testDatabase("mig_store_race"),
  stress: testDatabase("mig_store_stress")
}

const seedTable = `
  CREATE SCHEMA pgstream;
  CREATE TABLE pgstream.webhook_subscriptions (url text, schema_name text, table_name text, event_types text[],
    PRIMARY KEY (url, schema_name, table_name));
  INSERT INTO pgstream.webhook_subscriptions VALUES
    ('http://a/', '', '', '{I}'), ('http://a/', 'public', 't', NULL), ('http://b/', '', '', '{}')`

/** url, schema, table, types and the URL of the endpoint of each row, one a line. */
const rowsOf = (database: TestDatabase) =>
  database.psql(`SELECT s.url, schema_name, table_name, event_types, e.url FROM pgstream.webhook_subscriptions s
    LEFT JOIN pgstream.webhook_endpoints e ON e.id = s.endpoint_id ORDER BY 1, 2, 3`).trim()
const endpointsOf = (database: TestDatabase) =>
  database.psql(`SELECT url, order_mode, concurrency FROM pgstream.webhook_endpoints ORDER BY 1`).trim()
const endpointId = (database: TestDatabase, url: string) =>
  database.psql(`SELECT id FROM pgstream.webhook_endpoints WHERE url = '${url}'`).trim()

it.live("makes the store on an empty database, once", () =>
  Effect.gen(function*() {
    const database = databases.empty
    yield* withStore(database, (sql) =>
      Effect.gen(function*() {
        assert.strictEqual(yield* MigrationsStore.currentVersion(sql), 0)
        yield* MigrationsStore.run(sql)
        assert.strictEqual(yield* MigrationsStore.currentVersion(sql), MigrationsStore.latestVersion)
        yield* MigrationsStore.run(sql)
        assert.deepStrictEqual(yield* MigrationsStore.adoptSeedRows(sql), [])
      }))
    assert.strictEqual(database.psql(`SELECT relreplident FROM pg_class WHERE oid = 'pgstream.webhook_subscriptions'::regclass`).trim(), "f")
    assert.strictEqual(database.psql(`SELECT attstorage FROM pg_attribute WHERE attrelid = 'pgstream.webhook_deliveries'::regclass AND attname = 'body'`).trim(), "e")
  }))

it.live("extends the table of four columns in place, and keeps its order of delivery", () =>
  Effect.gen(function*() {
    const database = databases.seed
    database.psql(seedTable)
    yield* withStore(database, (sql) =>
      Effect.gen(function*() {
        yield* MigrationsStore.run(sql)
        const adopted = yield* MigrationsStore.adoptSeedRows(sql)
        assert.deepStrictEqual(adopted.map((endpoint) => endpoint.url).sort(), ["http://a/", "http://b/"])
        yield* sql`UPDATE pgstream.webhook_endpoints SET order_mode = 'key' WHERE url = 'http://b/'`
        assert.deepStrictEqual(yield* MigrationsStore.adoptSeedRows(sql), [])
      }))
    assert.strictEqual(rowsOf(database), "http://a/|||{I}|http://a/\nhttp://a/|public|t||http://a/\nhttp://b/|||{}|http://b/")
    assert.strictEqual(endpointsOf(database), "http://a/|total|1\nhttp://b/|key|1")
  }))

it.live("two that migrate at once both succeed", () =>
  Effect.gen(function*() {
    const database = databases.twice
    yield* Effect.all([migrate(database), migrate(database)], { concurrency: 2 })
    assert.strictEqual(endpointsOf(database), "")
  }))

it.live("plain SQL of the tutorial's columns makes ids and endpoints", () =>
  Effect.gen(function*() {
    const database = databases.insert
    yield* migrate(database)
    database.psql(`
      INSERT INTO pgstream.webhook_subscriptions (url, schema_name, table_name, event_types) VALUES ('http://a/', '', '', '{I}')
        ON CONFLICT (url, schema_name, table_name) DO UPDATE SET event_types = EXCLUDED.event_types;
      INSERT INTO pgstream.webhook_subscriptions (url, schema_name, table_name, event_types) VALUES ('http://a/', '', '', '{I,U}')
        ON CONFLICT (url, schema_name, table_name) DO UPDATE SET event_types = EXCLUDED.event_types;
      INSERT INTO pgstream.webhook_subscriptions (url, schema_name, table_name) VALUES ('http://a/', 'public', 't');
      INSERT INTO pgstream.webhook_subscriptions (url) VALUES ('http://b/')`)
    assert.strictEqual(rowsOf(database), "http://a/|||{I,U}|http://a/\nhttp://a/|public|t||http://a/\nhttp://b/||||http://b/")
    assert.strictEqual(database.psql(`SELECT count(DISTINCT id) FROM pgstream.webhook_subscriptions`).trim(), "3")
    assert.strictEqual(endpointsOf(database), "http://a/|key|\nhttp://b/|key|")
  }))

it.live("a new URL for all rows of an endpoint in one transaction is the endpoint's new URL", () =>
  Effect.gen(function*() {
    const database = databases.url
    yield* migrate(database)
    database.psql(`INSERT INTO pgstream.webhook_subscriptions (url, table_name) VALUES ('http://a/', 'x'), ('http://a/', 'y')`)
    const id = endpointId(database, "http://a/")
    database.psql(`BEGIN;
      UPDATE pgstream.webhook_subscriptions SET url = 'http://new/' WHERE table_name = 'x';
      UPDATE pgstream.webhook_subscriptions SET url = 'http://new/' WHERE table_name = 'y';
      COMMIT`)
    assert.strictEqual(endpointId(database, "http://new/"), id)
    assert.strictEqual(endpointsOf(database), "http://new/|key|")
  }))

it.live("a new URL for some rows joins or makes the endpoint of that URL, with the same order", () =>
  Effect.gen(function*() {
    const database = databases.split
    yield* migrate(database)
    database.psql(`INSERT INTO pgstream.webhook_subscriptions (url, table_name) VALUES ('http://a/', 'x'), ('http://a/', 'y'), ('http://b/', 'z');
      UPDATE pgstream.webhook_endpoints SET order_mode = 'total', concurrency = 1 WHERE url = 'http://a/'`)
    const [a, b] = [endpointId(database, "http://a/"), endpointId(database, "http://b/")]
    database.psql(`UPDATE pgstream.webhook_subscriptions SET url = 'http://made/' WHERE table_name = 'x'`)
    assert.strictEqual(endpointsOf(database), "http://a/|total|1\nhttp://b/|key|\nhttp://made/|total|1")
    assert.strictEqual(endpointId(database, "http://a/"), a)
    database.psql(`UPDATE pgstream.webhook_subscriptions SET url = 'http://b/' WHERE table_name IN ('x', 'y')`)
    assert.strictEqual(endpointsOf(database), "http://b/|key|")
    assert.strictEqual(endpointId(database, "http://b/"), b)
    assert.strictEqual(rowsOf(database), "http://b/||x||http://b/\nhttp://b/||y||http://b/\nhttp://b/||z||http://b/")
  }))

it.live("with its last row an endpoint ends; a later row for that URL makes a new one", () =>
  Effect.gen(function*() {
    const database = databases.end
    yield* migrate(database)
    const insert = `INSERT INTO pgstream.webhook_subscriptions (url, table_name) VALUES ('http://a/', 'x'), ('http://a/', 'y')`
    database.psql(insert)
    const id = endpointId(database, "http://a/")
    database.psql(`DELETE FROM pgstream.webhook_subscriptions WHERE table_name = 'x'`)
    assert.strictEqual(endpointId(database, "http://a/"), id)
    database.psql(`DELETE FROM pgstream.webhook_subscriptions WHERE table_name = 'y'`)
    assert.strictEqual(endpointsOf(database), "")
    database.psql(insert)
    assert.notStrictEqual(endpointId(database, "http://a/"), id)
    database.psql(`TRUNCATE pgstream.webhook_subscriptions`)
    assert.strictEqual(endpointsOf(database), "")
  }))

it.live("two-phase, and a role that may write only the subscriptions, work as before", () =>
  Effect.gen(function*() {
    const database = databases.roles
    yield* migrate(database)
    database.psql(`BEGIN; INSERT INTO pgstream.webhook_subscriptions (url) VALUES ('http://a/');
      PREPARE TRANSACTION '${database.name}'; COMMIT PREPARED '${database.name}'`)
    assert.strictEqual(endpointsOf(database), "http://a/|key|")
    database.psql(`CREATE ROLE ${database.name}_w; GRANT USAGE ON SCHEMA pgstream TO ${database.name}_w;
      GRANT SELECT, INSERT, UPDATE, DELETE ON pgstream.webhook_subscriptions TO ${database.name}_w`)
    try {
      database.psql(`SET ROLE ${database.name}_w;
        INSERT INTO pgstream.webhook_subscriptions (url) VALUES ('http://b/');
        UPDATE pgstream.webhook_subscriptions SET url = 'http://c/' WHERE url = 'http://b/';
        DELETE FROM pgstream.webhook_subscriptions WHERE url = 'http://a/'`)
    } finally {
      database.psql(`DROP OWNED BY ${database.name}_w; DROP ROLE ${database.name}_w`)
    }
    assert.strictEqual(endpointsOf(database), "http://c/|key|")
  }))

/** psql in the background on its own session; resolves with its exit code. */
const session = (database: TestDatabase) => {
  const child = spawn("psql", ["-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", database.url], { stdio: ["pipe", "ignore", "ignore"] })
  const ended = new Promise<number | null>((resolve) => child.once("exit", resolve))
  return { send: (sql: string) => child.stdin.write(`${sql};\n`), end: () => (child.stdin.end(), ended) }
}

const oneSession = (database: TestDatabase, state: string): boolean =>
  database.psql(`SELECT count(*) FROM pg_stat_activity
    WHERE datname = current_database() AND pid <> pg_backend_pid() AND ${state}`).trim() === "1"

it.live("a row for a URL whose last row another session deletes keeps its endpoint; neither waits", () =>
  Effect.promise(async () => {
    const database = databases.race
    await Effect.runPromise(migrate(database))
    database.psql(`INSERT INTO pgstream.webhook_subscriptions (url, table_name) VALUES ('http://a/', 'x')`)
    const id = endpointId(database, "http://a/")
    const adds = session(database)
    adds.send(`BEGIN; INSERT INTO pgstream.webhook_subscriptions (url, table_name) VALUES ('http://a/', 'y')`)
    await eventually("the insert is open", () => oneSession(database, "state = 'idle in transaction'"))
    database.psql(`SET lock_timeout = '1s'; DELETE FROM pgstream.webhook_subscriptions WHERE table_name = 'x'`)
    adds.send("COMMIT")
    assert.strictEqual(await adds.end(), 0)
    assert.strictEqual(rowsOf(database), "http://a/||y||http://a/")
    assert.strictEqual(endpointId(database, "http://a/"), id)
  }))

/** Statements a session. */
const STRESS = Number(process.env["RUNS"] ?? 150)

it.live("eight sessions that write at once never fail, and leave every row an endpoint with its URL and no other endpoint", () =>
  Effect.gen(function*() {
    const database = databases.stress
    yield* migrate(database)
    const sql = yield* Sql.make(Redacted.make(database.url), "test", 8)
    const statements = [
      (url: string, table: string) => sql`INSERT INTO pgstream.webhook_subscriptions (url, table_name) VALUES (${url}, ${table})
        ON CONFLICT (url, schema_name, table_name) DO UPDATE SET event_types = excluded.event_types`,
      (url: string, table: string) => sql`DELETE FROM pgstream.webhook_subscriptions WHERE url = ${url} AND table_name = ${table}`,
      (url: string, table: string) => sql`INSERT INTO pgstream.webhook_subscriptions (url, table_name) VALUES (${url}, ${table}) ON CONFLICT DO NOTHING`,
      (url: string, table: string) => sql`DELETE FROM pgstream.webhook_subscriptions WHERE url = ${url} AND table_name <> ${table}`
    ]
    yield* Effect.forEach(Array.from({ length: 8 }, (_, i) => i), (session) =>
      Effect.forEach(Array.from({ length: STRESS }, (_, i) => i), (i) => {
        const at = session * 7919 + i * 104_729
        return statements[at % 4]!(`http://${at % 3}/`, `t${at % 5}`)
      }, { discard: true }), { concurrency: 8, discard: true })
    yield* mend(sql)
    const wrong = yield* sql`
      SELECT 'row' AS what, s.url FROM pgstream.webhook_subscriptions s LEFT JOIN pgstream.webhook_endpoints e ON e.id = s.endpoint_id
        WHERE e.url IS DISTINCT FROM s.url
      UNION ALL
      SELECT 'endpoint', e.url FROM pgstream.webhook_endpoints e
        WHERE NOT EXISTS (SELECT FROM pgstream.webhook_subscriptions s WHERE s.endpoint_id = e.id)`
    assert.deepStrictEqual(wrong, [])
  }).pipe(Effect.scoped))
