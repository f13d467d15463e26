/** Batches of 100 events, beside single events, and beside a bare loop that decodes and writes bodies and sends nothing. */
import { bareDatabase, readAll } from "../parts/bareDatabase.ts"
import type { Scenario } from "../parts/Scenario.ts"
import { backlog, Site } from "../parts/Site.ts"

/** 16 requests in flight are 1,600 events, as docs/webhooks.md advises. */
const BATCHED = { batch: { max_events: 100, max_delay_ms: 50 }, concurrency: 16 }

export const scenario: Scenario = {
  name: "batch-100", about: "A backlog to one subscriber in batches of 100, 16 in flight, beside single events and the bare loop that decodes and writes bodies.", control: "batch",
  prepare: async (bench) => {
    const receiver = await bench.receiver()
    const rows = bench.size(200_000, 5_000)
    const single = await Site.make(bench, bench.programs[0]!, { subscribers: [{ url: receiver.url }] })
    const batched = await Site.make(bench, bench.programs[0]!, { subscribers: [{ url: receiver.url, patch: BATCHED }] })
    const database = await bareDatabase(bench)
    const base = await database.slot("pgoutput")
    await database.session.ask(`CALL fill(${rows})`)
    return {
      arms: [
        { name: "batch", measure: async () => {
          const found = await backlog(bench, batched, receiver, rows)
          return { ...found, eventsARequest: found["eventsPerSecond"]! / found["requestsPerSecond"]! }
        } },
        { name: "single", measure: () => backlog(bench, single, receiver, rows) },
        { name: "bare", measure: () => database.reading(base, (slot) => readAll(database, slot, "body", rows)) }
      ],
      comparisons: [
        { metric: "eventsPerSecond", of: "batch", to: "bare", goal: { atLeast: 0.6 }, warn: { atLeast: 0.3 } },
        { metric: "eventsPerSecond", of: "batch", to: "single", goal: { atLeast: 2.5 }, warn: { atLeast: 1.2 } }
      ],
      limits: ["twice", "missing"].map((metric) => ({ arm: "batch", metric, atMost: 0 })),
      end: async () => {
        await single.drop()
        await batched.drop()
        database.drop()
      }
    }
  }
}
