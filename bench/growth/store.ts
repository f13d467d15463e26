/** Curves of what is kept in the store: endpoints, and deliveries that wait. */
import { freePort } from "../../test/support/PostgresServer.ts"
import type { Growth } from "../parts/Growth.ts"
import { drained, passed, Site } from "../parts/Site.ts"
import { park } from "../scenarios/parking.ts"
import { stopProgram } from "../processes.ts"

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

const parked: Growth = {
  name: "parked", of: "events that wait", cost: "cpuUs", sizes: [1_000, 100_000, 1_000_000, 10_000_000],
  about: "So many events wait for an endpoint that is dead: what keeping 50,000 more costs, in a process that was started for them.",
  prepare: async (bench) => {
    const site = await Site.make(bench, bench.programs[0]!, { subscribers: [{ url: `http://127.0.0.1:${await freePort()}/webhook` }] })
    let there = 0
    return {
      measure: async (size) => {
        const more = size - there
        if (more > 0) {
          await site.fill(more, 1_000)
          await passed(site)
        }
        const rows = bench.size(50_000, 1_000)
        there += Math.max(0, more) + rows
        const { cpuUs, eventsPerSecond, peakMib } = await park(bench, site, rows)
        const bytes = await site.session.ask("SELECT coalesce(sum(pg_total_relation_size(oid)), 0) FROM pg_class WHERE relname ~ '^webhook_segments_[0-9]+$'")
        return { eventsPerSecond: eventsPerSecond!, cpuUs: cpuUs!, peakMib: peakMib!, storeBytesAnEvent: Number(bytes) / there }
      },
      end: () => site.drop()
    }
  }
}

export const curves: ReadonlyArray<Growth> = [endpoints, parked]
