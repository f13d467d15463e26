/** What an answer means, through the program: 410, other 4xx, Retry-After, the breaker, the rate, days of failure, a proxy. */
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Scope from "effect/Scope"
import { afterAll, assert, describe, it } from "vitest"
import { atEnd } from "../support/atEnd.ts"
import { makeProgram, type Program, type RunningProgram, subscribe } from "../support/binary.ts"
import { launch } from "../support/cli.ts"
import { eventually, testDatabase } from "../support/database.ts"
import { serveProxy } from "../support/HttpProxy.ts"
import { type Answer, type Received, startReceiver, valueOf } from "../support/Receiver.ts"

const database = testDatabase("e2e_policies")
const daysDatabase = testDatabase("e2e_policies_days")
const proxyDatabase = testDatabase("e2e_policies_proxy")
const settings = {
  PGSTREAM_WEBHOOK_NOTIFIER_PARK_AFTER: "100ms",
  PGSTREAM_WEBHOOK_NOTIFIER_REFUSED_SCHEDULE: "100ms 200ms",
  PGSTREAM_WEBHOOK_NOTIFIER_PARKED_SCHEDULE: "200ms 300ms 500ms 1s 2s 2s 2s 2s 2s 2s",
  PGSTREAM_WEBHOOK_NOTIFIER_BREAKER_FAILURES: "4",
  PGSTREAM_WEBHOOK_NOTIFIER_BREAKER_PAUSE: "500ms",
  PGSTREAM_WEBHOOK_NOTIFIER_BREAKER_PAUSE_MAX: "1s"
}
const program = await makeProgram({ url: database.url, slot: `e2e_policies_${process.pid}`, settings })
const OK: Answer = { status: 200 }
/** Beside the others all the time: whatever they do, it gets everything. */
const healthy = await startReceiver()
const receivers: Array<Awaited<ReturnType<typeof startReceiver>>> = [healthy]
afterAll(() => Promise.all(receivers.map((receiver) => receiver.close())))

interface Target {
  readonly id: string
  readonly receiver: Awaited<ReturnType<typeof startReceiver>>
  readonly ids: () => ReadonlyArray<unknown>
}

/** A receiver of the rows of a table of its own. */
const target = async (table: string, answer: (received: Received) => Answer, of: Program = program, on = database): Promise<Target> => {
  const receiver = await startReceiver({ answer })
  receivers.push(receiver)
  on.psql(`CREATE TABLE ${table}(id int PRIMARY KEY, n int)`)
  const subscribed = await subscribe(of, { url: receiver.url, schema: "public", table })
  assert.strictEqual(subscribed.status, 201)
  return { id: String(subscribed.body["endpoint_id"]), receiver, ids: () => receiver.values("id") }
}

const range = (from: number, to: number) => Array.from({ length: to - from + 1 }, (_, n) => from + n)
const insert = (table: string, from: number, to: number, on = database) =>
  on.psql(`INSERT INTO ${table} SELECT g, 0 FROM generate_series(${from}, ${to}) g`)
const endpoint = async (id: string) =>
  (await (await fetch(`http://127.0.0.1:${program.apiPort}/webhooks/endpoints/${id}`)).json()) as Record<string, unknown>
const patch = (id: string, body: object) =>
  fetch(`http://127.0.0.1:${program.apiPort}/webhooks/endpoints/${id}`, {
    method: "PATCH", headers: { "content-type": "application/json" }, body: JSON.stringify(body)
  })
const states = (id: string) =>
  database.psql(`SELECT coalesce(string_agg(state || ' ' || attempts, ',' ORDER BY commit_lsn, ordinal), '') FROM pgstream.webhook_deliveries WHERE endpoint_id = '${id}'`).trim()
const idOf = ({ data }: Received) => Number(valueOf(data.columns, "id"))

const run = () => program.run("--log-level", "info", "--log-format", "json")
let running: RunningProgram

