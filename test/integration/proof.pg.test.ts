/**
 * `pgstream verify` through the binary, in one long life of an endpoint: after each state every number that was given is
 * in exactly one place, and what the proof takes for delivered is what the receiver has.
 */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterAll, assert, describe, it } from "vitest"
import { callApi, makeProgram, type RunningProgram, subscribe } from "../support/binary.ts"
import { eventually, testDatabase } from "../support/database.ts"
import { type Received, startReceiver, valueOf } from "../support/Receiver.ts"

const database = testDatabase("proof")
const program = await makeProgram({
  url: database.url, slot: `proof_${process.pid}`,
  settings: {
    PGSTREAM_WEBHOOK_NOTIFIER_REFUSED_SCHEDULE: "100ms", PGSTREAM_WEBHOOK_NOTIFIER_PARK_AFTER: "100ms",
    PGSTREAM_WEBHOOK_NOTIFIER_PARKED_SCHEDULE: "1h", PGSTREAM_WEBHOOK_NOTIFIER_BREAKER_FAILURES: "10000",
    PGSTREAM_WEBHOOK_NOTIFIER_BREAKER_RATE: "101", PGSTREAM_WEBHOOK_NOTIFIER_BUDGET_BYTES: "60000"
  }
})
const folder = mkdtempSync(join(tmpdir(), "pgstream-proof-"))
let answer = (_: Received): number => 200
const receiver = await startReceiver({ answer: (received) => ({ status: answer(received) }) })
const elsewhere = await startReceiver({})
afterAll(async () => {
  rmSync(folder, { recursive: true, force: true })
  await Promise.all([receiver.close(), elsewhere.close()])
})

interface Account {
  readonly count: number
  readonly ranges: ReadonlyArray<{ readonly first: number; readonly last: number }>
}
const states = ["delivered", "waiting", "dead", "suspended", "withdrawn", "purged"] as const
type Proof = Readonly<Record<typeof states[number], Account>> & {
  readonly endpoint_id: string
  readonly given: number
  readonly epoch: string
  readonly earlier_epochs: number
}

let running: RunningProgram
let endpoint = ""
let nextId = 1

const idOf = ({ data }: Received) => Number(valueOf(data.columns ?? data.identity, "id"))
const api = async (path: string, method = "GET", body?: object) =>
  (await fetch(`http://127.0.0.1:${program.apiPort}${path}`, {
    method, ...(body === undefined ? {} : { headers: { "content-type": "application/json" }, body: JSON.stringify(body) })
  })).json() as Promise<never>
/** Before its first number was stored nothing is known of an endpoint. */
const nothing = { given: 0, ...Object.fromEntries(["delivered", "waiting", "dead", "suspended", "withdrawn", "purged"].map((state) => [state, { count: 0, ranges: [] }])) }
const proof = async (): Promise<Proof> =>
  (await api("/webhooks/verify") as { readonly endpoints: ReadonlyArray<Proof> }).endpoints.find((each) => each.endpoint_id === endpoint)
  ?? nothing as unknown as Proof
const counts = async () => {
  const known = await proof()
  return Object.fromEntries(states.flatMap((state) => known[state].count === 0 ? [] : [[state, known[state].count]]))
}
/** Inserts rows with ids that go on, and returns them. */
const insert = (count: number, table = "users", more = "''") => {
  const first = nextId
  nextId += count
  database.psql(`INSERT INTO ${table} SELECT g, ${more} FROM generate_series(${first}, ${nextId - 1}) g`)
  return { first, last: nextId - 1 }
}
const run = async (...args: ReadonlyArray<string>) => {
  const ended = await program.command(...args)
  assert.strictEqual(ended.code, 0, `${args.join(" ")}: ${ended.stderr}${ended.stdout}`)
  return ended.stdout
}
/** What the receiver accepted, as its own list. */
const acceptedLines = () => [...receiver.accepted.values()].filter(({ epoch }) => epoch !== "").map(({ endpoint: of, epoch, id, sequence }) =>
  JSON.stringify({ headers: { "Webhook-Id": id, "Webhook-Sequence": String(sequence), "Webhook-Epoch": epoch, "Webhook-Endpoint": of } }))
