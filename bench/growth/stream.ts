/** Curves of a backlog to one subscriber that answers at once: rows a transaction, bytes a row, tables. */
import type { Growth } from "../parts/Growth.ts"
import type { Metrics } from "../parts/Scenario.ts"
import { backlog, drained, passed, Site } from "../parts/Site.ts"
import { stopProgram } from "../processes.ts"

const wanted = ({ cpuUs, events, eventsPerSecond, peakMib }: Metrics): Metrics => ({ events: events!, eventsPerSecond: eventsPerSecond!, cpuUs: cpuUs!, peakMib: peakMib! })

const transaction: Growth = {
  name: "transaction", of: "rows a transaction", cost: "cpuUs", sizes: [1, 10, 100, 1_000, 10_000, 100_000, 1_000_000, 2_000_000],
  about: "A backlog of inserts of 350 bytes (50,000 rows, or one transaction where that is more), by the size of the transactions.",
  prepare: async (bench) => {
    const receiver = await bench.receiver()
    const site = await Site.make(bench, bench.programs[0]!, { subscribers: [{ url: receiver.url }] })
    return {
      measure: async (size) => {
        const rows = Math.max(bench.size(50_000, 1_000), size)
        return wanted(await backlog(bench, site, receiver, rows, { perTransaction: size }))
      },
      end: () => site.drop()
    }
  }
}

/** Bytes of one run, of all rows together. */
const RUN_BYTES = 64 * 1024 * 1024
const RUN_ROWS = { least: 32, most: 50_000 }

const rowBytes: Growth = {
  name: "row", of: "bytes a row", cost: "cpuNsAByte", sizes: [100, 1_000, 10_000, 100_000, 1_000_000],
  about: "A backlog of inserts of one text of that size (64 MiB in all, at most 50,000 rows); the cost of a byte, since a body is as long as its row. That of 100 bytes is the cost of the event.",
  prepare: async (bench) => {
    const receiver = await bench.receiver()
    const site = await Site.make(bench, bench.programs[0]!, {
      sql: "CREATE TABLE texts (id bigserial PRIMARY KEY, body text NOT NULL); ALTER TABLE texts ALTER body SET STORAGE EXTERNAL", subscribers: [{ url: receiver.url, table: "texts" }]
    })
    return {
      measure: async (size) => {
        const rows = Math.min(RUN_ROWS.most, Math.max(RUN_ROWS.least, Math.floor(bench.size(RUN_BYTES, 2 * 1024 * 1024) / size)))
        await site.session.ask(`INSERT INTO texts (body) SELECT left(repeat(md5(g::text), ${Math.ceil(size / 32)}), ${size}) FROM generate_series(1, ${rows}) g`)
        await receiver.reset()
        const running = site.start()
        try {
          const found = await drained(bench, receiver, rows, running)
          return { ...wanted({ ...found }), mibPerSecond: found.eventsPerSecond * size / 2 ** 20, cpuNsAByte: found.cpuUs * 1_000 / size }
        } finally {
          await stopProgram(running)
        }
      },
      end: () => site.drop()
    }
  }
}

/** Tables of one statement that makes them: what it locks must fit into the lock table of Postgres. */
const TABLES_AT_ONCE = 500

const tables: Growth = {
  name: "tables", of: "tables", cost: "cpuUs", sizes: [1, 10, 100, 1_000, 10_000],
  about: "A backlog of 50,000 rows, spread over so many tables, all of them in each transaction in turn; one subscriber of all tables. The first row of a table brings its shape.",
  prepare: async (bench) => {
    const receiver = await bench.receiver()
    const site = await Site.make(bench, bench.programs[0]!, { subscribers: [{ url: receiver.url, table: "" }] })
    await site.session.ask(`CREATE PROCEDURE make(f int, l int) LANGUAGE plpgsql AS $$ BEGIN
      FOR i IN f .. l LOOP
        EXECUTE format('CREATE TABLE many_%s (id bigserial PRIMARY KEY, customer bigint, note text)', i);
        IF i % ${TABLES_AT_ONCE} = 0 THEN COMMIT; END IF;
      END LOOP; END $$;
      CREATE PROCEDURE spread(rows int, tables int) LANGUAGE plpgsql AS $$ DECLARE a int := 0; BEGIN
        WHILE a < rows LOOP
          EXECUTE format('INSERT INTO many_%s (customer, note) SELECT g, repeat(md5(g::text), 9) FROM generate_series(1, %s) g', a / 5 % tables + 1, least(5, rows - a));
          a := a + 5;
          IF a % 100 = 0 THEN COMMIT; END IF;
        END LOOP; END $$;`)
    let there = 0
    return {
      measure: async (size) => {
        bench.say(`making ${size - there} tables`)
        await site.session.ask(`CALL make(${there + 1}, ${size})`)
        there = size
        await passed(site)
        const rows = bench.size(50_000, 1_000)
        await site.session.ask(`CALL spread(${rows}, ${size})`)
        await receiver.reset()
        const running = site.start()
        try {
          return wanted({ ...await drained(bench, receiver, rows, running) })
        } finally {
          await stopProgram(running)
        }
      },
      end: () => site.drop()
    }
  }
}

export const curves: ReadonlyArray<Growth> = [transaction, rowBytes, tables]
