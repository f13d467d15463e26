/**
 * One transaction whose bodies do not fit into the memory that it may take, to a receiver that is slow: the memory of the
 * process, as it is published, stays bounded and does not grow with what passes; the slot waits.
 */
import { readFileSync } from "node:fs"
import { assert, describe, it } from "vitest"
import { atEnd } from "../support/atEnd.ts"
import { makeProgram } from "../support/binary.ts"
import { buildBinary } from "../support/builtBinary.ts"
import { eventually, testDatabase } from "../support/database.ts"
import { startReceiver } from "../support/Receiver.ts"

/** A body takes about 1 KiB. */
const ROWS = Number(process.env["PGSTREAM_MEMORY_ROWS"] ?? "300000")
const SLOW_MS = Number(process.env["PGSTREAM_MEMORY_MS"] ?? "5000")
/** From its start on, V8, code and all: 150 to 175 were measured. */
const MAX_PEAK_MIB = 256
/** Between these two counts of deliveries 40 MiB of bodies pass, and memory grows by less than that. */
const [FIRST, LAST] = [20_000, 60_000]
const MAX_GROWTH_MIB = 20

/** Resident memory at its highest. */
const peakMib = (pid: number): number =>
  Number(/VmHWM:\s+(\d+) kB/.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1]) / 1024

describe.skipIf(process.platform !== "linux")("a transaction that is larger than memory", () => {
  it(`of ${ROWS} rows: resident memory stays under ${MAX_PEAK_MIB} MiB and flat, and the slot does not pass it`, async () => {
    const database = testDatabase("e2e_memory")
    const slot = `${database.name}_s`
    const program = await makeProgram({
      binary: buildBinary(), url: database.url, slot, settings: { PGSTREAM_WEBHOOK_NOTIFIER_GRACE_PERIOD: "1s" }
    })
    const receiver = await startReceiver({ answer: () => ({ status: 200, delayMs: 200 }) })
    atEnd(() => receiver.close())
    database.psql(`CREATE TABLE t(id int PRIMARY KEY, pad text)`)
    await program.init()
    database.psql(`INSERT INTO pgstream.webhook_subscriptions(url, schema_name, table_name) VALUES ('${receiver.url}', 'public', 't')`)
    const running = await program.run()
    const before = database.psql(`SELECT pg_current_wal_insert_lsn()`).trim()
    database.psql(`INSERT INTO t SELECT g, repeat(md5(g::text), 20) FROM generate_series(1, ${ROWS}) g`)
    const end = database.psql(`SELECT pg_current_wal_insert_lsn()`).trim()
    const walMib = Math.round(Number(database.psql(`SELECT '${end}'::pg_lsn - '${before}'::pg_lsn`)) / 2 ** 20)
    const slotWaits = () => database.psql(`SELECT confirmed_flush_lsn < '${end}' FROM pg_replication_slots WHERE slot_name = '${slot}'`).trim()
    const delivered = (count: number) => eventually(`${count} are delivered`, () => {
      assert.isNull(running.child.exitCode, running.stderr())
      return receiver.accepted.size >= count
    }, 60_000)

    await delivered(1)
    const until = Date.now() + SLOW_MS
    await eventually("it was watched while the receiver is slow", () => Date.now() > until, SLOW_MS + 10_000)
    const slow = [peakMib(running.pid), receiver.accepted.size] as const
    assert.isBelow(slow[1], FIRST, "the receiver is slow")
    assert.strictEqual(slotWaits(), "t")
    receiver.answer = () => ({ status: 200 })
    await delivered(FIRST)
    const first = peakMib(running.pid)
    await delivered(LAST)
    const last = peakMib(running.pid)
    process.stdout.write(`${ROWS} rows, ${walMib} MiB of WAL: ${Math.round(slow[0])} MiB after ${slow[1]} deliveries, ` +
      `${Math.round(first)} after ${FIRST}, ${Math.round(last)} after ${LAST}\n`)
    assert.isBelow(last, MAX_PEAK_MIB)
    assert.isBelow(last - first, MAX_GROWTH_MIB)
    assert.strictEqual((await running.stop()).code, 0)
    assert.strictEqual(slotWaits(), "t")
    assert.deepStrictEqual(receiver.problems, [])
  }, 240_000)
})