const list = (content: ReadonlyArray<string>): string => {
  const file = join(folder, "received")
  writeFileSync(file, `${content.join("\n")}\n`)
  return file
}
/** The sum is right, and the receiver has each number that counts as delivered. */
const settled = async (expected: Readonly<Record<string, number>>) => {
  let last = ""
  await eventually(`it is ${JSON.stringify(expected)}`, async () => {
    const now = await counts()
    last = JSON.stringify(now)
    return JSON.stringify(Object.entries(now).sort()) === JSON.stringify(Object.entries(expected).sort())
  }).catch((error: unknown) => { throw new Error(`${String(error)}: it was ${last}`) })
  const known = await proof()
  assert.strictEqual(states.reduce((sum, state) => sum + known[state].count, 0), known.given)
  const text = await run("verify", "--endpoint", endpoint, "--received", list(acceptedLines()))
  assert.include(text, "Nothing is missing.")
  assert.notInclude(text, "though not counted", text)
}

describe("the proof of one endpoint", () => {
  it("delivered", async () => {
    database.psql("CREATE TABLE users (id int PRIMARY KEY, name text); CREATE TABLE orders (id int PRIMARY KEY, name text)")
    await program.init()
    running = await program.run()
    const subscribed = await subscribe(program, { url: receiver.url, schema: "public", table: "users" })
    endpoint = String(subscribed.body["endpoint_id"])
    insert(20)
    await settled({ delivered: 20 })
  }, 120_000)

  it("dead, and waiting in rows; after kill -9", async () => {
    answer = (received) => [21, 31].includes(idOf(received)) ? 422 : [22, 32].includes(idOf(received)) ? 503 : 200
    insert(20)
    await settled({ delivered: 36, dead: 2, waiting: 2 })
    await running.crash()
    running = await program.run()
    await settled({ delivered: 36, dead: 2, waiting: 2 })
  }, 120_000)

  it("waiting in segments; purged there; after kill -9; listed, newest and oldest first, page by page", async () => {
    await api(`/webhooks/endpoints/${endpoint}`, "PATCH", { paused: true })
    insert(30)
    await settled({ delivered: 36, dead: 2, waiting: 32 })
    interface Page { readonly deliveries: ReadonlyArray<{ readonly sequence: number; readonly id: string }>; readonly next: string | null }
    const numbersOf = async (query: string) => {
      const seen: Array<number> = []
      for (let cursor = ""; ;) {
        const { deliveries, next } = await api(`/webhooks/deliveries?state=waiting&limit=20&${query}${cursor}`) as Page
        seen.push(...deliveries.map(({ sequence }) => sequence))
        if (next === null) return seen
        cursor = `&cursor=${next}`
      }
    }
    const all = [22, 32, ...Array.from({ length: 30 }, (_, i) => 41 + i)]
    assert.deepStrictEqual(await numbersOf("order=oldest"), all)
    assert.deepStrictEqual(await numbersOf("order=newest"), all.toReversed())
    const one = JSON.parse(await run("deliveries", "list", "--key", "id=44", "--json")) as { readonly deliveries: ReadonlyArray<{ readonly id: string }> }
    assert.include(await run("deliveries", "show", one.deliveries[0]!.id, "--body"), '"value":44')
    assert.match(await run("deliveries", "replay", "--state", "waiting", "--to", elsewhere.url), /is done: 32 deliveries/)
    assert.deepStrictEqual([...elsewhere.accepted.values()].map(({ sequence }) => sequence).sort((a, b) => a - b), all)
    assert.isTrue([...elsewhere.accepted.keys()].includes(one.deliveries[0]!.id))
    await run("deliveries", "purge", "--key", "id=45")
    assert.deepStrictEqual(await numbersOf("order=newest"), all.filter((n) => n !== 45).toReversed())
    await settled({ delivered: 36, dead: 2, waiting: 31, purged: 1 })
    await running.crash()
    running = await program.run()
    await settled({ delivered: 36, dead: 2, waiting: 31, purged: 1 })
  }, 120_000)

  it("withdrawn: what only another row of the endpoint selected, removed again", async () => {
    const orders = { url: receiver.url, schema: "public", table: "orders" }
    assert.strictEqual(String((await subscribe(program, orders)).body["endpoint_id"]), endpoint)
    insert(3, "orders")
    insert(1)
    await settled({ delivered: 36, dead: 2, waiting: 35, purged: 1 })
    assert.strictEqual((await callApi(program, "/webhooks/unsubscribe", orders)).status, 200)
    insert(1, "orders")
    await running.crash()
    running = await program.run()
    await api(`/webhooks/endpoints/${endpoint}`, "PATCH", { paused: false })
    await settled({ delivered: 66, dead: 2, waiting: 2, withdrawn: 3, purged: 1 })
    await api(`/webhooks/endpoints/${endpoint}`, "PATCH", { paused: true })
  }, 120_000)

  it("suspended over the budget, also after a restart; resumed, what is not kept stays so", async () => {
    insert(20, "users", "repeat('x', 4000)")
    await eventually("some are suspended", async () => {
      insert(1)
      return (await proof()).suspended.count > 0
    })
    insert(5)
    const numbered = () => nextId - 1 - 1
    await eventually("all are given", async () => (await proof()).given === numbered())
    const { suspended, waiting } = await proof()
    await running.crash()
    running = await program.run()
    const others = { dead: 2, withdrawn: 3, purged: 1, suspended: suspended.count }
    await settled({ delivered: 66, waiting: waiting.count, ...others })
    // Resumed, all that waits is due at once, also what would have waited for an hour.
    answer = () => 200
    await run("subscriptions", "resume", endpoint)
    await settled({ delivered: 66 + waiting.count, ...others })
    assert.match(await run("deliveries", "retry", "--all"), /is done: 2 deliveries/)
    const { dead: _, ...left } = others
    await settled({ delivered: 66 + waiting.count + 2, ...left })
  }, 120_000)

  it("a list with losses, duplicates and lines of other epochs names what is missing, in each form", async () => {
    const all = [...receiver.accepted.values()].sort((a, b) => a.sequence - b.sequence)
    const lost = all[7]!
    const rest = all.filter((each) => each !== lost)
    const forms: ReadonlyArray<readonly [string, (received: Received) => string]> = [
      ["a number", ({ sequence }) => String(sequence)],
      ["epoch and number", ({ epoch, sequence }) => `${epoch} ${sequence}`],
      ["JSON", ({ epoch, id, sequence }) => JSON.stringify({ "webhook-id": id, "webhook-epoch": epoch, "webhook-sequence": sequence })]
    ]
    for (const [form, lineOf] of forms) {
      const lines = rest.map(lineOf)
      const ended = await program.command("verify", "--endpoint", endpoint, "--received", list([...lines, lines[0]!, "", `00000000000000e1 ${lost.sequence}`]))
      assert.strictEqual(ended.code, 1, form)
      assert.match(ended.stdout, new RegExp(`^MISSING: ${lost.sequence} \\(1\\)$`, "m"), form)
      assert.match(ended.stdout, new RegExp(`^received twice: ${rest[0]!.sequence}$`, "m"), form)
      assert.include(ended.stderr, "1 lines are of another endpoint or epoch.", form)
    }
    // Ids alone: of the last hundred the log has the names.
    const [last] = all.toReversed()
    const ids = await program.command("verify", "--endpoint", endpoint, "--received", list(all.filter((each) => each !== last).map(({ id }) => id)))
    assert.strictEqual(ids.code, 1)
    assert.include(ids.stdout, `MISSING: ${last!.id}`)
  }, 120_000)
})

