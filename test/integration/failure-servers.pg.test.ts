/** The servers under the program fail and come back: DESIGN.md "Failure table", rows 5 and 6. */
import { afterAll, assert, describe, it } from "vitest"
import { atEnd } from "../support/atEnd.ts"
import { makeProgram, type Program, type RunningProgram } from "../support/binary.ts"
import { loadTables, startLoad } from "../support/binaryLoad.ts"
import { eventually, testDatabase, type TestDatabase } from "../support/database.ts"
import { type PostgresServer, startServer } from "../support/PostgresServer.ts"
import { startReceiver } from "../support/Receiver.ts"
import { expectedOf, inStreamOrder, numberProblems, orderProblems } from "../support/ReceiverOracle.ts"
import { Random } from "../simulation/Random.ts"

const quick = {
  PGSTREAM_POSTGRES_LISTENER_EXP_BACKOFF_INITIAL_INTERVAL: "50ms",
  PGSTREAM_POSTGRES_LISTENER_EXP_BACKOFF_MAX_INTERVAL: "300ms",
  PGSTREAM_WEBHOOK_NOTIFIER_PARKED_SCHEDULE: Array.from({ length: 100 }, () => "300ms").join(" ")
}

const servers: Array<PostgresServer> = []
const server = async () => {
  const started = await startServer()
  servers.push(started)
  return started
}
afterAll(() => Promise.all(servers.map((one) => one.stop())))

interface Ready {
  readonly ready: boolean
  readonly problems: Readonly<Record<string, string>>
}
const ready = async (program: Program): Promise<Ready> =>
  await (await fetch(`http://127.0.0.1:${program.healthPort}/ready`)).json() as Ready

const lives = (running: RunningProgram) => {
  if (running.child.exitCode !== null) throw new Error(`pgstream run ended with ${running.child.exitCode}: ${running.stderr()}`)
}

describe("the walsender is killed under load", () => {
  it("the slot is read again, and nothing is lost or out of order", async () => {
    const database = testDatabase("failure_walsender")
    const slot = `${database.name}_s`
    const program = await makeProgram({ url: database.url, slot, settings: quick })
    const receiver = await startReceiver({ answer: ({ sequence }) => ({ status: 200, delayMs: sequence % 10 }) })
    atEnd(() => receiver.close())
    database.psql(loadTables)
    await program.init()
    database.psql(`INSERT INTO pgstream.webhook_subscriptions(url, schema_name, table_name) VALUES ('${receiver.url}', 'public', '')`)
    database.psql(`SELECT pg_create_logical_replication_slot('${database.name}_o', 'test_decoding')`)
    const running = await program.run()
    const load = startLoad(database.name, [new Random(1), new Random(2)], 40)
    for (let kills = 1; kills <= 6; kills++) {
      const before = receiver.accepted.size
      await eventually("it delivers", () => receiver.accepted.size > before)
      await eventually("its walsender is killed", () =>
        database.psql(`SELECT pg_terminate_backend(active_pid) FROM pg_replication_slots WHERE slot_name = '${slot}'`).trim() === "t")
    }
    await load.stop()
    const expected = expectedOf(database.psql(`SELECT data FROM pg_logical_slot_get_changes('${database.name}_o', NULL, NULL)`), "public")
    await eventually("every change is there", () => {
      lives(running)
      return receiver.accepted.size >= expected.length
    })
    assert.deepStrictEqual(inStreamOrder(receiver, "public"), expected)
    assert.deepStrictEqual([...receiver.problems, ...numberProblems(receiver), ...orderProblems(receiver, new Set(["public.journal"]))], [])
    assert.match(running.stderr(), /The slot is read again/)
    assert.strictEqual(running.stderr().split("Following the slot.").length, 2, "only the source opened again")
    assert.strictEqual((await running.stop()).code, 0)
  })
})

/** `psql` of another server than the run's, as a `TestDatabase` has it. */
const insert = (at: Pick<TestDatabase, "psql">, from: number, to: number) =>
  at.psql(`INSERT INTO t SELECT g FROM generate_series(${from}, ${to}) g`)

describe("Postgres restarts", () => {
  it("ready is red while it is away; then every change is there, each once", async () => {
    const source = await server()
    const program = await makeProgram({ url: source.url(), slot: "restarts", settings: quick })
    const receiver = await startReceiver()
    atEnd(() => receiver.close())
    source.psql("CREATE TABLE t(id int PRIMARY KEY)")
    await program.init()
    source.psql(`INSERT INTO pgstream.webhook_subscriptions(url, schema_name, table_name) VALUES ('${receiver.url}', 'public', 't')`)
    const running = await program.run()
    insert(source, 1, 100)
    await eventually("the first come", () => receiver.accepted.size === 100)
    await eventually("it is ready", async () => (await ready(program)).ready)
    await source.crash()
    await eventually("it is not ready", async () => {
      lives(running)
      return "source" in (await ready(program)).problems
    })
    await source.start()
    insert(source, 101, 200)
    await source.restart()
    insert(source, 201, 300)
    await eventually("all come", () => {
      lives(running)
      return receiver.accepted.size === 300
    })
    await eventually("it is ready again", async () => (await ready(program)).ready)
    assert.deepStrictEqual([...receiver.values("id")].map(Number).toSorted((a, b) => a - b), Array.from({ length: 300 }, (_, n) => n + 1))
    assert.deepStrictEqual([...receiver.problems, ...numberProblems(receiver)], [])
    assert.strictEqual((await running.stop()).code, 0)
  })
})

describe("the store is in another server, and down", () => {
  it("events wait, the slot does not pass them, ready is red; then they come", async () => {
    const source = await server()
    const store = await server()
    const program = await makeProgram({ url: source.url(), storeUrl: store.url(), slot: "stored", settings: quick })
    const receiver = await startReceiver({ answer: ({ data }) => ({ status: data.columns?.[0]?.value === 1 ? 404 : 200 }) })
    atEnd(() => receiver.close())
    source.psql("CREATE TABLE t(id int PRIMARY KEY)")
    await program.init()
    store.psql(`INSERT INTO pgstream.webhook_subscriptions(url, schema_name, table_name) VALUES ('${receiver.url}', 'public', 't')`)
    const running = await program.run()
    await eventually("it is ready", async () => (await ready(program)).ready)
    insert(source, 10, 10)
    await eventually("an event comes", () => receiver.accepted.size === 1)
    await store.crash()
    insert(source, 1, 5)
    const end = source.psql("SELECT pg_current_wal_lsn()").trim()
    await eventually("it is not ready", async () => {
      lives(running)
      return "store" in (await ready(program)).problems
    })
    await eventually("it was tried", () => receiver.requests.length > 1)
    assert.strictEqual(source.psql(`SELECT confirmed_flush_lsn < '${end}' FROM pg_replication_slots`).trim(), "t")
    await store.start()
    await eventually("what is refused is parked", () => {
      lives(running)
      return store.psql("SELECT count(*) FROM pgstream.webhook_deliveries").trim() === "1"
    })
    await eventually("the slot passes", () => source.psql(`SELECT confirmed_flush_lsn >= '${end}' FROM pg_replication_slots`).trim() === "t")
    receiver.answer = () => ({ status: 200 })
    insert(source, 6, 6)
    await eventually("all come", () => receiver.accepted.size === 7, 30_000)
    assert.deepStrictEqual([...receiver.values("id")].map(Number).toSorted((a, b) => a - b), [1, 2, 3, 4, 5, 6, 10])
    assert.deepStrictEqual([...receiver.problems, ...numberProblems(receiver)], [])
    assert.strictEqual((await running.stop()).code, 0)
  })
})
