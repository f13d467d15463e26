/** Tables that nobody subscribed to: the program reads past them, beside our decoder alone and pg_recvlogical, of as many rows. */
import { execFileSync } from "node:child_process"
import { join } from "node:path"
import { bareDatabase, readAll } from "../parts/bareDatabase.ts"
import type { Bench, Metrics, Scenario } from "../parts/Scenario.ts"
import { drained, Site } from "../parts/Site.ts"
import { type Receiver, stopProgram } from "../processes.ts"
import type { PostgresServer } from "../../test/support/PostgresServer.ts"

type Plugin = "pgoutput" | "wal2json"

const OPTIONS: Readonly<Record<Plugin, ReadonlyArray<string>>> = {
  pgoutput: ["proto_version=1", "publication_names=pgstream"],
  wal2json: ["format-version=2", "include-lsn=1", "include-timestamp=1", "include-xids=1"]
}

/** To /dev/null, until that position; its start is in the time, some ms. */
export const recvlogical = (server: PostgresServer, database: string, slot: string, plugin: Plugin, end: string, rows: number): Metrics => {
  const began = performance.now()
  execFileSync(join(server.bin, "pg_recvlogical"), [
    "-h", "127.0.0.1", "-p", String(server.port), "-U", "postgres", "-d", database, "--slot", slot, "--start", "-f", "/dev/null", "--endpos", end,
    ...OPTIONS[plugin].flatMap((option) => ["-o", option])
  ], { stdio: "ignore" })
  return { eventsPerSecond: rows / ((performance.now() - began) / 1_000) }
}

const MARK = "INSERT INTO marks DEFAULT VALUES"

const between = (bench: Bench, site: Site, receiver: Receiver, rows: number) => async (): Promise<Metrics> => {
  await site.session.ask(MARK)
  await site.fill(rows)
  await site.session.ask(MARK)
  // The next run begins behind this: its start-up is not in its time, and must not find the mark of this one.
  await receiver.reset()
  const running = site.start()
  try {
    const { cpuUs, missing, peakMib, requestsPerSecond, twice } = await drained(bench, receiver, 2, running)
    // One request to the next: the rows between them.
    return { events: rows, eventsPerSecond: requestsPerSecond * rows, cpuUs: cpuUs * 2 / rows, peakMib, twice, missing }
  } finally {
    await stopProgram(running)
  }
}

const scenario = (plugin: Plugin, micros: number): Scenario => ({
  name: `unsubscribed-${plugin}`, control: "ours",
  about: `Rows of a table that nobody subscribed to, ${plugin}: between two rows of another table at the receiver, beside our connection and decoder alone, and pg_recvlogical to /dev/null.`,
  prepare: async (bench) => {
    const rows = bench.size(600_000, 5_000)
    const receiver = await bench.receiver()
    const server = await bench.server()
    const site = await Site.make(bench, bench.programs[0]!, {
      sql: "CREATE TABLE marks (id bigserial PRIMARY KEY)", plugin, subscribers: [{ url: receiver.url, table: "marks" }]
    })
    // In a database of their own: what the others read, ours would read, too, and each begins with the same.
    const database = await bareDatabase(bench)
    const base = await database.slot(plugin)
    await database.session.ask(`CALL fill(${rows})`)
    const end = await database.session.ask("SELECT pg_current_wal_lsn()")
    return {
      arms: [
        { name: "ours", measure: between(bench, site, receiver, rows) },
        { name: "decode", measure: () => database.reading(base, (slot) => readAll(database, slot, "decode", rows)) },
        { name: "pg_recvlogical", measure: () => database.reading(base, (slot) => recvlogical(server, database.name, slot, plugin, end, rows)) }
      ],
      comparisons: [
        { metric: "eventsPerSecond", of: "ours", to: "decode", goal: { atLeast: 0.9 }, warn: { atLeast: 0.5 } },
        { metric: "eventsPerSecond", of: "ours", to: "pg_recvlogical", goal: { atLeast: 1 }, warn: { atLeast: 0.5 } }
      ],
      limits: [{ arm: "ours", metric: "cpuUs", atMost: micros }],
      end: async () => {
        await site.drop()
        database.drop()
      }
    }
  }
})

export const scenarios: ReadonlyArray<Scenario> = [scenario("pgoutput", 3), scenario("wal2json", 7)]
