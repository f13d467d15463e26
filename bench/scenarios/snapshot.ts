/** A copy of a table to one subscriber, beside the bare loop of POSTs and beside `COPY TO STDOUT`. */
import { execFileSync } from "node:child_process"
import { post, prebuilt, type Requests } from "../parts/bare.ts"
import type { Scenario } from "../parts/Scenario.ts"
import { psqlOf } from "../parts/session.ts"
import { drained, Site } from "../parts/Site.ts"
import { stopProgram } from "../processes.ts"

export const scenario: Scenario = {
  name: "snapshot", about: "`pgstream snapshot` of 1,000,000 rows to one subscriber that answers at once, beside the bare loop and `COPY TO STDOUT`.", maxRounds: 3,
  prepare: async (bench) => {
    const server = await bench.server()
    const receiver = await bench.receiver()
    const rows = bench.size(1_000_000, 2_000)
    const site = await Site.make(bench, bench.programs[0]!, { subscribers: [{ url: receiver.url }] })
    // Behind what the slot has to read, so that the copy alone is measured.
    await site.fill(rows, 10_000)
    const through = site.start()
    await drained(bench, receiver, rows, through)
    await stopProgram(through)
    let requests: Requests | undefined = await prebuilt(receiver)
    const ours = async () => {
      await receiver.reset()
      const running = site.start(["snapshot", "--tables", "orders", "--mode", "data"])
      const { missing: _, twice: __, ...found } = await drained(bench, receiver, rows, running)
      if (await running.ended !== 0) throw new Error(running.log())
      requests?.remove()
      requests = await prebuilt(receiver)
      return found
    }
    const copy = async () => {
      const began = performance.now()
      execFileSync("sh", ["-c", `exec "${psqlOf(server.bin)}" -XqAt "${server.url(site.database)}" -c "COPY orders TO STDOUT" >/dev/null`])
      return { eventsPerSecond: rows / ((performance.now() - began) / 1_000) }
    }
    return {
      arms: [
        { name: "ours", measure: ours }, { name: "bare", measure: () => post(bench, receiver, requests!, { events: rows, concurrency: 64 }) },
        { name: "COPY TO STDOUT", measure: copy }
      ],
      comparisons: [
        { metric: "eventsPerSecond", of: "ours", to: "bare", goal: { atLeast: 0.8 }, warn: { atLeast: 0.4 } }, { metric: "eventsPerSecond", of: "ours", to: "COPY TO STDOUT" }
      ],
      limits: [{ arm: "ours", metric: "peakMib", atMost: 256 }],
      end: async () => {
        requests?.remove()
        await site.drop()
      }
    }
  }
}
