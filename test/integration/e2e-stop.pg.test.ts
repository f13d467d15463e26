/** SIGTERM: what is in flight ends, what is settled is acknowledged, the exit code is 0. A second one ends at once. */
import * as Result from "effect/Result"
import { afterAll, assert, describe, it } from "vitest"
import * as Lsn from "../../src/domain/Lsn.ts"
import { makeProgram, subscribe } from "../support/binary.ts"
import { eventually, testDatabase } from "../support/database.ts"
import { startReceiver, type Answer } from "../support/Receiver.ts"

const database = testDatabase("e2e_stop")
const slot = `e2e_stop_${process.pid}`
const GRACE_MS = 3_000
const CONCURRENCY = 8
const program = await makeProgram({ url: database.url, slot, settings: { PGSTREAM_WEBHOOK_NOTIFIER_GRACE_PERIOD: "3s", PGSTREAM_WEBHOOK_NOTIFIER_CONCURRENCY: String(CONCURRENCY) } })
const receiver = await startReceiver()
afterAll(() => receiver.close())

const late: Answer = { status: 200, delayMs: 400 }
const confirmed = () => database.psql(`SELECT confirmed_flush_lsn FROM pg_replication_slots WHERE slot_name = '${slot}'`).trim()

const rows = (from: number, to: number) =>
  database.psql(Array.from({ length: to - from + 1 }, (_, n) => `INSERT INTO t VALUES (${from + n});`).join("\n"))

describe("SIGTERM", () => {
  it("lets requests in flight end, acknowledges them, exits 0, and nothing comes twice", async () => {
    database.psql(`CREATE TABLE t(id int PRIMARY KEY)`)
    await program.init()
    const running = await program.run()
    assert.strictEqual((await subscribe(program, { url: receiver.url, schema: "public" })).status, 201)
    receiver.answer = () => late
    const before = confirmed()
    rows(1, CONCURRENCY)
    await eventually("all are in flight", () => receiver.inFlight === CONCURRENCY)
    const { code, stderr } = await running.stop()
    assert.strictEqual(code, 0, stderr)
    assert.deepStrictEqual([receiver.inFlight, receiver.accepted.size], [0, CONCURRENCY])
    assert.strictEqual(database.psql(`SELECT '${confirmed()}'::pg_lsn > '${before}'::pg_lsn`).trim(), "t")
    receiver.answer = () => ({ status: 200 })
    const again = await program.run()
    rows(CONCURRENCY + 1, CONCURRENCY + 1)
    await eventually("the next comes", () => receiver.accepted.size === CONCURRENCY + 1)
    assert.strictEqual((await again.stop()).code, 0)
    assert.strictEqual(receiver.requests.length, CONCURRENCY + 1, "and nothing twice")
  })

  it("in the middle of a backlog: nothing at or below the acknowledged position comes again, and nothing is missing", async () => {
    receiver.answer = () => late
    const [accepted, total] = [receiver.accepted.size, 120]
    const running = await program.run()
    rows(101, 100 + total)
    await eventually("some are delivered", () => receiver.accepted.size >= accepted + 20 && receiver.inFlight > 0)
    assert.strictEqual((await running.stop()).code, 0)
    const delivered = receiver.accepted.size - accepted
    assert.isBelow(delivered, total, "it was stopped in the middle")
    const position = Lsn.format(Result.getOrThrow(Lsn.parse(confirmed())))
    const requests = receiver.requests.length
    receiver.answer = () => ({ status: 200 })
    const again = await program.run()
    await eventually("the rest comes", () => receiver.accepted.size === accepted + total)
    assert.strictEqual((await again.stop()).code, 0)
    const commits = receiver.requests.slice(requests).map(({ id }) => Lsn.format(Number.parseInt(id.slice(0, 16), 16)))
    assert.strictEqual(database.psql(`SELECT min(c::pg_lsn) >= '${position}' FROM unnest('{${commits.join(",")}}'::text[]) c`).trim(), "t")
    assert.deepStrictEqual(receiver.problems, [])
  })

  it("ends within the grace period when a receiver never answers, with 0; what was in flight comes again", async () => {
    receiver.answer = () => "hang"
    const running = await program.run()
    database.psql(`INSERT INTO t VALUES (1001)`)
    await eventually("a request hangs", () => receiver.inFlight === 1)
    const started = Date.now()
    assert.strictEqual((await running.stop()).code, 0)
    assert.isBelow(Date.now() - started, GRACE_MS + 5_000)
    receiver.answer = () => ({ status: 200 })
    const again = await program.run()
    await eventually("it comes again", () => receiver.values("id").includes(1001))
    await again.stop()
  })

  it("a second signal ends at once", async () => {
    receiver.answer = () => "hang"
    const running = await program.run()
    database.psql(`INSERT INTO t VALUES (1002)`)
    await eventually("a request hangs", () => receiver.inFlight === 1)
    const started = Date.now()
    running.child.kill("SIGTERM")
    // Two signals at one moment are one to the process: the second is sent until it has come.
    await eventually("the process has ended", () => {
      running.child.kill("SIGTERM")
      return running.child.exitCode !== null
    })
    assert.isBelow(Date.now() - started, GRACE_MS, "it did not wait for the request")
    assert.strictEqual((await running.ended).code, 143)
    receiver.answer = () => ({ status: 200 })
    const again = await program.run()
    await eventually("nothing is lost", () => receiver.values("id").includes(1002))
    await again.stop()
    assert.deepStrictEqual(receiver.problems, [])
  })
})
