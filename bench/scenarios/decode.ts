/** Reading and decoding alone, beside pg_recvlogical of the same slot to /dev/null. */
import { bareDatabase, readAll } from "../parts/bareDatabase.ts"
import type { Scenario } from "../parts/Scenario.ts"
import { recvlogical } from "./unsubscribed.ts"

const scenario = (plugin: "pgoutput" | "wal2json", micros: number): Scenario => ({
  name: `decode-${plugin}`, about: `Our connection and decoder, nothing subscribed, ${plugin}, beside pg_recvlogical to /dev/null; both read a copy of the same slot.`,
  control: "ours",
  prepare: async (bench) => {
    const rows = bench.size(300_000, 5_000)
    const database = await bareDatabase(bench)
    const base = await database.slot(plugin)
    await database.session.ask(`CALL fill(${rows})`)
    const end = await database.session.ask("SELECT pg_current_wal_lsn()")
    const server = await bench.server()
    return {
      arms: [
        { name: "ours", measure: () => database.reading(base, (slot) => readAll(database, slot, "decode", rows)) },
        { name: "pg_recvlogical", measure: () => database.reading(base, (slot) => recvlogical(server, database.name, slot, plugin, end, rows)) }
      ],
      comparisons: [{ metric: "eventsPerSecond", of: "ours", to: "pg_recvlogical", goal: { atLeast: 1 }, warn: { atLeast: 0.5 } }],
      limits: [{ arm: "ours", metric: "cpuUs", atMost: micros }],
      end: async () => database.drop()
    }
  }
})

export const scenarios: ReadonlyArray<Scenario> = [scenario("pgoutput", 3), scenario("wal2json", 7)]
