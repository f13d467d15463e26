/** Endpoints that fail, each in a way of its own, beside one that is well: DESIGN.md "Failure table", rows 1 and 2. */
import { afterAll, assert, describe, it } from "vitest"
import { atEnd } from "../support/atEnd.ts"
import { makeProgram, type RunningProgram } from "../support/binary.ts"
import { eventually, testDatabase } from "../support/database.ts"
import { freePort } from "../support/PostgresServer.ts"
import { type Answer, type Received, type Receiver, startReceiver, valueOf } from "../support/Receiver.ts"
import { orderProblems } from "../support/ReceiverOracle.ts"

const database = testDatabase("failure_endpoints")
const slot = `failure_endpoints_${process.pid}`
const program = await makeProgram({
  url: database.url, slot,
  settings: {
    PGSTREAM_WEBHOOK_NOTIFIER_CLIENT_TIMEOUT: "500ms",
    PGSTREAM_WEBHOOK_NOTIFIER_EXP_BACKOFF_INITIAL_INTERVAL: "20ms",
    PGSTREAM_WEBHOOK_NOTIFIER_EXP_BACKOFF_MAX_INTERVAL: "100ms",
    PGSTREAM_WEBHOOK_NOTIFIER_PARK_AFTER: "300ms",
    PGSTREAM_WEBHOOK_NOTIFIER_PARKED_SCHEDULE: Array.from({ length: 200 }, () => "200ms").join(" "),
    PGSTREAM_WEBHOOK_NOTIFIER_REFUSED_SCHEDULE: Array.from({ length: 200 }, () => "200ms").join(" "),
    PGSTREAM_WEBHOOK_NOTIFIER_BREAKER_PAUSE: "200ms",
    PGSTREAM_WEBHOOK_NOTIFIER_BREAKER_PAUSE_MAX: "500ms"
  }
})

const SECRET = "hush-7381"
const ROWS = 20

/** Each fails for all rows, or (`one`) for the row with id 1. */
const ways: Readonly<Record<string, (received: Received) => Answer>> = {
  well: () => ({ status: 200 }),
  serverError: () => ({ status: 503 }),
  hangs: () => "hang",
  drops: () => "refuse",
  gone: () => ({ status: 410 }),
  redirects: () => ({ status: 302, headers: { location: "/elsewhere" } }),
  one: ({ data }) => ({ status: valueOf(data.columns, "id") === 1 ? 422 : 201 })
}
const names = Object.keys(ways)
const receivers = new Map<string, Receiver>()
for (const name of names) receivers.set(name, await startReceiver({ answer: ways[name]! }))
const receiver = (name: string): Receiver => receivers.get(name)!
/** Nobody listens there until the end. */
const refusingPort = await freePort()
afterAll(() => Promise.all([...receivers.values()].map((one) => one.close())))

const count = (where = "true") => Number(database.psql(`SELECT count(*) FROM pgstream.webhook_deliveries WHERE ${where}`))
const idOf = (name: string) =>
  database.psql(`SELECT endpoint_id FROM pgstream.webhook_subscriptions WHERE url = '${receiver(name).url}'`).trim()
const subscribe = (url: string) => database.psql(`INSERT INTO pgstream.webhook_subscriptions(url, schema_name, table_name) VALUES ('${url}', 'public', 't')`)

