/** From the start of the process to the first delivery, and from SIGTERM to its end. */
import type { Scenario } from "../parts/Scenario.ts"
import { Site } from "../parts/Site.ts"
import { type Receiver, type Started, stopProgram, wait } from "../processes.ts"

/** ms; `PGSTREAM_WEBHOOK_NOTIFIER_GRACE_PERIOD`. */
const GRACE = 10_000
const LIMIT_MS = 60_000

const first = async (receiver: Receiver, running: Started): Promise<number> => {
  const from = performance.now()
  for (;;) {
    if ((await receiver.counted()).events > 0) return performance.now() - from
    if (running.child.exitCode !== null || performance.now() - from > LIMIT_MS) throw new Error(`nothing came: ${running.log()}`)
    await wait(2)
  }
}

export const scenario: Scenario = {
  name: "start-stop", about: "From the start of the process to the first delivery of what waits, and from SIGTERM to its end, amid a backlog to a subscriber that answers after 10 ms.",
  prepare: async (bench) => {
    const receiver = await bench.receiver(10)
    const sites = await Promise.all(bench.programs.map((program) => Site.make(bench, program, { subscribers: [{ url: receiver.url }] })))
    return {
      arms: sites.map((site) => ({
        name: site.program.name,
        measure: async () => {
          await site.fill(bench.size(50_000, 2_000))
          await receiver.reset()
          const running = site.start()
          const startMs = await first(receiver, running)
          await wait(1_000)
          return { startMs, stopMs: await stopProgram(running) }
        }
      })),
      comparisons: [],
      limits: [{ arm: "ours", metric: "startMs", atMost: 1_000 }, { arm: "ours", metric: "stopMs", atMost: GRACE }],
      end: async () => {
        for (const site of sites) await site.drop()
      }
    }
  }
}
