/** Tables that a copy could get wrong: without a key, with an odd one, rewritten while they are read. */
import { assert, describe, it } from "vitest"
import { askFor, copyDone, startCopyPipeline } from "../support/copyPipeline.ts"
import { atEnd } from "../support/atEnd.ts"
import { eventually, testDatabase } from "../support/database.ts"
import { startReceiver } from "../support/Receiver.ts"
import { init } from "../support/setup.ts"

/** A pipeline with one subscription to everything. */
const prepare = async (label: string, sql: string) => {
  const database = testDatabase(label)
  const where = { url: database.url, slot: `${database.name}_s` }
  database.psql(sql)
  await init(database.url, where.slot)
  const receiver = await startReceiver()
  atEnd(() => receiver.close())
  database.psql(`INSERT INTO pgstream.webhook_subscriptions(url, schema_name, table_name) VALUES ('${receiver.url}', '', '')`)
  await startCopyPipeline(where)
  return { database, where, receiver }
}

const idsOf = (values: ReadonlyArray<unknown>) => [...new Set(values.map(Number))].toSorted((a, b) => a - b)
const numbers = (text: string) => text.trim().split("\n").map(Number)

describe("a copy of", () => {
  it("a table without a key whose rows move below what was read: VACUUM FULL starts it again", { timeout: 120_000 }, async () => {
    const { database, receiver, where } = await prepare("copy_keyless_full", `
      CREATE TABLE t(id int, pad text); INSERT INTO t SELECT g, repeat('x', 200) FROM generate_series(1, 3000) g`)
    receiver.answer = ({ data }) => data.action === "I" ? { status: 200, delayMs: 2 } : { status: 200 }
    const copy = await askFor(where, ["t"], { mode: "data" })
    await eventually("some rows", () => receiver.accepted.size >= 200, 60_000)
    receiver.answer = () => ({ status: 200, delayMs: 300 })
    database.psql("DELETE FROM t WHERE id <= 1500")
    database.psql("VACUUM FULL t")
    receiver.answer = () => ({ status: 200 })
    await copyDone(where, copy.id, 90_000)
    const came = new Set(receiver.values("id", "t").map(Number))
    assert.deepStrictEqual(numbers(database.psql("SELECT id FROM t ORDER BY id")).filter((id) => !came.has(id)), [])
  })

  it("few rows of many, by a condition, looks at many in one range", { timeout: 120_000 }, async () => {
    const { database, receiver, where } = await prepare("copy_sparse", "CREATE TABLE t(id int PRIMARY KEY); INSERT INTO t SELECT generate_series(1, 100000)")
    const copy = await askFor(where, ["t"], { mode: "data", where: "id % 50000 = 7" })
    await copyDone(where, copy.id, 60_000)
    assert.deepStrictEqual(idsOf(receiver.values("id", "t")), [7, 50_007])
    // The next range and its rows are one look at the index each.
    const looks = () => Number(database.psql("SELECT idx_scan FROM pg_stat_user_tables WHERE relname = 't'"))
    await eventually("the server has counted", () => looks() > 4)
    assert.isBelow(looks(), 150)
  })

  it("a table whose key has a generated column ends", { timeout: 120_000 }, async () => {
    const { database, receiver, where } = await prepare("copy_generated_key", `
      CREATE TABLE t(n int NOT NULL, id int GENERATED ALWAYS AS (n * 2) STORED PRIMARY KEY); INSERT INTO t SELECT g FROM generate_series(1, 500) g;
      CREATE TABLE none(); INSERT INTO none DEFAULT VALUES; INSERT INTO none DEFAULT VALUES`)
    const copy = await askFor(where, ["t", "none"], { mode: "data" })
    const done = await copyDone(where, copy.id, 60_000)
    assert.deepStrictEqual(done.progress.map(({ rows, state, table }) => [table, rows, state]), [["none", 2, "done"], ["t", 500, "done"]])
    assert.deepStrictEqual(idsOf(receiver.values("n", "t")), numbers(database.psql("SELECT n FROM t ORDER BY n")))
  })
})
