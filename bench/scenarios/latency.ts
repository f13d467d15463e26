/** From commit to receipt at 200 commits a second, beside a bare reader: replication socket, decode, `request`. */
import { bareFile } from "../parts/bare.ts"
import { bareDatabase, readerEnvironment } from "../parts/bareDatabase.ts"
import type { Bench, Metrics, Scenario } from "../parts/Scenario.ts"
import { openSession, type Session } from "../parts/session.ts"
import { Site } from "../parts/Site.ts"
import { quantile } from "../parts/stats.ts"
import { type Receiver, type Started, startProgram, stopProgram, wait } from "../processes.ts"

const COMMITS_PER_SECOND = 200
const LIMIT_MS = 60_000

/** Updates of 50 rows in turn, of which `n` only grows: the receiver checks that. */
const TICKS = `
  CREATE TABLE ticks (id int PRIMARY KEY, n int NOT NULL, note text NOT NULL);
  INSERT INTO ticks SELECT g, 0, repeat(md5(g::text), 9) FROM generate_series(0, 49) g;
  CREATE PROCEDURE tick(commits_per_second float8, seconds float8) LANGUAGE plpgsql AS $$
  DECLARE began timestamptz := clock_timestamp(); done int := 0; BEGIN
    WHILE done < commits_per_second * seconds LOOP
      UPDATE ticks SET n = n + 1 WHERE id = done % 50;
      COMMIT;
      done := done + 1;
      PERFORM pg_sleep(greatest(0, done / commits_per_second - extract(epoch FROM clock_timestamp() - began)));
    END LOOP;
  END $$;`

const until = async (receiver: Receiver, events: number, running: Started): Promise<void> => {
  const deadline = Date.now() + LIMIT_MS
  while ((await receiver.counted()).events < events) {
    if (running.child.exitCode !== null || Date.now() > deadline) throw new Error(`not everything came: ${running.log()}`)
    await wait(50)
  }
}

const measured = async (receiver: Receiver, running: Started, load: Session, seconds: number): Promise<Metrics> => {
  try {
    await receiver.reset()
    await load.ask("CALL tick(1000, 0.05)")
    await until(receiver, 50, running)
    await receiver.reset("latency")
    await load.ask(`CALL tick(${COMMITS_PER_SECOND}, ${seconds})`)
    await until(receiver, COMMITS_PER_SECOND * seconds, running)
    const samples = await receiver.samples()
    const { wrongOrder } = await receiver.counted()
    return { p50Us: quantile(samples, 0.5), p99Us: quantile(samples, 0.99), wrongOrder }
  } finally {
    await stopProgram(running)
  }
}

const prepare = async (bench: Bench) => {
  const receiver = await bench.receiver()
  const seconds = bench.size(15, 1)
  const sites: Array<Site> = []
  for (const program of bench.programs) sites.push(await Site.make(bench, program, { sql: TICKS, subscribers: [{ url: receiver.url, table: "ticks" }] }))
  const database = await bareDatabase(bench, TICKS)
  const server = await bench.server()
  const loads = new Map(sites.map((site) => [site, openSession(server, site.database)]))
  const bare = async () => {
    const slot = await database.slot("pgoutput")
    const running = startProgram(bareFile("reader.ts"), [], { ...readerEnvironment(database, slot, "post", 0), TARGET: receiver.url })
    const found = await measured(receiver, running, database.session, seconds)
    await database.dropSlot(slot)
    return found
  }
  return {
    arms: [...sites.map((site) => ({ name: site.program.name, measure: () => measured(receiver, site.start(), loads.get(site)!, seconds) })), { name: "bare", measure: bare }],
    comparisons: bench.programs.flatMap(({ name }) => [
      { metric: "p50Us", of: name, to: "bare", goal: { atMost: 1.2 }, warn: { atMost: 3 } }, { metric: "p99Us", of: name, to: "bare", goal: { atMost: 1.5 }, warn: { atMost: 5 } }
    ]),
    limits: [{ arm: "ours", metric: "wrongOrder", atMost: 0 }],
    end: async () => {
      for (const load of loads.values()) load.end()
      for (const site of sites) await site.drop()
      database.drop()
    }
  }
}

export const scenario: Scenario = {
  name: "latency", about: "From the commit's timestamp to the receipt, 200 commits of one row a second, beside a bare reader (socket, decode, `request`; nothing kept, no order).",
  control: "ours", prepare
}
