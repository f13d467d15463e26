/** What a removed subscription alone selects is not sent any more: after the answer, after plain SQL, after a start. */
import { afterAll, assert, describe, it } from "vitest"
import { callApi, makeProgram, subscribe } from "../support/binary.ts"
import { eventually, testDatabase } from "../support/database.ts"
import { type Received, startReceiver } from "../support/Receiver.ts"

const database = testDatabase("e2e_unsubscribe")
const program = await makeProgram({
  url: database.url, slot: `e2e_unsubscribe_${process.pid}`, settings: { PGSTREAM_WEBHOOK_NOTIFIER_CONCURRENCY: "4", PGSTREAM_WEBHOOK_NOTIFIER_CLIENT_TIMEOUT: "2s" }
})
const receiver = await startReceiver()
afterAll(() => receiver.close())

const parked = () => Number(database.psql("SELECT count(*) FROM pgstream.webhook_deliveries").trim())
const insert = (table: string, from: number, to: number) =>
  database.psql(`INSERT INTO ${table} SELECT generate_series(${from}, ${to})`)
const of = (table: string): ReadonlyArray<Received> => receiver.requests.filter(({ data }) => data.table === table)
const of404 = (table: string) => (one: Received) => ({ status: one.data.table === table ? 404 : 200 })

describe("a subscription that is removed", () => {
  it("by the API: no request of it starts after the answer; what others select goes on", async () => {
    database.psql("CREATE TABLE a(id int PRIMARY KEY); CREATE TABLE b(id int PRIMARY KEY)")
    await program.init()
    const running = await program.run()
    for (const table of ["a", "b"]) assert.strictEqual((await subscribe(program, { url: receiver.url, schema: "public", table })).status, 201)
    receiver.answer = of404("a")
    insert("a", 1, 20)
    await eventually("what fails is parked", () => parked() === 20)
    receiver.answer = () => "hang"
    insert("a", 21, 60)
    insert("b", 1, 3)
    await eventually("requests are in flight", () => receiver.inFlight === 4)
    const answer = await callApi(program, "/webhooks/unsubscribe", { url: receiver.url, schema: "public", table: "a" })
    const before = of("a").length
    assert.strictEqual(answer.status, 200)
    receiver.answer = () => ({ status: 200 })
    insert("a", 61, 80)
    await eventually("b goes on", () => new Set(of("b").map(({ id }) => id)).size === 3, 30_000)
    assert.strictEqual(of("a").length, before)
    await eventually("the table is empty", () => parked() === 0)
    assert.strictEqual((await subscribe(program, { url: receiver.url, schema: "public", table: "a" })).status, 201)
    insert("a", 81, 81)
    await eventually("a row added again counts from its place", () => of("a").length === before + 1)
    assert.strictEqual(of("a").at(-1)?.sequence, 20 + 40 + 3 + 1)
    assert.strictEqual((await running.stop()).code, 0)
  })

  it("by SQL: when the stream has it", async () => {
    const running = await program.run()
    receiver.answer = of404("a")
    insert("a", 101, 110)
    await eventually("what fails is parked", () => parked() === 10)
    database.psql("DELETE FROM pgstream.webhook_subscriptions WHERE table_name = 'a'")
    await eventually("the table is empty", () => parked() === 0)
    assert.strictEqual((await running.stop()).code, 0)
  })

  it("while the service was down: at its start; with its last one the endpoint ends, and its deliveries", async () => {
    const running = await program.run()
    receiver.answer = of404("b")
    insert("b", 101, 110)
    await eventually("what fails is parked", () => parked() === 10)
    await running.crash()
    database.psql("DELETE FROM pgstream.webhook_subscriptions")
    insert("b", 201, 210)
    const before = receiver.requests.length
    receiver.answer = () => ({ status: 200 })
    const again = await program.run()
    await eventually("the table is empty", () => parked() === 0)
    assert.strictEqual((await subscribe(program, { url: receiver.url, schema: "public", table: "b" })).status, 201)
    insert("b", 301, 301)
    await eventually("a new endpoint gets what comes", () => receiver.requests.length > before)
    assert.strictEqual(receiver.requests.length, before + 1)
    assert.strictEqual(receiver.requests.at(-1)?.sequence, 1)
    assert.strictEqual((await again.stop()).code, 0)
    assert.deepStrictEqual(receiver.problems, [])
  })
})
