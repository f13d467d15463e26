/**
 * `kill -9` before and after each step that makes something durable or final, under load: parking, the segment, the
 * checkpoint, the acknowledgement, the answer of a receiver.
 */
import { assert, describe, it } from "vitest"
import { startLoad } from "../support/binaryLoad.ts"
import { finish, prepare, WRITER_PAUSE_MS, WRITERS } from "../support/chaos.ts"
import { testDatabase } from "../support/database.ts"
import type { FailPoint } from "../../src/services/FailPoints.ts"
import { Random } from "../simulation/Random.ts"

const SEED = 29
/** The process has to come to its fail point within this, ms. */
const LIMIT_MS = 180_000

/** How often it comes there before it is killed, at most. */
const failPoints: ReadonlyArray<readonly [FailPoint, number]> = [
  ["parked.before_write", 5], ["parked.after_write", 5],
  ["segments.before_append", 3], ["segments.after_append", 3],
  ["checkpoint.before_save", 3], ["checkpoint.after_save", 3],
  ["acknowledge.before", 5], ["acknowledge.after", 5],
  ["dispatcher.after_send", 200], ["dispatcher.after_reply", 200],
  ["listener.after_chunk", 20]
]

const within = <A>(what: string, promise: Promise<A>): Promise<A> => {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`Not within ${LIMIT_MS} ms: ${what}`)), LIMIT_MS)
  })
  return Promise.race([promise, late]).finally(() => clearTimeout(timer))
}

describe("killed at a fail point", () => {
  it("before and after each step: every committed change arrives, in order, under one id", async () => {
    const random = new Random(SEED)
    const database = testDatabase("failpoints")
    const scene = await prepare(database, SEED, "pgoutput")
    const endpoint = database.psql(`SELECT id FROM pgstream.webhook_endpoints WHERE url = '${scene.total.url}'`).trim()
    const pause = (paused: boolean) =>
      database.psql(`
        INSERT INTO pgstream.endpoint_streams AS x (stream, endpoint_id, paused, epoch)
        SELECT stream, '${endpoint}', ${paused}, left(encode(sha256(convert_to(epoch_seed || ' ${endpoint}', 'UTF8')), 'hex'), 16) FROM pgstream.checkpoint
        ON CONFLICT (stream, endpoint_id) DO UPDATE SET paused = ${paused}`)
    const load = startLoad(database.name, Array.from({ length: WRITERS }, (_, n) => new Random(SEED * 100 + n)), WRITER_PAUSE_MS)
    for (const [failPoint, most] of failPoints) {
      // What is paused goes to segments.
      if (failPoint === "segments.before_append") pause(true)
      const running = scene.program.startFailing(failPoint, random.int(1, most))
      const { code, stderr } = await within(failPoint, running.ended)
      assert.strictEqual(running.child.signalCode, "SIGKILL", `${failPoint}: it ended with ${code}: ${stderr}`)
      if (failPoint === "segments.after_append") pause(false)
    }
    await load.stop()
    process.stdout.write(`fail points, seed ${SEED}: ${await finish(scene)}\n`)
  }, 600_000)
})
