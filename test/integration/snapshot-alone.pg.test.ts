/** `pgstream snapshot` and `mode: snapshot` where there is no slot: one snapshot, no event. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { assert, describe, it } from "vitest"
import { makeProgram, type Program } from "../support/binary.ts"
import { launch } from "../support/cli.ts"
import { eventually, type TestDatabase, testDatabase } from "../support/database.ts"
import { type Received, startReceiver } from "../support/Receiver.ts"
import { startSession } from "../support/sessions.ts"
import { atEnd } from "../support/atEnd.ts"

interface Scene {
  readonly database: TestDatabase
  readonly program: Program
  readonly receiver: Awaited<ReturnType<typeof startReceiver>>
  readonly of: (table: string) => ReadonlyArray<Received>
}

/** The schema is there, the slot is not. */
const scene = async (label: string, sql: string, settings: Readonly<Record<string, string>> = {}): Promise<Scene> => {
  const database = testDatabase(label)
  database.psql(sql)
  const slot = `${database.name}_s`
  const program = await makeProgram({ url: database.url, slot, settings: { PGSTREAM_POSTGRES_SNAPSHOT_BATCH_BYTES: "4096", ...settings } })
  await program.init("--migrations-only")
  const receiver = await startReceiver()
  atEnd(() => receiver.close())
  const added = await program.command("subscriptions", "add", receiver.url)
  assert.strictEqual(added.code, 0, added.stderr)
  return { database, program, receiver, of: (table) => receiver.requests.filter(({ data }) => data.table === table) }
}

const ids = (requests: ReadonlyArray<Received>) => requests.map(({ data }) => Number(data.columns?.[0]?.value)).toSorted((a, b) => a - b)
const upTo = (count: number, from = 1) => Array.from({ length: count }, (_, n) => from + n)
const slots = ({ database }: Scene) => database.psql("SELECT count(*) FROM pg_replication_slots WHERE database = current_database()").trim()

