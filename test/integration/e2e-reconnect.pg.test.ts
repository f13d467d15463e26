/** A connection that is lost in the middle of transactions, again and again: nothing twice, nothing missing. */
import { afterAll, assert, describe, it } from "vitest"
import { makeProgram, subscribe } from "../support/binary.ts"
import { eventually, testDatabase } from "../support/database.ts"
import { startReceiver } from "../support/Receiver.ts"

const database = testDatabase("e2e_reconnect")
const program = await makeProgram({
  url: database.url, slot: `e2e_reconnect_${process.pid}`,
  settings: { PGSTREAM_POSTGRES_LISTENER_BACKOFF_INTERVAL: "50ms" }
})
const receiver = await startReceiver({ answer: () => ({ status: 200, delayMs: 2 }) })
afterAll(() => receiver.close())

const ROWS = 6_000
/** Rows and DDL of three tables in one transaction, then a small one: about 20 chunks. */
const fill = (n: number) => `
  BEGIN;
  CREATE TABLE a${n}(id int PRIMARY KEY, note text);
  INSERT INTO a${n} SELECT g, repeat('x', 300) FROM generate_series(1, ${ROWS}) g;
  ALTER TABLE a${n} ADD COLUMN more int DEFAULT ${n};
  UPDATE a${n} SET more = 7 WHERE id <= 1000;
  ALTER TABLE a${n} DROP COLUMN note;
  CREATE TABLE b${n}(line text);
  INSERT INTO b${n} SELECT 'y' FROM generate_series(1, 1000);
  TRUNCATE b${n}, a${n};
  COMMIT;
  INSERT INTO b${n} VALUES ('last');`
/** Rows, updates, truncates, the last row; with table_ids and schema_log: 2 ids, 4 entries. */
const EACH = ROWS + 1_000 + 1_000 + 2 + 1 + 6

describe("a walsender that is ended in the middle of transactions", () => {
  it("costs a reconnect: each event comes once, with gapless numbers, and each row with its columns", async () => {
    await program.init()
    const running = await program.run()
    assert.strictEqual((await subscribe(program, { url: receiver.url })).status, 201)
    for (let n = 1; n <= 2; n++) database.psql(fill(n))
    let ended = 0
    await eventually("all events", () => {
      if (receiver.accepted.size >= 2 * EACH) return true
      if (ended < 12 && receiver.accepted.size > ended * 600) {
        const gone = database.psql(`SELECT pg_terminate_backend(active_pid) FROM pg_replication_slots WHERE slot_name = '${program.slot}' AND active`)
        if (gone.trim() === "t") ended++
      }
      return false
    }, 60_000)
    assert.isAtLeast(ended, 5)
    assert.strictEqual((await running.stop()).code, 0)
    const events = [...receiver.accepted.values()]
    assert.isEmpty(receiver.problems)
    assert.strictEqual(receiver.requests.length, events.length, "none came twice")
    assert.deepStrictEqual(events.map(({ sequence }) => sequence).sort((x, y) => x - y), events.map((_, i) => i + 1))
    assert.strictEqual(events.length, 2 * EACH)
    for (const { data } of events.filter((one) => one.data.table === "a2" && one.data.action !== "T")) {
      assert.deepStrictEqual(data.columns?.map(({ name }) => name), data.action === "I" ? ["id", "note"] : ["id", "note", "more"])
    }
  }, 120_000)
})
