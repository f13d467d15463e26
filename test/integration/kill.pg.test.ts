/**
 * `kill -9` at random moments under load, against two endpoints that fail in every way (test/support/chaos.ts).
 *
 * Long: `SEED=1 ROUNDS=20 npm run kills`; a round is a run of both plugins with the next seed. PGSTREAM_KILLS: kills a round.
 */
import { assert, describe, inject, it } from "vitest"
import type { RunningProgram } from "../support/binary.ts"
import { startLoad } from "../support/binaryLoad.ts"
import { finish, prepare, type Scene, WRITER_PAUSE_MS, WRITERS } from "../support/chaos.ts"
import { testDatabase } from "../support/database.ts"
import type { Receiver } from "../support/Receiver.ts"
import { Random } from "../simulation/Random.ts"

const setting = (name: string, standard: number) => Number(process.env[name] ?? standard)
const SEED = setting("PGSTREAM_KILL_SEED", 17)
const ROUNDS = setting("PGSTREAM_KILL_ROUNDS", 1)
const KILLS = setting("PGSTREAM_KILLS", 20)

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

describe("kill -9 under load", () => {
  const plugins = inject("postgresHasWal2json") ? ["pgoutput", "wal2json"] : ["pgoutput"]
  for (let seed = SEED; seed < SEED + ROUNDS; seed++) {
    it.each(plugins)(`seed ${seed}: every committed change arrives, in order, under one id (%s)`, async (plugin) => {
      const kills = Math.ceil(KILLS / plugins.length)
      const scene = await prepare(testDatabase(`kill_${seed}_${plugin}`), seed, plugin)
      const errors = await killUnderLoad(scene, seed, kills)
      const line = await finish(scene)
      process.stdout.write(`kill seed ${seed} ${plugin}: ${kills} kills, ${line}\n`)
      assert.deepStrictEqual(errors, [])
    }, 600_000)
  }
})
