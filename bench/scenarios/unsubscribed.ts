/** Tables that nobody subscribed to: the program reads past them, beside pg_recvlogical of the same slot's rows. */
import { execFileSync } from "node:child_process"
import { join } from "node:path"
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

const between = async (bench: Bench, site: Site, receiver: Receiver, plugin: Plugin, rows: number) => {
  const server = await bench.server()
  const ours = async (): Promise<Metrics> => {
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
  let copies = 0
  const bare = async (): Promise<Metrics> => {
    const slot = `${site.database}_copy_${copies++}`
    await site.session.ask(`SELECT pg_create_logical_replication_slot('${slot}', '${plugin}')`)
    await site.fill(rows)
    const end = await site.session.ask("SELECT pg_current_wal_lsn()")
    const found = recvlogical(server, site.database, slot, plugin, end, rows)
    await site.session.ask(`SELECT pg_drop_replication_slot('${slot}')`)
    return found
  }
  return { ours, bare }
}

const scenario = (plugin: Plugin, micros: number): Scenario => ({
  name: `unsubscribed-${plugin}`, about: `Rows of a table that nobody subscribed to, ${plugin}: between two rows of another table at the receiver, beside pg_recvlogical to /dev/null.`, control: "ours",
  prepare: async (bench) => {
    const rows = bench.size(300_000, 5_000)
    const receiver = await bench.receiver()
    const site = await Site.make(bench, bench.programs[0]!, {
      sql: "CREATE TABLE marks (id bigserial PRIMARY KEY)", plugin, subscribers: [{ url: receiver.url, table: "marks" }]
    })
    const arms = await between(bench, site, receiver, plugin, rows)
    return {
      arms: [{ name: "ours", measure: arms.ours }, { name: "pg_recvlogical", measure: arms.bare }],
      comparisons: [{ metric: "eventsPerSecond", of: "ours", to: "pg_recvlogical", goal: { atLeast: 1 }, warn: { atLeast: 0.5 } }],
      limits: [{ arm: "ours", metric: "cpuUs", atMost: micros }],
      end: () => site.drop()
    }
  }
})

export const scenarios: ReadonlyArray<Scenario> = [scenario("pgoutput", 3), scenario("wal2json", 7)]
