/** Two services on one slot: the second waits, changes nothing meanwhile, and takes over when the first has ended. */
import { afterAll, assert, describe, it } from "vitest"
import { makeProgram, subscribe } from "../support/binary.ts"
import { eventually, testDatabase } from "../support/database.ts"
import { startReceiver } from "../support/Receiver.ts"

const database = testDatabase("e2e_second")
const slot = `e2e_second_${process.pid}`
const first = await makeProgram({ url: database.url, slot })
/** Other settings that decide the numbers: who starts with them starts the counts anew. */
const second = await makeProgram({ url: database.url, slot, settings: { PGSTREAM_INJECTOR_STORE_POSTGRES_URL: database.url } })
const receiver = await startReceiver()
afterAll(() => receiver.close())

const state = () => database.psql(`
  SELECT 'count ' || count || ' epoch ' || epoch FROM pgstream.endpoint_streams
  UNION ALL SELECT 'versions ' || versions FROM pgstream.checkpoint
  UNION ALL SELECT 'generation ' || generation FROM pgstream.stream_writers`).trim()

describe("a second service on the slot", () => {
  it("changes nothing before the slot is its own; then it takes over", async () => {
    database.psql("CREATE TABLE t(id int PRIMARY KEY)")
    await first.init()
    const running = await first.run()
    assert.strictEqual((await subscribe(first, { url: receiver.url, schema: "public" })).status, 201)
    database.psql("INSERT INTO t VALUES (1)")
    await eventually("it is delivered", () => receiver.values("id").includes(1))
    await eventually("its count is stored", () => state().includes("count 1 "))
    const before = state()
    const waiting = second.start()
    await eventually("the second finds the slot in use", () => waiting.stderr().includes("SlotInUse"))
    assert.strictEqual(state(), before)
    database.psql("INSERT INTO t VALUES (2)")
    await eventually("the first goes on", () => receiver.values("id").includes(2))
    assert.strictEqual(receiver.requests.at(-1)?.sequence, 2)
    await running.crash()
    database.psql("INSERT INTO t VALUES (3)")
    await eventually("the second takes over", () => receiver.values("id").includes(3), 60_000)
    assert.notStrictEqual(state(), before)
    assert.strictEqual((await waiting.stop()).code, 0)
    assert.deepStrictEqual(receiver.problems, [])
  })
})