describe("a new slot", () => {
  it("is a new epoch: what an earlier one left is said beside it, and goes out under its own", async () => {
    await api(`/webhooks/endpoints/${endpoint}`, "PATCH", { paused: true })
    insert(4)
    await eventually("they wait", async () => (await proof()).waiting.count === 4)
    const before = await proof()
    await running.stop()
    database.psql(`SELECT pg_drop_replication_slot('${program.slot}')`)
    assert.include((await program.init()).stderr, "1 endpoints start paused")
    running = await program.run()
    insert(3)
    await settled({ waiting: 3 })
    const now = await proof()
    assert.notStrictEqual(now.epoch, before.epoch)
    assert.deepStrictEqual([now.given, now.earlier_epochs], [3, 4])
    await api(`/webhooks/endpoints/${endpoint}`, "PATCH", { paused: false })
    await settled({ delivered: 3 })
    assert.strictEqual((await proof()).earlier_epochs, 0)
    assert.deepStrictEqual(
      [...receiver.accepted.values()].slice(-7).map(({ epoch, sequence }) => [epoch, sequence]),
      [...[1, 2, 3, 4].map((n) => [before.epoch, before.given - 4 + n]), ...[1, 2, 3].map((n) => [now.epoch, n])]
    )
  }, 120_000)
})
