/**
 * Copies under random writers and `kill -9` at random moments: what a receiver has who applies events in the order in which
 * they came is the table, row by row, and no row ever went back.
 *
 * Long: `PGSTREAM_COPY_ROUNDS=10 PGSTREAM_COPY_SEED=1 npx vitest run test/integration/copy-kill.pg.test.ts`.
 */
import { assert, describe, inject, it } from "vitest"
import { Random } from "../simulation/Random.ts"
import { atEnd } from "../support/atEnd.ts"
import { makeProgram } from "../support/binary.ts"
import { copyTables, startCopyLoad } from "../support/copyLoad.ts"
import { applied, differences, twice } from "../support/copyOracle.ts"
import { askFor, copyDone, copyNow } from "../support/copyPipeline.ts"
import { eventually, testDatabase } from "../support/database.ts"
import { type Receiver, startReceiver } from "../support/Receiver.ts"

const setting = (name: string, standard: number) => Number(process.env[name] ?? standard)
const SEED = setting("PGSTREAM_COPY_SEED", 5)
const ROUNDS = setting("PGSTREAM_COPY_ROUNDS", 1)
const KILLS = setting("PGSTREAM_COPY_KILLS", 5)
const ROWS = 900
const WRITERS = 3
const keys = { parts_a: ["k", "id"], parts_b: ["k", "id"] }

/** One id, one version of a row. The mark's position and time are those of the attempt. */
const versionProblems = (receiver: Receiver): ReadonlyArray<string> => {
  const versions = new Map<string, string>()
  const problems: Array<string> = []
  for (const { data, id } of receiver.requests) {
    if (!id.startsWith("s-")) continue
    const version = JSON.stringify([data.table, data.columns])
    if ((versions.get(id) ?? version) !== version) problems.push(`${id} stands for ${versions.get(id)} and ${version}`)
    versions.set(id, version)
  }
  return problems
}

const round = async (seed: number, plugin: string, kills: number) => {
  const random = new Random(seed)
  const database = testDatabase(`copy_kill_${plugin}`)
  const where = { url: database.url, slot: `${database.name}_s` }
  database.psql(copyTables(ROWS))
  const program = await makeProgram({
    ...where,
    settings: { PGSTREAM_POSTGRES_SNAPSHOT_BATCH_BYTES: "8192", PGSTREAM_WEBHOOK_NOTIFIER_CONCURRENCY: "16" }
  })
  await program.init("--plugin", plugin)
  const receiver = await startReceiver({ answer: () => random.chance(0.02) ? { status: 503 } : { status: 200, delayMs: random.int(0, 12) } })
  atEnd(() => receiver.close())
  database.psql(`INSERT INTO pgstream.webhook_subscriptions (url) VALUES ('${receiver.url}')`)
  const load = startCopyLoad(database.name, Array.from({ length: WRITERS }, (_, n) => new Random(seed * 100 + n)), ROWS, 10)
  const copy = await askFor(where, ["wide", "parts", "small"])
  let running = program.start("--log-level", "warn")
  const errors: Array<string> = []
  for (let n = 0; n < kills; n++) {
    const [before, deadline, requests] = [receiver.requests.length, Date.now() + random.int(1_500, 4_000), random.int(1, 400)]
    await eventually("a moment", () => receiver.requests.length - before >= requests || Date.now() > deadline, 30_000)
    const { stderr } = await running.crash()
    errors.push(...stderr.split("\n").filter((line) => /ERROR|FATAL|Defect/.test(line)))
    running = program.start("--log-level", "warn")
  }
  const killedAt = (await copyNow(where, copy.id)).state
  await copyDone(where, copy.id, 240_000)
  await load.stop()
  for (const table of ["wide", "small"]) database.psql(`INSERT INTO ${table}(id, n, pad) VALUES (99999999, 1, 'end')`)
  await eventually("the last events", () =>
    ["wide", "small"].every((table) => receiver.values("id", table).includes(99999999)), 120_000)
  // An event that was refused is tried again in a moment: it is settled when its position is acknowledged.
  const end = database.psql("SELECT pg_current_wal_lsn()").trim()
  await eventually("all is settled", () =>
    database.psql(`SELECT confirmed_flush_lsn >= '${end}' FROM pg_replication_slots WHERE slot_name = '${where.slot}'`).trim() === "t", 120_000)
  await eventually("nothing is parked", () => database.psql("SELECT count(*) FROM pgstream.webhook_deliveries WHERE state = 'waiting'").trim() === "0", 120_000)
  await running.stop()
  const oracle = applied(receiver, keys)
  const wrong = ["wide", "parts_a", "parts_b", "small"].flatMap((table) =>
    differences(oracle, table, database.psql(`SELECT row_to_json(t) FROM ONLY ${table} t`), ["stamp", "n", "pad"], keys))
  process.stdout.write(`copy seed ${seed} ${plugin}: ${kills} kills (then ${killedAt}), ${load.written} transactions, ${receiver.requests.length} requests, ${twice(receiver).length} came twice\n`)
  assert.deepStrictEqual(errors, [])
  assert.deepStrictEqual(oracle.problems, [])
  assert.deepStrictEqual(wrong.slice(0, 20), [])
  assert.deepStrictEqual(versionProblems(receiver), [])
  return receiver
}

describe("a copy under random writers", () => {
  const plugins = inject("postgresHasWal2json") ? ["pgoutput", "wal2json"] : ["pgoutput"]
  for (let seed = SEED; seed < SEED + ROUNDS; seed++) {
    it.each(plugins)(`seed ${seed}: with kills the receiver ends with the tables (%s)`, async (plugin) => {
      await round(seed, plugin, KILLS)
    }, 600_000)
  }
})
