/** Order as a receiver sees it: what is in flight at once, and what comes before what. */
import { afterAll, assert, describe, it } from "vitest"
import { makeProgram, subscribe } from "../support/binary.ts"
import { eventually, testDatabase } from "../support/database.ts"
import { type Received, startReceiver, valueOf } from "../support/Receiver.ts"
import { startSession } from "../support/sessions.ts"

const database = testDatabase("e2e_order")
const program = await makeProgram({ url: database.url, slot: `e2e_order_${process.pid}` })
/** Late enough that requests overlap, by a delay of its own each. */
const late = ({ sequence }: Received) => ({ status: 200, delayMs: 1 + sequence % 5 })
const total = await startReceiver({ answer: late })
const byKey = await startReceiver({ answer: late })
afterAll(() => Promise.all([total.close(), byKey.close()]))

const ROWS = 40
const ROUNDS = 10

describe("two endpoints, one with total order and one by key", () => {
  it("each get every change of four sessions that write the same rows", async () => {
    database.psql(`CREATE TABLE items(id int PRIMARY KEY, n int); CREATE TABLE logs(line text)`)
    await program.init()
    const running = await program.run()
    for (const receiver of [total, byKey]) {
      assert.strictEqual((await subscribe(program, { url: receiver.url, schema: "public" })).status, 201)
    }
    database.psql(`UPDATE pgstream.webhook_endpoints SET order_mode = 'total', concurrency = 16 WHERE url = '${total.url}'`)
    await running.stop()
    const again = await program.run()
    database.psql(`INSERT INTO items SELECT g, 0 FROM generate_series(1, ${ROWS}) g`)
    const round = (n: number) => `UPDATE items SET n = n + 1 WHERE id % 4 = ${n}; INSERT INTO logs SELECT 'x' FROM generate_series(1, 5);`
    const sessions = await Promise.all([0, 1, 2, 3].map((n) => startSession(database.name, round(n).repeat(ROUNDS))))
    assert.deepStrictEqual(sessions.map(({ messages }) => messages), ["", "", "", ""])
    const expected = ROWS + ROWS * ROUNDS + 4 * ROUNDS * 5
    await eventually(`${expected} events at each`, () => total.accepted.size >= expected && byKey.accepted.size >= expected)
    assert.strictEqual((await again.stop()).code, 0)
    assert.deepStrictEqual([total.accepted.size, byKey.accepted.size], [expected, expected])
    assert.deepStrictEqual([...total.problems, ...byKey.problems], [])
  })

  it("total: never two requests in flight, in the order of the stream", () => {
    assert.strictEqual(total.maxInFlight, 1)
    assert.deepStrictEqual([...total.accepted.values()].map(({ sequence }) => sequence), [...total.accepted.keys()].map((_, n) => n + 1))
  })

  it("key: never two of one row in flight, but several of different rows, and each row's changes in order", () => {
    assert.strictEqual(byKey.maxInFlightOfOneKey, 1)
    assert.isAbove(byKey.maxInFlight, 1)
    for (let id = 1; id <= ROWS; id++) {
      const mine = byKey.bodies.filter((data) => data.table === "items" && valueOf(data.columns, "id") === id)
      assert.deepStrictEqual(mine.map((data) => valueOf(data.columns, "n")), Array.from({ length: ROUNDS + 1 }, (_, n) => n))
    }
  })
})
