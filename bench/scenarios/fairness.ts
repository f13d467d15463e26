/** What a fast endpoint gets beside a dead one and one that answers after 200 ms: of what it gets alone. */
import { freePort } from "../../test/support/PostgresServer.ts"
import type { Bench, Metrics, Program, Scenario } from "../parts/Scenario.ts"
import { backlog, drained, Site } from "../parts/Site.ts"
import { type Receiver, stopProgram } from "../processes.ts"

/** Rows of one commit of the offered load. */
const PER_COMMIT = 50

/** A site lives for one run: what the dead one left behind must not be there in the next. */
const within = async (bench: Bench, program: Program, urls: ReadonlyArray<string>, use: (site: Site) => Promise<Metrics>): Promise<Metrics> => {
  const site = await Site.make(bench, program, { subscribers: urls.map((url) => ({ url })) })
  try {
    return await use(site)
  } finally {
    await site.drop()
  }
}

/** Share of the offered events that the fast one has when the last was committed. */
const offered = (bench: Bench, fast: Receiver, rate: number, seconds: number) => async (site: Site): Promise<Metrics> => {
  await fast.reset()
  const running = site.start()
  try {
    await site.fill(1, 1)
    await drained(bench, fast, 1, running)
    const written = await site.offer(rate / PER_COMMIT, PER_COMMIT, seconds)
    const { events } = await fast.counted()
    const { missing, peakMib, twice } = await drained(bench, fast, written + 1, running)
    return { events: written + 1, share: (events - 1) / written, peakMib, twice, missing }
  } finally {
    await stopProgram(running)
  }
}

const others = async (bench: Bench): Promise<ReadonlyArray<string>> => [
  `http://127.0.0.1:${await freePort()}/webhook`, (await bench.receiver(200)).url
]

const named = (program: Program, arm: string): string => program.name === "ours" ? arm : `${program.name}, ${arm}`

export const scenarios: ReadonlyArray<Scenario> = [
  {
    name: "fairness-backlog", about: "A backlog to a fast subscriber, beside one that is dead and one that answers after 200 ms, against alone.", control: "alone",
    prepare: async (bench) => {
      const fast = await bench.receiver()
      const beside = await others(bench)
      // As long as a backlog is: it takes a second until the dead one and the slow one are behind.
      const rows = bench.size(400_000, 2_000)
      const arms = bench.programs.flatMap((program) => {
        const arm = (name: string, urls: ReadonlyArray<string>) => ({
          name: named(program, name),
          measure: () => within(bench, program, [fast.url, ...urls], (site) => backlog(bench, site, fast, rows))
        })
        return [arm("alone", []), arm("beside", beside)]
      })
      const comparisons = bench.programs.map((program) => (
        { metric: "eventsPerSecond", of: named(program, "beside"), to: named(program, "alone"), goal: { atLeast: 0.6 }, warn: { atLeast: 0.3 } }
      ))
      return { arms, comparisons, end: async () => {} }
    }
  },
  {
    name: "fairness-offered", about: "The same at a quarter of the rate at which a backlog drains: the share of what was offered that is there at the last commit.",
    prepare: async (bench) => {
      const fast = await bench.receiver()
      const beside = await others(bench)
      const ours = bench.programs[0]!
      const rates: Array<number> = []
      for (let turn = 0; turn < (bench.quick ? 1 : 2); turn++) {
        const { eventsPerSecond } = await within(bench, ours, [fast.url], (site) => backlog(bench, site, fast, bench.size(60_000, 2_000)))
        rates.push(eventsPerSecond!)
      }
      const rate = Math.min(...rates) / 4
      const arm = (name: string, urls: ReadonlyArray<string>) => ({
        name, measure: async () => ({ ...await within(bench, ours, [fast.url, ...urls], offered(bench, fast, rate, bench.size(10, 1))), offeredPerSecond: rate })
      })
      return {
        arms: [arm("alone", []), arm("beside", beside)],
        comparisons: [{ metric: "share", of: "beside", to: "alone", goal: { atLeast: 0.9 }, warn: { atLeast: 0.5 } }], end: async () => {}
      }
    }
  }
]
