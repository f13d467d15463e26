/** One transaction of many rows, to a receiver that is slow: the memory of the process stays bounded, the slot waits. */
import { readFileSync } from "node:fs"
import { assert, describe, it } from "vitest"
import { atEnd } from "../support/atEnd.ts"
import { makeProgram } from "../support/binary.ts"
import { eventually, testDatabase } from "../support/database.ts"
import { startReceiver } from "../support/Receiver.ts"

const ROWS = Number(process.env["PGSTREAM_MEMORY_ROWS"] ?? "300000")
/** Bodies of the transaction add up to about 1 KiB a row: far more than this. */
const MAX_RSS_MIB = 450
const WATCH_MS = Number(process.env["PGSTREAM_MEMORY_MS"] ?? "8000")

const rssMib = (pid: number): number =>
  Number(/VmRSS:\s+(\d+) kB/.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1] ?? "0") / 1024

describe.skipIf(process.platform !== "linux")("a transaction that is larger than memory", () => {
  it(`of ${ROWS} rows: resident memory stays under ${MAX_RSS_MIB} MiB, and the slot does not pass it`, async () => {
    const database = testDatabase("e2e_memory")
    const slot = `${database.name}_s`
    const program = await makeProgram({ url: database.url, slot, settings: { PGSTREAM_WEBHOOK_NOTIFIER_GRACE_PERIOD: "1s" } })
    const receiver = await startReceiver({ answer: () => ({ status: 200, delayMs: 200 }) })
    atEnd(() => receiver.close())
    database.psql(`CREATE TABLE t(id int PRIMARY KEY, pad text)`)
    await program.init()
    database.psql(`INSERT INTO pgstream.webhook_subscriptions(url, schema_name, table_name) VALUES ('${receiver.url}', 'public', 't')`)
    const running = await program.run()
    const before = database.psql(`SELECT pg_current_wal_insert_lsn()`).trim()
    database.psql(`INSERT INTO t SELECT g, repeat(md5(g::text), 20) FROM generate_series(1, ${ROWS}) g`)
    const end = database.psql(`SELECT pg_current_wal_insert_lsn()`).trim()
    await eventually("it delivers", () => receiver.accepted.size > 0, 60_000)
    let highest = 0
    const until = Date.now() + WATCH_MS
    await eventually("it was watched", () => {
      assert.isNull(running.child.exitCode, running.stderr())
      highest = Math.max(highest, rssMib(running.pid))
      return Date.now() > until
    }, WATCH_MS + 10_000)
    process.stdout.write(`${ROWS} rows, ${Math.round(Number(database.psql(`SELECT '${end}'::pg_lsn - '${before}'::pg_lsn`)) / 2 ** 20)} MiB of WAL: ` +
      `resident memory ${Math.round(highest)} MiB at most, ${receiver.accepted.size} delivered\n`)
    assert.isBelow(receiver.accepted.size, ROWS, "the receiver is slow")
    assert.isBelow(highest, MAX_RSS_MIB)
    assert.strictEqual(database.psql(`SELECT confirmed_flush_lsn < '${end}' FROM pg_replication_slots WHERE slot_name = '${slot}'`).trim(), "t")
    assert.strictEqual((await running.stop()).code, 0)
    assert.strictEqual(database.psql(`SELECT confirmed_flush_lsn < '${end}' FROM pg_replication_slots WHERE slot_name = '${slot}'`).trim(), "t")
    assert.deepStrictEqual(receiver.problems, [])
  }, 180_000)
})
