/** What keeping an event for an endpoint that is dead puts into the store and the WAL, by what its row says. */
import { freePort } from "../../test/support/PostgresServer.ts"
import type { Growth } from "../parts/Growth.ts"
import { acknowledged, Site } from "../parts/Site.ts"
import { cpuSeconds, peakMib, type Started, stopProgram } from "../processes.ts"

const DEAD_LIMIT_MS = 60_000
/** Digits of one call of md5. */
const DIGITS = 32
/** Of one run, of all rows together. */
const RUN_BYTES = 32 * 1024 * 1024
const RUN_ROWS = 100_000

const SEGMENTS = "SELECT coalesce(sum(pg_total_relation_size(oid)), 0) FROM pg_class WHERE relname ~ '^webhook_segments_[0-9]+$'"
const FILL = `CREATE TABLE texts (id bigserial PRIMARY KEY, body text NOT NULL);
  CREATE PROCEDURE fill_texts(n int, digits int) LANGUAGE sql AS $$
    INSERT INTO texts (body) SELECT (SELECT string_agg(md5(g::text || i || random()), '') FROM generate_series(1, digits / ${DIGITS}) i) FROM generate_series(1, n) g $$`

/** Until none of some events was attempted: the circuit breaker is open, and all go to segments. */
const dead = async (site: Site, running: Started): Promise<void> => {
  const deadline = Date.now() + DEAD_LIMIT_MS
  const rows = () => site.session.ask("SELECT count(*) FROM pgstream.webhook_deliveries")
  for (let before = "";;) {
    await site.session.ask(`CALL fill_texts(200, ${DIGITS})`)
    await acknowledged(site, running)
    const now = await rows()
    if (now === before) return
    if (Date.now() > deadline) throw new Error(`the dead endpoint is tried again and again: ${running.log()}`)
    before = now
  }
}

export const parkedRow: Growth = {
  name: "parked-row", of: "random hex digits a row", cost: "cpuNsAByte", sizes: [32, 320, 1_024, 4_096, 16_384],
  about: "Events that are kept for an endpoint that is dead, of rows with one text of that size (32 MiB in all, at most 100,000 rows): what each puts into the store and the WAL. "
    + "Hex digits carry half a byte each. The cost of a byte; that of 32 is the cost of the event.",
  prepare: async (bench) => {
    const site = await Site.make(bench, bench.programs[0]!, { sql: FILL, subscribers: [{ url: `http://127.0.0.1:${await freePort()}/webhook`, table: "texts" }] })
    return {
      measure: async (size) => {
        const rows = bench.size(Math.min(RUN_ROWS, Math.floor(RUN_BYTES / size)), 1_000)
        const running = site.start()
        try {
          await dead(site, running)
          const kept = Number(await site.session.ask(SEGMENTS))
          await site.session.ask(`CALL fill_texts(${rows}, ${size})`)
          const [began, cpu, from] = [performance.now(), cpuSeconds(running.pid), await site.session.ask("SELECT pg_current_wal_insert_lsn()")]
          await acknowledged(site, running)
          const used = cpuSeconds(running.pid) - cpu
          const wal = Number(await site.session.ask(`SELECT pg_current_wal_insert_lsn() - '${from}'`))
          return {
            events: rows, eventsPerSecond: rows / ((performance.now() - began) / 1_000), cpuUs: used / rows * 1e6, peakMib: peakMib(running.pid),
            storeBytesAnEvent: (Number(await site.session.ask(SEGMENTS)) - kept) / rows, walBytesAnEvent: wal / rows, cpuNsAByte: used / rows * 1e9 / size
          }
        } finally {
          await stopProgram(running)
        }
      },
      end: () => site.drop()
    }
  }
}