describe("endpoints that fail", () => {
  let running: RunningProgram | undefined
  const total = 2 * ROWS

  it("do not hold up the one that is well, nor the slot", async () => {
    database.psql(`CREATE TABLE t(id int PRIMARY KEY, v text)`)
    await program.init()
    for (const one of receivers.values()) subscribe(one.url)
    subscribe(`http://127.0.0.1:${refusingPort}/webhook`)
    running = await program.run()
    database.psql(`INSERT INTO t SELECT g, '${SECRET}' FROM generate_series(1, ${ROWS}) g; UPDATE t SET v = v || '-2'`)
    const end = database.psql(`SELECT pg_current_wal_lsn()`).trim()
    await eventually("the one that is well has all", () => receiver("well").accepted.size === total)
    await eventually("the slot has passed all of it", () =>
      database.psql(`SELECT confirmed_flush_lsn >= '${end}' FROM pg_replication_slots WHERE slot_name = '${slot}'`).trim() === "t")
    await eventually("what failed is parked, and what waits behind it", () => count(`endpoint_id <> '${idOf("gone")}'`) === 5 * total + 2)
    assert.strictEqual(count("state <> 'waiting'"), 0)
  })

  it("an event that is refused holds up its own row only", () => {
    const { accepted } = receiver("one")
    assert.strictEqual(accepted.size, total - 2)
    const ofRow = receiver("one").requests.filter(({ data }) => valueOf(data.columns, "id") === 1)
    assert.deepStrictEqual([...new Set(ofRow.map(({ data }) => data.action))], ["I"], "its update waits behind it")
  })

  it("a redirect is not followed", () => {
    assert.strictEqual(receiver("redirects").accepted.size, 0)
    assert.isAbove(receiver("redirects").requests.length, 0)
  })

  it("status names them with their last error, exits 1, and tells no body", async () => {
    const { code, stdout } = await program.command("status")
    assert.strictEqual(code, 1)
    assert.match(stdout, /\d+ deliveries are parked/)
    for (const seen of ["HTTP 503", "410 Gone", "HTTP 302"]) assert.include(stdout, seen)
    assert.notInclude(stdout + running!.stderr(), SECRET)
    assert.match(running!.stderr(), /Deliveries are parked/)
  })

  it("get everything once they are well again, in the order of each row", async () => {
    for (const one of receivers.values()) one.answer = ways["well"]!
    const late = await startReceiver({ port: refusingPort })
    receivers.set("refused", late)
    assert.strictEqual((await program.command("subscriptions", "resume", idOf("gone"))).code, 0)
    await eventually("all is delivered", () => [...receivers.values()].every((one) => one.accepted.size === total), 40_000)
    for (const [name, one] of receivers) {
      assert.deepStrictEqual(orderProblems(one, new Set()), [], name)
      assert.deepStrictEqual(one.problems, [], name)
      assert.strictEqual(one.maxInFlightOfOneKey, 1, name)
    }
    await eventually("nothing is parked", () => count() === 0)
    assert.strictEqual((await program.command("status")).code, 0)
    assert.strictEqual((await running!.stop()).code, 0)
  })
})

describe("an endpoint that asks for a pause", () => {
  it("429 and 503 with Retry-After: no attempt before, then all of it", async () => {
    const seen = new Map<string, Array<number>>()
    const patient = await startReceiver({
      answer: ({ atMs, before, id, sequence }) => {
        seen.set(id, [...seen.get(id) ?? [], atMs])
        return before === 0 ? { status: sequence % 2 === 0 ? 429 : 503, headers: { "retry-after": "1" } } : { status: 200 }
      }
    })
    atEnd(() => patient.close())
    database.psql(`DELETE FROM pgstream.webhook_subscriptions`)
    subscribe(patient.url)
    const running = await program.run()
    database.psql(`INSERT INTO t SELECT g, 'x' FROM generate_series(101, 104) g`)
    await eventually("all of it comes", () => patient.accepted.size === 4)
    for (const [first, second] of seen.values()) assert.isAtLeast(second! - first!, 995)
    assert.deepStrictEqual([...seen.values()].map((times) => times.length), [2, 2, 2, 2])
    await running.stop()
  })
})

describe("an event that no attempt delivers", () => {
  it("is dead after the schedule, is kept with its body, and frees its row", async () => {
    const short = await makeProgram({
      url: database.url, slot,
      settings: {
        PGSTREAM_WEBHOOK_NOTIFIER_EXP_BACKOFF_INITIAL_INTERVAL: "20ms",
        PGSTREAM_WEBHOOK_NOTIFIER_PARK_AFTER: "100ms", PGSTREAM_WEBHOOK_NOTIFIER_REFUSED_SCHEDULE: "100ms 100ms"
      }
    })
    const picky = await startReceiver({ answer: ({ data }) => ({ status: data.action === "I" ? 400 : 200 }) })
    atEnd(() => picky.close())
    database.psql(`DELETE FROM pgstream.webhook_subscriptions`)
    subscribe(picky.url)
    const running = await short.run()
    database.psql(`INSERT INTO t VALUES (201, 'a'); UPDATE t SET v = 'b' WHERE id = 201`)
    await eventually("the update comes", () => picky.accepted.size === 1)
    assert.deepStrictEqual(picky.bodies.map((data) => data.action), ["U"])
    assert.strictEqual(count("state = 'dead' AND kind = 'I' AND convert_from(body, 'utf8') LIKE '%201%'"), 1)
    await eventually("only the dead one is left", () => count() === 1)
    const { code, stdout } = await short.command("status")
    assert.deepStrictEqual([code, /1 deliveries are not tried any more: .*HTTP 400/.test(stdout)], [1, true], stdout)
    await running.stop()
    const requests = picky.requests.length
    const again = await short.run()
    database.psql(`UPDATE t SET v = 'c' WHERE id = 201`)
    await eventually("the next update comes", () => picky.accepted.size === 2)
    assert.strictEqual(picky.requests.length, requests + 1, "the dead one is not tried after a start")
    await again.stop()
  })
})
