/**
 * `kill -9` at random moments under load, against two endpoints that fail in every way: one by key, one with total order.
 * Every committed change arrives, in the order of its key, under one id with one body and one number.
 *
 * Long: `SEED=1 ROUNDS=20 npm run kills`; a round is a run of both plugins with the next seed. PGSTREAM_KILLS: kills a round.
 */
import { assert, describe, inject, it } from "vitest"
import { atEnd } from "../support/atEnd.ts"
import { makeProgram, type Program, type RunningProgram } from "../support/binary.ts"
import { loadTables, startLoad } from "../support/binaryLoad.ts"
import { eventually, testDatabase, type TestDatabase } from "../support/database.ts"
import { type Answer, type Received, type Receiver, startReceiver } from "../support/Receiver.ts"
import { expectedOf, inStreamOrder, numberProblems, orderProblems } from "../support/ReceiverOracle.ts"
import { OpenSession } from "../support/sessions.ts"
import { Random } from "../simulation/Random.ts"

const setting = (name: string, standard: number) => Number(process.env[name] ?? standard)
const SEED = setting("PGSTREAM_KILL_SEED", 17)
const ROUNDS = setting("PGSTREAM_KILL_ROUNDS", 1)
const KILLS = setting("PGSTREAM_KILLS", 20)
const WRITERS = 3
const WRITER_PAUSE_MS = 60
const DEADLINE_MS = 60_000

/** What fails is parked within a fraction of a second, and comes back soon. */
const settings = {
  PGSTREAM_WEBHOOK_NOTIFIER_CLIENT_TIMEOUT: "700ms",
  PGSTREAM_WEBHOOK_NOTIFIER_EXP_BACKOFF_INITIAL_INTERVAL: "20ms",
  PGSTREAM_WEBHOOK_NOTIFIER_EXP_BACKOFF_MAX_INTERVAL: "80ms",
  PGSTREAM_WEBHOOK_NOTIFIER_PARK_AFTER: "100ms",
  PGSTREAM_WEBHOOK_NOTIFIER_PARKED_SCHEDULE: Array.from({ length: 40 }, () => "100ms").join(" "),
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

interface Scene {
  readonly database: TestDatabase
  readonly program: Program
  readonly byKey: Receiver
  readonly total: Receiver
}

const prepare = async (seed: number, plugin: string): Promise<Scene> => {
  const database = testDatabase(`kill_${seed}_${plugin}`)
  const program = await makeProgram({
    url: database.url, slot: `${database.name}_s`, settings: { ...settings, PGSTREAM_INJECTOR_STORE_POSTGRES_URL: database.url }
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

/** After some requests, or after some time: also while it starts. */
const moment = async (random: Random, running: RunningProgram, byKey: Receiver): Promise<void> => {
  const [requests, ms] = random.chance(0.6) ? [random.int(1, 150), 3_000] : [Infinity, random.int(200, 1_500)]
  const [before, deadline] = [byKey.requests.length, Date.now() + ms]
  while (byKey.requests.length - before < requests && Date.now() < deadline) {
    if (running.child.exitCode !== null) throw new Error(`pgstream run ended with ${running.child.exitCode}: ${running.stderr()}`)
    await new Promise((resolve) => setTimeout(resolve, 1))
  }
}

const killUnderLoad = async (scene: Scene, seed: number, kills: number): Promise<ReadonlyArray<string>> => {
  const random = new Random(seed)
  const errors: Array<string> = []
  const load = startLoad(scene.database.name, Array.from({ length: WRITERS }, (_, n) => new Random(seed * 100 + n)), WRITER_PAUSE_MS)
  for (let n = 0; n < kills; n++) {
    const running = scene.program.start("--log-level", "warn")
    await moment(random, running, scene.byKey)
    const { stderr } = await running.crash()
    errors.push(...stderr.split("\n").filter((line) => /ERROR|FATAL|Defect/.test(line)))
  }
  await load.stop()
  return errors
}

const finish = async ({ byKey, database, program, total }: Scene) => {
  const monitor = new OpenSession(database.name)
  const lines = await monitor.run(`SELECT data FROM pg_logical_slot_get_changes('${database.name}_o', NULL, NULL);`)
  await monitor.run(`SELECT pg_drop_replication_slot('${database.name}_o');`)
  await monitor.end()
  const expected = expectedOf(lines, "public")
  const ofTotal = expected.filter(({ table }) => table === "public.accounts")
  const running = await program.run("--log-level", "info")
  const count = (receiver: Receiver) => [...receiver.accepted.values()].filter(({ data }) => data.schema === "public").length
  const all = () => count(byKey) >= expected.length && count(total) >= ofTotal.length
  await eventually("every committed change is there", all, DEADLINE_MS).catch(() => undefined)
  const ended = await running.stop()
  return { expected, ofTotal, ended }
}

const round = async (seed: number, plugin: string, kills: number): Promise<void> => {
  const scene = await prepare(seed, plugin)
  const { byKey, total } = scene
  const errors = await killUnderLoad(scene, seed, kills)
  const { ended, expected, ofTotal } = await finish(scene)
  process.stdout.write(`kill seed ${seed} ${plugin}: ${kills} kills, ${expected.length} changes, ${byKey.requests.length} requests by key, ` +
    `${byKey.requests.length - byKey.accepted.size} of them again or refused; ${total.requests.length} total\n`)
  assert.deepStrictEqual(inStreamOrder(byKey, "public"), expected)
  assert.deepStrictEqual(inStreamOrder(total, "public"), ofTotal)
  for (const receiver of [byKey, total]) {
    assert.deepStrictEqual(receiver.problems, [])
    assert.deepStrictEqual(numberProblems(receiver), [])
    assert.deepStrictEqual(orderProblems(receiver, new Set(["public.journal"])), [])
  }
  const sequences = [...total.accepted.values()].map(({ sequence }) => sequence)
  assert.deepStrictEqual(sequences, sequences.toSorted((a, b) => a - b))
  assert.strictEqual(total.maxInFlight, 1)
  assert.strictEqual(byKey.maxInFlightOfOneKey, 1)
  assert.deepStrictEqual(errors, [])
  assert.strictEqual(ended.code, 0, ended.stderr)
}

describe("kill -9 under load", () => {
  const plugins = inject("postgresHasWal2json") ? ["pgoutput", "wal2json"] : ["pgoutput"]
  for (let seed = SEED; seed < SEED + ROUNDS; seed++) {
    it.each(plugins)(`seed ${seed}: every committed change arrives, in order, under one id (%s)`, async (plugin) => {
      await round(seed, plugin, Math.ceil(KILLS / plugins.length))
    }, 600_000)
  }
})
