/** Curves of what is kept in the store: endpoints, and deliveries that wait. */
import { freePort } from "../../test/support/PostgresServer.ts"
import type { Growth } from "../parts/Growth.ts"
import type { Bench } from "../parts/Scenario.ts"
import { acknowledged, drained, passed, Site } from "../parts/Site.ts"
import { type Started, stopProgram, wait } from "../processes.ts"
import { kept } from "../scenarios/parking.ts"

const MATCHING = 10

const endpoints: Growth = {
  name: "endpoints", of: "endpoints", cost: "cpuUs", sizes: [10, 100, 1_000, 10_000],
  about: `So many endpoints, of which ${MATCHING} select the table: a backlog of 5,000 rows to those, checkpoints included. CPU an event and matching endpoint, from the first request on.`,
  prepare: async (bench) => {
    const receiver = await bench.receiver()
    const site = await Site.make(bench, bench.programs[0]!, { subscribers: Array.from({ length: MATCHING }, (_, n) => ({ url: `${receiver.url}/${n}` })) })
    let there = MATCHING
    return {
      measure: async (size) => {
        // The others select tables of their own: matching is by table.
        await site.session.ask(`INSERT INTO pgstream.webhook_subscriptions (url, schema_name, table_name, event_types)
          SELECT '${receiver.url}/other/' || g, 'public', 'other_' || g, '{I}' FROM generate_series(${there + 1}, ${size}) g`)
        there = size
        await passed(site)
        const rows = bench.size(5_000, 100)
        await site.fill(rows)
        await receiver.reset()
        const began = Date.now()
        const running = site.start()
        try {
          const found = drained(bench, receiver, rows * MATCHING, running)
          let startMs = 0
          while (startMs === 0) {
            if ((await receiver.counted()).events > 0 || running.child.exitCode !== null) startMs = Date.now() - began
            else await new Promise((resolve) => setTimeout(resolve, 10))
          }
          const { cpuUs, eventsPerSecond, peakMib } = await found
          return { eventsPerSecond, cpuUs, peakMib, startMs }
        } finally {
          await stopProgram(running)
        }
      },
      end: () => site.drop()
    }
  }
}

/** Rows of one turn of the filling: after each the table is emptied, so that only what is kept grows. */
const TURN_ROWS = 500_000
const FAILING_LIMIT_MS = 60_000

/** Only the live endpoint selects it. One transaction, so that all of it waits when the first row comes. */
const CALM = `CREATE TABLE calm (LIKE orders INCLUDING ALL);
  CREATE PROCEDURE fill_calm(n int) LANGUAGE sql AS $$
    INSERT INTO calm (customer, state, note, at) SELECT g, 'paid', repeat(md5(g::text), 9), now() FROM generate_series(1, n) g $$`

const SEGMENT_TABLES = "FROM pg_class WHERE relname ~ '^webhook_segments_[0-9]+$'"
const ONE_TABLE = "format('SELECT coalesce(sum(events), 0) AS n FROM pgstream.%I', relname)"
/** Events that wait, and bytes of the tables that they are in: segments, and rows of those that were attempted. */
const KEPT = `SELECT (SELECT count(*) FROM pgstream.webhook_deliveries)
    + coalesce(sum((xpath('/row/n/text()', query_to_xml(${ONE_TABLE}, false, true, '')))[1]::text::bigint), 0),
  pg_total_relation_size('pgstream.webhook_deliveries') + coalesce(sum(pg_total_relation_size(oid)), 0) ${SEGMENT_TABLES}`

const keepUntil = async (bench: Bench, site: Site, rows: number): Promise<void> => {
  const running = site.startAside()
  try {
    for (let left = rows; left > 0; left -= TURN_ROWS) {
      bench.say(`${left.toLocaleString("en")} events to be kept`)
      await site.fill(Math.min(left, TURN_ROWS), 1_000)
      await acknowledged(site, running)
      await site.session.ask("TRUNCATE orders")
    }
  } finally {
    await stopProgram(running)
  }
}

/** Until the dead endpoint has been failing for longer than its circuit breaker needs to open. */
const failing = async (site: Site, running: Started): Promise<void> => {
  const deadline = Date.now() + FAILING_LIMIT_MS
  while (await site.session.ask("SELECT count(*) FROM pgstream.endpoint_streams WHERE failing_since < now() - interval '3 s'") === "0") {
    if (running.child.exitCode !== null || Date.now() > deadline) throw new Error(`the dead endpoint does not fail: ${running.log()}`)
    await wait(100)
  }
}

const parked: Growth = {
  name: "parked", of: "events that wait", cost: "cpuUs", also: ["liveCpuUs"], sizes: [1_000, 100_000, 1_000_000, 10_000_000],
  about: "So many events wait in the store for an endpoint that is dead: what keeping 50,000 more costs, in a process that was started for them, and, in the same process, "
    + "the backlog of one transaction of 100,000 rows of another table to an endpoint that answers at once (*live*).",
  prepare: async (bench) => {
    const receiver = await bench.receiver()
    const site = await Site.make(bench, bench.programs[0]!, {
      sql: CALM, settings: { PGSTREAM_WEBHOOK_NOTIFIER_BUDGET_BYTES: "100GiB" },
      subscribers: [{ url: `http://127.0.0.1:${await freePort()}/webhook` }, { url: receiver.url, table: "calm" }]
    })
    let there = 0
    return {
      measure: async (size) => {
        await keepUntil(bench, site, size - there)
        const [rows, liveRows] = [bench.size(50_000, 1_000), bench.size(100_000, 1_000)]
        there = Math.max(there, size) + rows
        await site.fill(rows)
        await receiver.reset()
        const running = site.start()
        try {
          const { cpuUs, eventsPerSecond } = await kept(bench, site, running, rows)
          await failing(site, running)
          await site.session.ask(`CALL fill_calm(${liveRows})`)
          const live = await drained(bench, receiver, liveRows, running)
          const [waiting, bytes] = (await site.session.ask(KEPT)).split("|").map(Number) as [number, number]
          if (waiting < there) throw new Error(`${waiting} events wait, and ${there} should: ${running.log()}`)
          return {
            eventsPerSecond: eventsPerSecond!, cpuUs: cpuUs!, liveEventsPerSecond: live.eventsPerSecond, liveCpuUs: live.cpuUs,
            peakMib: live.peakMib, storeBytesAnEvent: bytes / waiting
          }
        } finally {
          await stopProgram(running)
        }
      },
      end: () => site.drop()
    }
  }
}

export const curves: ReadonlyArray<Growth> = [endpoints, parked]
