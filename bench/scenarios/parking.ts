/** An endpoint that is dead: how fast its events are kept, and in how much memory. The clock runs to the acknowledgement. */
import { freePort } from "../../test/support/PostgresServer.ts"
import { post, prebuilt } from "../parts/bare.ts"
import type { Bench, Comparison, Metrics, Scenario } from "../parts/Scenario.ts"
import { acknowledged, backlog, Site, usage } from "../parts/Site.ts"
import { cpuSeconds, rssMib, type Started, stopProgram } from "../processes.ts"

/** A program that has just been started, of a slot with so many rows: events/s from when it is read to when all is acknowledged; memory early and late. */
export const kept = async (bench: Bench, site: Site, running: Started, rows: number): Promise<Metrics> => {
  let [began, cpuBefore, early, late, cpu, peak] = [0, 0, 0, 0, 0, 0]
  await acknowledged(site, running, (share, read) => {
    bench.say(`${Math.round(share * 100)} % acknowledged`)
    const now = rssMib(running.pid)
    // The clock runs from when the slot is read: what comes before is start-up.
    if (began === 0 && read) [began, cpuBefore] = [performance.now(), cpuSeconds(running.pid)]
    if (share < 0.5 || early === 0) early = Math.max(early, now)
    else late = Math.max(late, now)
    ;[cpu, peak] = usage(running.pid, cpu, peak)
  })
  const seconds = (performance.now() - began) / 1_000
  return { events: rows, eventsPerSecond: rows / seconds, cpuUs: (cpu - cpuBefore) / rows * 1e6, peakMib: peak, flat: (late || early) / early }
}

const park = async (bench: Bench, site: Site, rows: number): Promise<Metrics> => {
  await site.fill(rows)
  const running = site.start()
  try {
    return await kept(bench, site, running, rows)
  } finally {
    await stopProgram(running)
  }
}

export const scenario: Scenario = {
  name: "parking", about: "Events of an endpoint that is dead, kept in the store (the source): until all are acknowledged. Beside the rate of the bare loop.", maxRounds: 3,
  prepare: async (bench) => {
    const receiver = await bench.receiver()
    const rows = bench.size(300_000, 5_000)
    const alive = await Site.make(bench, bench.programs[0]!, { subscribers: [{ url: receiver.url }] })
    await backlog(bench, alive, receiver, 1_000)
    const requests = await prebuilt(receiver)
    await alive.drop()
    const sites: Array<Site> = []
    for (const program of bench.programs) sites.push(await Site.make(bench, program, { subscribers: [{ url: `http://127.0.0.1:${await freePort()}/webhook` }] }))
    // Once, so that it is behind already: what is measured is the keeping, not how it comes to that.
    for (const site of sites) await park(bench, site, 200)
    return {
      arms: [
        ...sites.map((site) => ({ name: site.program.name, measure: () => park(bench, site, rows) })),
        { name: "bare", measure: () => post(bench, receiver, requests, { events: bench.size(100_000, 2_000), concurrency: 64 }) }
      ],
      comparisons: bench.programs.flatMap(({ name }): ReadonlyArray<Comparison> => [
        { metric: "eventsPerSecond", of: name, to: "bare", goal: { atLeast: 0.5 }, warn: { atLeast: 0.25 } },
        ...(name === "ours" ? [] : [{ metric: "eventsPerSecond", of: "ours", to: name }])
      ]),
      limits: [{ arm: "ours", metric: "peakMib", atMost: 256 }, { arm: "ours", metric: "flat", atMost: 1.1 }],
      end: async () => {
        requests.remove()
        for (const site of sites) await site.drop()
      }
    }
  }
}