describe("what an answer means", () => {
  it("starts", async () => {
    await program.init()
    running = await run()
    assert.strictEqual((await subscribe(program, { url: healthy.url, schema: "public" })).status, 201)
  })

  it("410 disables the endpoint, also across a restart; resumed, it goes on where it stopped", async () => {
    let gone = false
    const { id, ids, receiver } = await target("gone", () => (gone ? { status: 410 } : OK))
    insert("gone", 1, 3)
    await eventually("the first rows arrived", () => ids().length === 3)
    gone = true
    insert("gone", 4, 4)
    await eventually("it is disabled", async () => (await endpoint(id))["state"] === "disabled")
    assert.match(String((await endpoint(id))["paused_reason"]), /410 Gone/)
    const asked = receiver.requests.length
    insert("gone", 5, 60)
    database.psql(`UPDATE gone SET n = 1 WHERE id = 4`)
    await eventually("the others have it all", () => healthy.accepted.size >= 61)
    await running.stop()
    running = await run()
    insert("gone", 61, 61)
    await eventually("the others have that, too", () => healthy.accepted.size >= 62)
    assert.strictEqual(receiver.requests.length, asked)
    const status = await program.command("status")
    assert.match(status.stdout, /EndpointDisabled/)
    assert.include(status.stdout, `pgstream subscriptions resume ${id}`)
    gone = false
    const resumed = await program.command("subscriptions", "resume", id)
    assert.strictEqual(resumed.code, 0, resumed.stderr)
    await eventually("everything arrived", () => receiver.accepted.size === 62)
    assert.deepStrictEqual(ids().toSorted((a, b) => Number(a) - Number(b)), [1, 2, 3, 4, ...range(4, 61)])
    const four = receiver.bodies.filter((data) => valueOf(data.columns, "id") === 4)
    assert.deepStrictEqual(four.map((data) => valueOf(data.columns, "n")), [0, 1])
    assert.strictEqual((await endpoint(id))["state"], "active")
    assert.deepStrictEqual(receiver.problems, [])
  })

  it("what is refused follows the short schedule and is dead; its row goes on", async () => {
    const { id, receiver } = await target("refused", (received) => (idOf(received) === 1 && received.data.action === "I" ? { status: 422 } : OK))
    insert("refused", 1, 2)
    database.psql(`UPDATE refused SET n = 7 WHERE id = 1`)
    await eventually("it is dead", () => states(id) === "dead 3")
    await eventually("its row went on", () => receiver.accepted.size === 2)
    assert.deepStrictEqual(new Set(receiver.bodies.map((data) => `${data.action} ${valueOf(data.columns, "id")}`)), new Set(["I 2", "U 1"]))
    assert.strictEqual((await endpoint(id))["state"], "active")
  })

  it("409 comes again until the other row is there", async () => {
    const { id, receiver } = await target("early", (received) =>
      (idOf(received) === 1 && !receiver.bodies.some((data) => valueOf(data.columns, "id") === 2) ? { status: 409 } : OK))
    insert("early", 1, 1)
    await eventually("it was refused more often than the short schedule goes", () => receiver.requests.length >= 4)
    insert("early", 2, 2)
    await eventually("both arrived", () => receiver.accepted.size === 2)
    await eventually("nothing is left", () => states(id) === "")
  })

  it("Retry-After is kept to by the whole endpoint", async () => {
    let busyUntil = 0
    const { receiver, ids } = await target("busy", (received) => {
      if (idOf(received) !== 1 || busyUntil !== 0) return OK
      busyUntil = Date.now() + 2_000
      return { status: 503, headers: { "retry-after": "2" } }
    })
    insert("busy", 1, 1)
    await eventually("it was asked to wait", () => busyUntil > 0)
    insert("busy", 2, 20)
    await eventually("everything arrived", () => ids().length === 20)
    const early = receiver.requests.filter(({ atMs, before, data }) => atMs < busyUntil && !(valueOf(data.columns, "id") === 1 && before === 0))
    assert.lengthOf(early, 0)
  })

  it("one that fails again and again is left alone for a while; what was kept starts at once when it answers", async () => {
    let down = true
    const { receiver, ids } = await target("down", () => (down ? { status: 500 } : OK))
    insert("down", 1, 200)
    await eventually("the others have it all", () => healthy.values("id", "down").length === 200)
    // Without the breaker 200 rows on the schedule come in swarms.
    await eventually("one request at a time, with pauses", () => {
      const gaps = receiver.requests.slice(1).map(({ atMs }, n) => atMs - receiver.requests[n]!.atMs)
      return gaps.some((_, n) => gaps.slice(n, n + 3).filter((gapMs) => gapMs >= 200).length === 3)
    })
    insert("down", 201, 400)
    await eventually("all are with the others", () => healthy.values("id", "down").length === 400)
    down = false
    await eventually("everything arrived", () => ids().length === 400)
    assert.strictEqual(receiver.accepted.size, 400)
  })

  it("holds to the rate", async () => {
    const { id, receiver, ids } = await target("slow", () => OK)
    insert("slow", 1, 1)
    await eventually("it is known", () => ids().length === 1)
    assert.strictEqual((await patch(id, { rate: 20 })).status, 200)
    assert.strictEqual((await endpoint(id))["rate"], 20)
    await eventually("it is in force", () => running.stderr().split("\n").some((line) => line.includes("Endpoint settings changed.") && line.includes(id)))
    insert("slow", 2, 60)
    await eventually("everything arrived", () => ids().length === 60)
    const at = receiver.requests.slice(1).map(({ atMs }) => atMs).toSorted((a, b) => a - b)
    for (const [n, from] of at.entries()) {
      const within = at.slice(n).filter((atMs) => atMs < from + 1_000).length
      assert.isAtMost(within, 20 + 2 + 3, `in the second from request ${n}`)
    }
  })
})

