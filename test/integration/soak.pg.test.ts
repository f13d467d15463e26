/**
 * A dead, a flaky and a healthy endpoint side by side, for a minute (ten: `npm run soak`): memory stays flat, the slot
 * follows, the healthy one is not held up, and in the end each has everything, the dead one after it has come back.
 */
import { readFileSync } from "node:fs"
import { assert, describe, it } from "vitest"
import { atEnd } from "../support/atEnd.ts"
import { makeProgram } from "../support/binary.ts"
import { loadTables, startLoad } from "../support/binaryLoad.ts"
import { eventually, testDatabase } from "../support/database.ts"
import { freePort } from "../support/PostgresServer.ts"
import { type Answer, type Receiver, startReceiver } from "../support/Receiver.ts"
import { expectedOf, inStreamOrder, numberProblems, orderProblems } from "../support/ReceiverOracle.ts"
import { Random } from "../simulation/Random.ts"

const SECONDS = Number(process.env["PGSTREAM_SOAK_SECONDS"] ?? 60)
const SEED = 41
const SAMPLE_MS = 1_000
/** What the end may have in memory above the first third, bytes: garbage that V8 has not collected yet. */
const MEMORY_SLACK_BYTES = 64 * 1024 * 1024
/** WAL that the slot may be behind, bytes: a few seconds of this load. */
const BEHIND_BYTES = 16 * 1024 * 1024
/** How long a change may take to the healthy endpoint, at the median, ms: the others wait for seconds. */
const HEALTHY_MS = 2_000

const settings = {
  PGSTREAM_WEBHOOK_NOTIFIER_CLIENT_TIMEOUT: "1s",
  PGSTREAM_WEBHOOK_NOTIFIER_PARK_AFTER: "500ms",
  PGSTREAM_WEBHOOK_NOTIFIER_PARKED_SCHEDULE: Array.from({ length: 2_000 }, () => "1s").join(" ")
}

const flaky = (random: Random): Answer => {
  const chance = random.int(0, 99)
  if (chance < 2) return "hang"
  if (chance < 5) return "refuse"
  if (chance < 8) return "loseReply"
  if (chance < 20) return { status: 503, delayMs: random.int(0, 50) }
  return { status: 200, delayMs: random.int(0, 50) }
}

const residentBytes = (pid: number): number =>
  Number(/^VmRSS:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"))![1]) * 1024

const median = (values: ReadonlyArray<number>): number => values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? 0

const delayOf = ({ atMs, data }: Receiver["requests"][number]): number =>
  atMs - Date.parse(String((data as unknown as { readonly timestamp: string }).timestamp).replace(" ", "T").replace(/\+00$/, "Z"))

describe("a dead, a flaky and a healthy endpoint", () => {
  it(`side by side for ${SECONDS} s`, async () => {
    const database = testDatabase("soak")
    const program = await makeProgram({ url: database.url, slot: `${database.name}_s`, settings })
    const random = new Random(SEED)
    const healthy = await startReceiver()
    const unsteady = await startReceiver({ answer: () => flaky(random) })
    const deadPort = await freePort()
    atEnd(() => Promise.all([healthy.close(), unsteady.close()]))
    database.psql(loadTables)
    await program.init()
    const urls = [healthy.url, unsteady.url, `http://127.0.0.1:${deadPort}/webhook`]
    for (const url of urls) database.psql(`INSERT INTO pgstream.webhook_subscriptions(url, schema_name, table_name) VALUES ('${url}', 'public', '')`)
    database.psql(`SELECT pg_create_logical_replication_slot('${database.name}_o', 'test_decoding')`)
    const running = await program.run()
    const load = startLoad(database.name, Array.from({ length: 3 }, (_, n) => new Random(SEED * 100 + n)), 20)

    const [memory, behind]: [Array<number>, Array<number>] = [[], []]
    const until = Date.now() + SECONDS * 1_000
    while (Date.now() < until) {
      assert.isNull(running.child.exitCode, running.stderr())
      memory.push(residentBytes(running.pid))
      behind.push(Number(database.psql(`SELECT pg_current_wal_lsn() - confirmed_flush_lsn FROM pg_replication_slots WHERE slot_name = '${program.slot}'`)))
      await new Promise((resolve) => setTimeout(resolve, SAMPLE_MS))
    }
    await load.stop()
    const third = Math.floor(memory.length / 3)
    const [early, late] = [Math.max(...memory.slice(0, 2 * third)), Math.max(...memory.slice(2 * third))]
    assert.isAtMost(late, early + MEMORY_SLACK_BYTES, "memory grows")
    assert.isAtMost(median(behind), BEHIND_BYTES, "the slot does not follow")
    assert.isAtMost(median(healthy.requests.map(delayOf)), HEALTHY_MS, "the healthy one is held up")

    const expected = expectedOf(database.psql(`SELECT data FROM pg_logical_slot_get_changes('${database.name}_o', NULL, NULL)`), "public")
    database.psql(`SELECT pg_drop_replication_slot('${database.name}_o')`)
    unsteady.answer = () => ({ status: 200 })
    const revived = await startReceiver({ port: deadPort })
    atEnd(() => revived.close())
    const all = [healthy, unsteady, revived]
    await eventually("each has everything", () => all.every((receiver) => receiver.accepted.size >= expected.length), 120_000).catch(() => undefined)
    assert.strictEqual((await running.stop()).code, 0)
    for (const receiver of all) {
      assert.deepStrictEqual(inStreamOrder(receiver, "public"), expected)
      assert.deepStrictEqual([...receiver.problems, ...numberProblems(receiver), ...orderProblems(receiver, new Set(["public.journal"]))], [])
    }
    const verified = await program.command("verify", "--json")
    assert.strictEqual(verified.code, 0, verified.stdout + verified.stderr)
    const mib = (bytes: number) => Math.round(bytes / 1024 / 1024)
    process.stdout.write(`soak ${SECONDS} s: ${expected.length} changes, resident ${mib(early)} MiB at most in the first two thirds, ${mib(late)} in the last; ` +
      `slot behind by ${mib(median(behind))} MiB at the median; healthy after ${Math.round(median(healthy.requests.map(delayOf)))} ms at the median\n`)
  }, (SECONDS + 300) * 1_000)
})
