/** The proof while the service works: a number is never taken for delivered before the receiver has it. */
import { afterAll, assert, it } from "vitest"
import { makeProgram, subscribe } from "../support/binary.ts"
import { eventually, testDatabase } from "../support/database.ts"
import { startReceiver } from "../support/Receiver.ts"

const database = testDatabase("proof_load")
const program = await makeProgram({
  url: database.url, slot: `proof_load_${process.pid}`,
  settings: {
    PGSTREAM_WEBHOOK_NOTIFIER_PARK_AFTER: "100ms", PGSTREAM_WEBHOOK_NOTIFIER_REFUSED_SCHEDULE: "100ms 100ms",
    PGSTREAM_WEBHOOK_NOTIFIER_PARKED_SCHEDULE: "100ms 100ms 200ms 200ms 500ms 500ms 1s 1s 1s 1s"
  }
})
let n = 0
const receiver = await startReceiver({ answer: () => ({ status: ++n % 7 === 0 ? 503 : n % 31 === 0 ? 422 : 200 }) })
afterAll(() => receiver.close())

interface Account { readonly ranges: ReadonlyArray<{ readonly first: number; readonly last: number }>; readonly count: number; readonly more_ranges: number }
const states = ["delivered", "waiting", "dead", "suspended", "withdrawn", "purged"] as const
type Proof = Readonly<Record<typeof states[number], Account>> & { readonly endpoint_id: string; readonly given: number }

it("holds at every moment, under failures, pauses, purges and a kill", async () => {
  database.psql("CREATE TABLE load (id int PRIMARY KEY, name text)")
  await program.init()
  let running = await program.run()
  const endpoint = String((await subscribe(program, { url: receiver.url, schema: "public", table: "load" })).body["endpoint_id"])
  const call = async (path: string, method = "GET", body?: object) =>
    (await fetch(`http://127.0.0.1:${program.apiPort}${path}`, {
      method, ...(body === undefined ? {} : { headers: { "content-type": "application/json" }, body: JSON.stringify(body) })
    })).json()
  const proof = async () => ((await call("/webhooks/verify")) as { readonly endpoints: ReadonlyArray<Proof> }).endpoints[0]
  let checks = 0
  const check = async () => {
    const known = await proof()
    if (known === undefined) return
    checks++
    const has = new Set([...receiver.accepted.values()].map(({ sequence }) => sequence))
    const lacks = known.delivered.ranges.flatMap(({ first, last }) =>
      Array.from({ length: last - first + 1 }, (_, i) => first + i).filter((number) => !has.has(number)))
    assert.deepStrictEqual(lacks, [], `taken for delivered: ${JSON.stringify(known)}`)
    assert.strictEqual(states.reduce((sum, state) => sum + known[state].count, 0), known.given)
  }
  let id = 0
  for (let round = 0; round < 12; round++) {
    for (let i = 0; i < 5; i++) {
      database.psql(`INSERT INTO load SELECT g, 'x' FROM generate_series(${id + 1}, ${id + 40}) g`)
      id += 40
      await check()
    }
    if (round % 3 === 0) await call(`/webhooks/endpoints/${endpoint}`, "PATCH", { paused: true })
    if (round % 3 === 1) await call(`/webhooks/endpoints/${endpoint}`, "PATCH", { paused: false })
    if (round % 4 === 2) await call("/webhooks/deliveries/purge", "POST", { key: `id=${id - 3}` })
    if (round === 6) {
      await running.crash()
      running = await program.run()
    }
    await check()
  }
  await call(`/webhooks/endpoints/${endpoint}`, "PATCH", { paused: false })
  await eventually("all is settled", async () => {
    await check()
    const known = await proof()
    return known!.given === id && known!.waiting.count === 0
  }, 60_000)
  assert.isAbove(checks, 60)
}, 180_000)
