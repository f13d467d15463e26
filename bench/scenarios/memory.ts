/** The pipeline with a sender that answers in memory, beside the bare loop. */
import { bareFile, post, prebuilt } from "../parts/bare.ts"
import type { Scenario } from "../parts/Scenario.ts"
import { backlog, Site } from "../parts/Site.ts"
import { endedWithin, startProgram } from "../processes.ts"

const LIMIT_MS = 300_000

export const scenario: Scenario = {
  name: "memory", about: "The whole pipeline with a sender that answers in memory: all but HTTP. Beside the bare loop.", control: "ours",
  prepare: async (bench) => {
    const receiver = await bench.receiver()
    const rows = bench.size(200_000, 2_000)
    const site = await Site.make(bench, bench.programs[0]!, { subscribers: [{ url: receiver.url }] })
    await backlog(bench, site, receiver, 1_000)
    const requests = await prebuilt(receiver)
    const ours = async () => {
      await site.fill(rows)
      const running = startProgram(bareFile("inMemory.ts"), [], { ...site.environment, EVENTS: String(rows), PGSTREAM_LOG_LEVEL: "warn" }, bench.profiles?.flags())
      let out = ""
      running.child.stdout!.on("data", (text: string) => { out += text })
      await endedWithin(running, LIMIT_MS)
      const line = out.split("\n").find((each) => each.startsWith("{\"events\""))
      if (line === undefined) throw new Error(`the pipeline in memory: ${running.log()}`)
      return JSON.parse(line) as Readonly<Record<string, number>>
    }
    return {
      arms: [{ name: "ours", measure: ours }, { name: "bare", measure: () => post(bench, receiver, requests, { events: bench.size(100_000, 2_000), concurrency: 64 }) }],
      comparisons: [{ metric: "eventsPerSecond", of: "ours", to: "bare", goal: { atLeast: 4 }, warn: { atLeast: 1.5 } }],
      end: async () => {
        requests.remove()
        await site.drop()
      }
    }
  }
}