describe("days of failure", () => {
  it("disable an endpoint, counted across a restart", async () => {
    const other = await makeProgram({
      url: daysDatabase.url, slot: `e2e_policies_days_${process.pid}`,
      settings: { ...settings, PGSTREAM_WEBHOOK_NOTIFIER_DISABLE_AFTER: "12s", PGSTREAM_WEBHOOK_NOTIFIER_PARKED_SCHEDULE: "500ms ".repeat(200).trim() }
    })
    await other.init()
    const running = await other.run()
    const { id } = await target("days", () => ({ status: 503 }), other, daysDatabase)
    insert("days", 1, 5, daysDatabase)
    const sinceOf = () => daysDatabase.psql(`SELECT failing_since FROM pgstream.endpoint_streams WHERE endpoint_id = '${id}'`).trim()
    await eventually("it is known to fail", () => sinceOf() !== "")
    const since = sinceOf()
    await running.crash()
    await other.run()
    await eventually("it is disabled", () =>
      daysDatabase.psql(`SELECT disabled_reason FROM pgstream.endpoint_streams WHERE endpoint_id = '${id}'`).includes("accepted nothing for 12 s"), 60_000)
    assert.strictEqual(sinceOf(), since)
  })
})

describe("a proxy of the environment", () => {
  it("is used for webhooks, and not for the hosts of NO_PROXY", async () => {
    const scope = await Effect.runPromise(Scope.make())
    atEnd(() => Effect.runPromise(Scope.close(scope, Exit.void)))
    const proxy = await Effect.runPromise(Effect.provideService(serveProxy(), Scope.Scope, scope))
    const other = await makeProgram({ url: proxyDatabase.url, slot: `e2e_policies_proxy_${process.pid}`, settings })
    await other.init()
    const running = launch(["run", "-c", other.envFile], { HTTP_PROXY: `http://user:hush@127.0.0.1:${proxy.port}`, no_proxy: "127.0.0.1" })
    atEnd(async () => {
      running.child.kill("SIGKILL")
      await running.ended
    })
    await eventually("it follows the slot", () => running.stderr().includes("Following the slot."))
    const straight = await target("straight", () => OK, other, proxyDatabase)
    const receiver = await startReceiver()
    receivers.push(receiver)
    const url = `http://receiver.example:${receiver.port}/webhook`
    assert.strictEqual((await subscribe(other, { url, schema: "public", table: "straight" })).status, 201)
    insert("straight", 1, 5, proxyDatabase)
    await eventually("both have it", () => receiver.accepted.size === 5 && straight.receiver.accepted.size === 5)
    assert.deepStrictEqual(new Set(proxy.asked.map((asked) => asked.target)), new Set([url]))
    assert.notInclude(running.stderr(), "hush")
  })
})