describe("a snapshot without a slot", () => {
  it("sends each row once, the schema's entry first, in the form of replication, and makes no slot", { timeout: 90_000 }, async () => {
    const made = await scene("alone_plain", `
      CREATE TABLE a(id int PRIMARY KEY, pad text, n numeric); INSERT INTO a SELECT g, repeat('x', 100), g / 3.0 FROM generate_series(1, 3000) g;
      CREATE TABLE keyless(id int); INSERT INTO keyless SELECT generate_series(1, 500);
      CREATE TABLE parts(id int PRIMARY KEY) PARTITION BY RANGE (id);
      CREATE TABLE parts1 PARTITION OF parts FOR VALUES FROM (0) TO (10); CREATE TABLE parts2 PARTITION OF parts FOR VALUES FROM (10) TO (100);
      INSERT INTO parts SELECT g FROM generate_series(1, 40) g`, { PGSTREAM_INJECTOR_STORE_POSTGRES_URL: "" })
    const { code, stderr } = await made.program.command("snapshot", "--tables", "*")
    assert.strictEqual(code, 0, stderr)
    assert.deepStrictEqual([ids(made.of("a")), ids(made.of("keyless")), ids(made.of("parts1")), ids(made.of("parts2"))],
      [upTo(3000), upTo(500), upTo(9), upTo(31, 10)])
    const order = made.receiver.requests.map(({ data }) => data.table)
    assert.isBelow(order.indexOf("schema_log"), order.findIndex((table) => table !== "schema_log" && table !== "table_ids"))
    assert.lengthOf(made.of("schema_log"), 1)
    const [row] = made.of("a")
    assert.match(row!.id, /^s-[0-9a-f]{32}$/)
    assert.match(row!.data.lsn, /^[0-9A-F]+\/[0-9A-F]+$/)
    assert.lengthOf(new Set(made.receiver.requests.map(({ id }) => id)), made.receiver.requests.length)
    assert.strictEqual(slots(made), "0")
    assert.strictEqual(made.database.psql("SELECT (SELECT count(*) FROM pg_publication) + (SELECT count(*) FROM pg_event_trigger)").trim(), "0")
    assert.strictEqual(made.database.psql("SELECT version FROM pgstream.schema_log WHERE schema_name = 'public'").trim(), "1")
  })

  it("sees one moment of all tables, whoever writes meanwhile, and delivers no event; ALTER TABLE waits and the copy ends", { timeout: 90_000 }, async () => {
    const made = await scene("alone_writes", `
      CREATE TABLE a(id int PRIMARY KEY, pad text); INSERT INTO a SELECT g, repeat('x', 100) FROM generate_series(1, 2000) g;
      CREATE TABLE b(id int PRIMARY KEY); INSERT INTO b SELECT generate_series(1, 100)`)
    made.receiver.answer = () => ({ status: 200, delayMs: 500 })
    const asked = made.program.command("snapshot", "--tables", "*", "--mode", "data")
    await eventually("rows are under way", () => made.receiver.inFlight > 0, 30_000)
    made.database.psql("INSERT INTO a VALUES (5000, 'late'); DELETE FROM a WHERE id = 1999; UPDATE a SET pad = 'new' WHERE id = 2000; INSERT INTO b VALUES (101)")
    const altered = startSession(made.database.name, "SET lock_timeout = 0; ALTER TABLE a ADD COLUMN later int")
    await eventually("ALTER TABLE waits", () => made.database.psql("SELECT count(*) FROM pg_locks WHERE NOT granted AND relation = 'a'::regclass").trim() === "1", 20_000)
    made.receiver.answer = () => ({ status: 200 })
    const { code, stderr } = await asked
    assert.strictEqual(code, 0, stderr)
    assert.deepInclude(await altered, { ok: true })
    const rows = new Map(made.of("a").map((each) => [Number(each.data.columns?.[0]?.value), each]))
    assert.deepStrictEqual([...rows.keys()].toSorted((x, y) => x - y), upTo(2000))
    assert.strictEqual(rows.get(2000)!.data.columns?.[1]?.value, "x".repeat(100))
    assert.deepStrictEqual(new Set(ids(made.of("b"))), new Set(upTo(100)))
    assert.deepStrictEqual([...new Set(made.receiver.requests.map(({ data }) => data.action))], ["I"])
  })

  it("after kill -9 tables that are done stay done, others are read again with the same ids", { timeout: 120_000 }, async () => {
    const made = await scene("alone_kill", `
      CREATE TABLE a(id int PRIMARY KEY); INSERT INTO a SELECT generate_series(1, 50);
      CREATE TABLE z(id int PRIMARY KEY, pad text); INSERT INTO z SELECT g, repeat('x', 100) FROM generate_series(1, 1500) g`)
    made.receiver.answer = ({ data }) => data.table === "z" && made.of("z").length > 400 && made.of("a").length >= 50 ? "hang" : { status: 200 }
    const first = made.program.launched("snapshot", "--tables", "a,z", "--mode", "data")
    await eventually("some of z, and all of a", () => made.of("z").length > 400 &&
      made.database.psql("SELECT count(*) FROM pgstream.copy_tables WHERE table_name = 'a' AND state = 'done'").trim() === "1", 60_000)
    await first.crash()
    const before = new Map(made.of("z").map(({ data, id }) => [Number(data.columns?.[0]?.value), id]))
    made.receiver.answer = () => ({ status: 200 })
    const { code, stderr } = await made.program.command("snapshot", "--tables", "a,z", "--mode", "data")
    assert.strictEqual(code, 0, stderr)
    assert.deepStrictEqual(ids(made.of("a")), upTo(50))
    const after = new Map(made.of("z").map(({ data, id }) => [Number(data.columns?.[0]?.value), id]))
    assert.deepStrictEqual([...after.keys()].toSorted((x, y) => x - y), upTo(1500))
    for (const [key, id] of before) assert.strictEqual(after.get(key), id)
  })

  it("what an endpoint does not take is parked, and tried again before the command ends", { timeout: 90_000 }, async () => {
    const made = await scene("alone_park", "CREATE TABLE a(id int PRIMARY KEY); INSERT INTO a SELECT generate_series(1, 20)")
    let failing = true
    made.receiver.answer = () => failing ? { status: 500 } : { status: 200 }
    const asked = made.program.command("snapshot", "--tables", "a", "--mode", "data")
    await eventually("they are parked", () => made.database.psql("SELECT count(*) FROM pgstream.webhook_deliveries").trim() === "20", 60_000)
    failing = false
    const { code, stderr } = await asked
    assert.strictEqual(code, 0, stderr)
    assert.match(stderr, /NOTE {2}\d+ deliveries were not taken yet/)
    assert.deepStrictEqual([...made.receiver.accepted.values()].map(({ data }) => Number(data.columns?.[0]?.value)).toSorted((x, y) => x - y), upTo(20))
  })

  it("for one subscription with a condition nobody else sees a row; run with a stream still wants its slot", { timeout: 90_000 }, async () => {
    const made = await scene("alone_one", "CREATE TABLE a(id int PRIMARY KEY); INSERT INTO a SELECT generate_series(1, 20)")
    const ran = await made.program.command("run", "--snapshot-tables", "a")
    assert.deepStrictEqual([ran.code, /SlotMissing/.test(ran.stderr)], [4, true], ran.stderr)
    const id = made.database.psql("SELECT id FROM pgstream.webhook_subscriptions").trim()
    const other = await startReceiver()
    atEnd(() => other.close())
    assert.strictEqual((await made.program.command("subscriptions", "add", other.url)).code, 0)
    const { code, stderr } = await made.program.command("snapshot", "--subscription", id, "--tables", "a", "--where", "id <= 7")
    assert.strictEqual(code, 0, stderr)
    assert.deepStrictEqual(ids(made.of("a")), upTo(7))
    assert.lengthOf(other.requests, 0)
  })

  it("run in mode snapshot needs no slot; a snapshot whose connection is lost is taken anew", { timeout: 120_000 }, async () => {
    const made = await scene("alone_mode", `CREATE TABLE a(id int PRIMARY KEY, pad text); INSERT INTO a SELECT g, repeat('x', 100) FROM generate_series(1, 1200) g;
      CREATE TABLE done(id int PRIMARY KEY); INSERT INTO done VALUES (1)`)
    const folder = mkdtempSync(join(tmpdir(), "pgstream-alone-"))
    atEnd(() => rmSync(folder, { recursive: true, force: true }))
    const file = join(folder, "pg.yaml")
    writeFileSync(file, `source:
  postgres:
    url: "${made.database.url}"
    mode: snapshot
    replication: {replication_slot: ${made.program.slot}}
    snapshot: {mode: data, tables: [a, done], data: {batch_bytes: 4096}}
target: {webhooks: {subscriptions: {store: {url: "${made.database.url}"}}}}
`)
    made.receiver.answer = ({ data }) => data.table === "a" ? { status: 200, delayMs: 500 } : { status: 200 }
    const running = launch(["run", "-c", file])
    atEnd(() => void running.child.kill("SIGKILL"))
    await eventually("rows of both", () => made.of("a").length > 100 && made.of("done").length === 1, 60_000)
    made.database.psql("INSERT INTO a VALUES (1201, 'new')")
    const ended = made.database.psql("SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE application_name = 'pgstream snapshot' AND datname = current_database()").trim()
    assert.isAbove(Number(ended), 1)
    await eventually("it is told", () => running.stderr().includes("The snapshot cannot be read"), 60_000)
    made.receiver.answer = () => ({ status: 200 })
    const { code, stderr } = await running.ended
    assert.strictEqual(code, 0, stderr)
    assert.deepStrictEqual([...new Set(ids(made.of("a")))], upTo(1201))
    assert.deepStrictEqual(ids(made.of("done")), [1])
    const versions = new Map<number, string>()
    for (const { data, id } of made.of("a")) {
      const key = Number(data.columns?.[0]?.value)
      assert.strictEqual(versions.get(key) ?? id, id)
      versions.set(key, id)
    }
  })

  it("a restored copy of the database sends nothing to endpoints of the original", { timeout: 90_000 }, async () => {
    const made = await scene("alone_clone", "CREATE TABLE a(id int PRIMARY KEY); INSERT INTO a SELECT generate_series(1, 20)")
    made.database.psql("UPDATE pgstream.webhook_endpoints SET made_in = '7000000000000000001/16384'")
    const { code, stderr } = await made.program.command("snapshot", "--tables", "a", "--mode", "data")
    assert.strictEqual(code, 0, stderr)
    assert.match(stderr, /1 endpoints are paused/)
    assert.match(stderr, /20 deliveries are kept for endpoints that are paused/)
    assert.lengthOf(made.receiver.requests, 0)
    await made.program.init()
    assert.strictEqual(slots(made), "1", "init makes the rest later")
  })
})
