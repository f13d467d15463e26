/** A slot's backlog to one subscriber that answers at once (or after `delayMs`), beside the bare loop. */
import type { Receiver } from "../processes.ts"
import { post, prebuilt, type Requests } from "../parts/bare.ts"
import type { Arm, Bench, Comparison, Scenario } from "../parts/Scenario.ts"
import { backlog, Site } from "../parts/Site.ts"

/** 24 bytes, for the signed arms. */
const SECRET = Buffer.alloc(24, 7).toString("base64")

interface Options {
  readonly concurrency: number
  readonly signed?: boolean
  readonly delayMs?: number
  readonly rows: number
}

const prepare = ({ concurrency, delayMs = 0, rows, signed = false }: Options) => async (bench: Bench) => {
  const events = bench.size(rows, 2_000)
  const receiver: Receiver = await bench.receiver(delayMs)
  const sites: Array<Site> = []
  const arms: Array<Arm> = []
  let requests: Requests | undefined
  for (const program of bench.programs) {
    const subscriber = { url: receiver.url, ...(signed ? { secret: `whsec_${SECRET}` } : {}) }
    const site = await Site.make(bench, program, { subscribers: [subscriber], settings: { PGSTREAM_WEBHOOK_NOTIFIER_CONCURRENCY: String(concurrency) } })
    sites.push(site)
    // A short run first: it gives the bare loop its requests, and warms the disk's cache.
    await backlog(bench, site, receiver, 1_000)
    requests ??= await prebuilt(receiver, signed)
    arms.push({ name: program.name, measure: () => backlog(bench, site, receiver, events) })
  }
  const comparisons = bench.programs.flatMap(({ name }): ReadonlyArray<Comparison> => [
    { metric: "eventsPerSecond", of: name, to: "bare", goal: { atLeast: 0.9 }, warn: { atLeast: 0.5 } },
    { metric: "cpuUs", of: name, to: "bare", warn: { atMost: 2 } },
    ...(name === "ours" ? [] : [{ metric: "eventsPerSecond", of: "ours", to: name }])
  ])
  return {
    arms: [...arms, { name: "bare", measure: () => post(bench, receiver, requests!, { events, concurrency, ...(signed ? { secret: SECRET } : {}) }) }],
    comparisons,
    limits: ["twice", "missing"].map((metric) => ({ arm: "ours", metric, atMost: 0 })),
    end: async () => {
      requests?.remove()
      for (const site of sites) await site.drop()
    }
  }
}

const scenario = (name: string, about: string, options: Options): Scenario => ({ name, about, control: "ours", prepare: prepare(options) })

export const scenarios: ReadonlyArray<Scenario> = [
  scenario("backlog-16", "A backlog to one subscriber that answers at once, 16 in flight, beside the bare `Pool.request` loop.", { concurrency: 16, rows: 100_000 }),
  scenario("backlog-64", "The same, 64 in flight.", { concurrency: 64, rows: 100_000 }),
  scenario("backlog-16-signed", "The same, 16 in flight, each request signed; the bare loop signs, too.", { concurrency: 16, signed: true, rows: 100_000 }),
  scenario("backlog-64-signed", "The same, 64 in flight, signed.", { concurrency: 64, signed: true, rows: 100_000 }),
  scenario("slow-10ms", "A backlog to a subscriber that answers after 10 ms, 64 in flight.", { concurrency: 64, delayMs: 10, rows: 40_000 })
]
