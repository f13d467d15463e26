/** One transaction of two million rows to a slow receiver: memory must not know how large it is. */
import type { Scenario } from "../parts/Scenario.ts"
import { Site } from "../parts/Site.ts"
import { peakMib, rssMib, stopProgram, wait } from "../processes.ts"
import { quantile } from "../parts/stats.ts"

const STALL_LIMIT_MS = 600_000

export const scenario: Scenario = {
  name: "transaction", maxRounds: 1,
  about: "One transaction of 2,000,000 rows (700 MB decoded) to a receiver that answers after 10 ms; RSS each half second, late against early.",
  prepare: async (bench) => {
    const receiver = await bench.receiver(10)
    const rows = bench.size(2_000_000, 5_000)
    const sites = await Promise.all(bench.programs.map((program) => Site.make(bench, program, { subscribers: [{ url: receiver.url }] })))
    return {
      arms: sites.map((site) => ({
        name: site.program.name,
        measure: async () => {
          await site.fill(rows, rows)
          await receiver.reset()
          const running = site.start()
          const rss: Array<number> = []
          let [peak, before, since] = [0, 0, Date.now()]
          for (;;) {
            const { events, firstMs, lastMs, missing, twice } = await receiver.counted()
            if (running.child.exitCode !== null) throw new Error(running.log())
            peak = peakMib(running.pid)
            if (events > 0) rss.push(rssMib(running.pid))
            if (events > before) [before, since] = [events, Date.now()]
            if (events >= rows) {
              await stopProgram(running)
              // The first fifth is the start; then the medians of the first and of the last third of the rest.
              const rest = rss.slice(Math.floor(rss.length / 5))
              const third = Math.max(1, Math.floor(rest.length / 3))
              const flat = quantile(rest.slice(-third), 0.5) / quantile(rest.slice(0, third), 0.5)
              return { eventsPerSecond: (events - 1) / ((lastMs - firstMs) / 1_000), peakMib: peak, flat, events, twice, missing }
            }
            if (Date.now() - since > STALL_LIMIT_MS) throw new Error(`${events} of ${rows}: ${running.log()}`)
            bench.say(`${events.toLocaleString("en")} of ${rows.toLocaleString("en")}, ${peak.toFixed(0)} MiB at most`)
            await wait(500)
          }
        }
      })),
      comparisons: [],
      limits: [{ arm: "ours", metric: "peakMib", atMost: 256 }, { arm: "ours", metric: "flat", atMost: 1.1 }, ...["twice", "missing"].map((metric) => ({ arm: "ours", metric, atMost: 0 }))],
      end: async () => {
        for (const site of sites) await site.drop()
      }
    }
  }
}
