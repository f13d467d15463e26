/**
 * A running pipeline under load, with two endpoints that fail in every way (one by key, one with total order), and what
 * must hold of it in the end whatever was killed meanwhile: every committed change arrived, in the order of its key,
 * under one id with one body and one number.
 */
import { assert } from "vitest"
import { Random } from "../simulation/Random.ts"
import { atEnd } from "./atEnd.ts"
import { makeProgram, type Program } from "./binary.ts"
import { loadTables } from "./binaryLoad.ts"
import { eventually, type TestDatabase } from "./database.ts"
import { type Answer, type Received, type Receiver, startReceiver } from "./Receiver.ts"
import { expectedOf, inStreamOrder, numberProblems, orderProblems, ownTables } from "./ReceiverOracle.ts"

export const WRITERS = 3
export const WRITER_PAUSE_MS = 60
/** Nothing new came for so long: it is stuck. */
const DEADLINE_MS = 60_000

/** A schedule that nothing of these tests uses up. */
const soon = (tries: number) => Array.from({ length: tries }, () => "100ms").join(" ")

/** What fails is parked within a fraction of a second, and comes back soon. */
const settings = {
  PGSTREAM_WEBHOOK_NOTIFIER_CLIENT_TIMEOUT: "700ms",
  PGSTREAM_WEBHOOK_NOTIFIER_EXP_BACKOFF_INITIAL_INTERVAL: "20ms",
  PGSTREAM_WEBHOOK_NOTIFIER_EXP_BACKOFF_MAX_INTERVAL: "80ms",
  PGSTREAM_WEBHOOK_NOTIFIER_PARK_AFTER: "100ms",
  PGSTREAM_WEBHOOK_NOTIFIER_PARKED_SCHEDULE: soon(100),
  PGSTREAM_WEBHOOK_NOTIFIER_REFUSED_SCHEDULE: soon(100),
  PGSTREAM_WEBHOOK_NOTIFIER_BREAKER_PAUSE: "200ms",
  PGSTREAM_WEBHOOK_NOTIFIER_BREAKER_PAUSE_MAX: "1s",
  PGSTREAM_SCHEMA_SCAN_INTERVAL: "1s"
}

/** Out of 1000: no answer 2 · answer lost 30 · connection closed 20 · 500 50 · 404 15 · else 200, up to 25 ms late. */
const fails = (random: Random): Answer => {
  const chance = random.int(0, 999)
  if (chance < 2) return "hang"
  if (chance < 32) return "loseReply"
  if (chance < 52) return "refuse"
  const delayMs = random.int(0, 25)
  if (chance < 102) return { status: 500, delayMs }
  return { status: chance < 117 ? 404 : 200, delayMs }
}

export interface Scene {
  readonly database: TestDatabase
  readonly program: Program
  readonly byKey: Receiver
  readonly total: Receiver
}

/** `url`: how the program comes to the database, where it is not directly. */
export const prepare = async (
  database: TestDatabase, seed: number, plugin: string,
  options: { readonly url?: string; readonly settings?: Readonly<Record<string, string>> } = {}
): Promise<Scene> => {
  const url = options.url ?? database.url
  const program = await makeProgram({
    url, slot: `${database.name}_s`,
    settings: { ...settings, PGSTREAM_INJECTOR_STORE_POSTGRES_URL: url, ...options.settings }
  })
  const byKey = await startReceiver({ answer: ((random) => (_: Received) => fails(random))(new Random(seed + 1)) })
  const total = await startReceiver({ answer: ((random) => (_: Received) => random.chance(0.01) ? fails(random) : { status: 200 })(new Random(seed + 2)) })
  atEnd(() => Promise.all([byKey.close(), total.close()]))
  database.psql(loadTables)
  await program.init("--plugin", plugin)
  database.psql(`
    INSERT INTO pgstream.webhook_subscriptions(url, schema_name, table_name) VALUES ('${byKey.url}', '', ''), ('${total.url}', 'public', 'accounts');
    UPDATE pgstream.webhook_endpoints SET order_mode = 'total' WHERE url = '${total.url}'`)
  database.psql(`SELECT pg_create_logical_replication_slot('${database.name}_o', 'test_decoding')`)
  return { database, program, byKey, total }
}

/** Runs once more until everything is there, stops, and looks at all that came. Returns one line about it. */
export const finish = async ({ byKey, database, program, total }: Scene): Promise<string> => {
  const lines = database.psql(`SELECT data FROM pg_logical_slot_get_changes('${database.name}_o', NULL, NULL)`)
  database.psql(`SELECT pg_drop_replication_slot('${database.name}_o')`)
  const expected = expectedOf(lines, "public")
  const ofTotal = expected.filter(({ table }) => table === "public.accounts")
  const running = await program.run("--log-level", "info")
  const count = (receiver: Receiver) => [...receiver.accepted.values()].filter(({ data }) => data.schema === "public").length
  const all = () => count(byKey) >= expected.length && count(total) >= ofTotal.length
  // As long as it goes on: how much there is to do depends on the machine.
  let [seen, atMs] = [0, Date.now()]
  await eventually("every committed change is there", () => {
    const now = count(byKey) + count(total)
    if (now > seen) [seen, atMs] = [now, Date.now()]
    return all() || Date.now() - atMs > DEADLINE_MS
  }, 5 * DEADLINE_MS).catch(() => undefined)
  const ended = await running.stop()
  assert.deepStrictEqual(inStreamOrder(byKey, "public"), expected)
  assert.deepStrictEqual(inStreamOrder(total, "public"), ofTotal)
  for (const receiver of [byKey, total]) {
    assert.deepStrictEqual(receiver.problems, [])
    assert.deepStrictEqual(numberProblems(receiver), [])
    assert.deepStrictEqual(orderProblems(receiver, new Set(["public.journal"])), [])
  }
  assert.deepStrictEqual(ownTables(byKey), [], "tables of ours that came back on the slot")
  const sequences = [...total.accepted.values()].map(({ sequence }) => sequence)
  assert.deepStrictEqual(sequences, sequences.toSorted((a, b) => a - b))
  assert.strictEqual(total.maxInFlight, 1)
  assert.strictEqual(byKey.maxInFlightOfOneKey, 1)
  assert.strictEqual(ended.code, 0, ended.stderr)
  return `${expected.length} changes, ${byKey.requests.length} requests by key, ` +
    `${byKey.requests.length - byKey.accepted.size} of them again or refused; ${total.requests.length} total`
}
