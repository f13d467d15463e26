/** The injector on and off: what the metadata of each event costs. */
import type { Scenario } from "../parts/Scenario.ts"
import { backlog, Site } from "../parts/Site.ts"

export const scenario: Scenario = {
  name: "injector", about: "A backlog to one subscriber with the injector on, against off.", control: "off",
  prepare: async (bench) => {
    const receiver = await bench.receiver()
    const rows = bench.size(100_000, 2_000)
    const server = await bench.server()
    const sites = await Promise.all([false, true].map((on) =>
      Site.make(bench, bench.programs[0]!, {
        subscribers: [{ url: receiver.url }], settings: on ? { PGSTREAM_INJECTOR_STORE_POSTGRES_URL: server.url() } : {}
      })))
    for (const site of sites) await backlog(bench, site, receiver, 100)
    return {
      arms: sites.map((site, n) => ({ name: n === 1 ? "on" : "off", measure: () => backlog(bench, site, receiver, rows) })),
      comparisons: [
        { metric: "eventsPerSecond", of: "on", to: "off", goal: { atLeast: 0.9 }, warn: { atLeast: 0.6 } }, { metric: "cpuUs", of: "on", to: "off" }
      ],
      end: async () => {
        for (const site of sites) await site.drop()
      }
    }
  }
}
