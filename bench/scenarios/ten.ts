/** Ten subscribers of one table: decoded once, body made once, so a request costs little more than in the bare loop. */
import { post, prebuilt } from "../parts/bare.ts"
import type { Scenario } from "../parts/Scenario.ts"
import { backlog, Site } from "../parts/Site.ts"

const SUBSCRIBERS = 10

export const scenario: Scenario = {
  name: "ten-subscribers", about: "A backlog to ten subscribers of one table: client CPU a request, against the bare loop.", control: "ours",
  prepare: async (bench) => {
    const receiver = await bench.receiver()
    const rows = bench.size(20_000, 500)
    const events = rows * SUBSCRIBERS
    const subscribers = Array.from({ length: SUBSCRIBERS }, (_, n) => ({ url: `${receiver.url}/${n}` }))
    const sites = await Promise.all(bench.programs.map((program) => Site.make(bench, program, { subscribers })))
    await backlog(bench, sites[0]!, receiver, 100, { events: 100 * SUBSCRIBERS })
    const requests = await prebuilt(receiver)
    return {
      arms: [
        ...sites.map((site) => ({ name: site.program.name, measure: () => backlog(bench, site, receiver, rows, { events }) })),
        { name: "bare", measure: () => post(bench, receiver, requests, { events, concurrency: 64 }) }
      ],
      comparisons: bench.programs.flatMap(({ name }) => [
        { metric: "cpuUsARequest", of: name, to: "bare", goal: { atMost: 1.1 }, warn: { atMost: 2 } }, { metric: "requestsPerSecond", of: name, to: "bare" }
      ]),
      limits: ["twice", "missing"].map((metric) => ({ arm: "ours", metric, atMost: 0 })),
      end: async () => {
        requests.remove()
        for (const site of sites) await site.drop()
      }
    }
  }
}
