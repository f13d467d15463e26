/**
 * What a fast endpoint gets beside others: one that refuses, one that answers after 200 ms, one that never answers; and
 * ten equal ones. Fresh databases and processes in turn, the fast one alone and beside the others, medians of the ratios.
 *
 * `node bench/fairness.ts [--events 200000] [--seconds 10] [--pairs 3] [--offered 0.25]`. `offered`: of the rate at which a
 * backlog drains alone.
 */
import { execFileSync, spawn } from "node:child_process"
import { loadavg } from "node:os"
import { join } from "node:path"
import { parseArgs } from "node:util"
import { freePort, type PostgresServer, startServer } from "../test/support/PostgresServer.ts"
import { type Counted, median, type Receiver, start, startReceiver, wait } from "./processes.ts"

const { values } = parseArgs({
  options: {
    events: { type: "string", default: "200000" }, seconds: { type: "string", default: "10" },
    pairs: { type: "string", default: "3" }, offered: { type: "string", default: "0.25" }
  }
})
const events = Number(values.events)
const seconds = Number(values.seconds)
const binary = process.env["PGSTREAM_BIN"] ?? join(import.meta.dirname, "../bin/pgstream.cjs")
const DEADLINE_MS = 300_000
/** Rows of one transaction of the offered load. */
const ROWS = 50
const say = (line: string) => void process.stdout.write(`${line}\n`)

const environment = (url: string, slot: string) => ({
  PGSTREAM_POSTGRES_LISTENER_URL: url,
  PGSTREAM_POSTGRES_REPLICATION_SLOT_NAME: slot,
  PGSTREAM_WEBHOOK_SUBSCRIPTION_STORE_URL: url,
  PGSTREAM_WEBHOOK_SUBSCRIPTION_SERVER_ADDRESS: "127.0.0.1:0",
  PGSTREAM_HEALTH_CHECK_ENABLED: "false"
})

interface Arm {
  readonly psql: (sql: string) => string
  readonly run: () => ReturnType<typeof start>
  readonly end: () => void
}

let made = 0
/** A database of its own, initialised, with these subscribers of `orders`. */
const prepare = async (server: PostgresServer, urls: ReadonlyArray<string>): Promise<Arm> => {
  const name = `fair_${made++}`
  server.psql(`CREATE DATABASE ${name}`)
  const psql = (sql: string) =>
    execFileSync(join(server.bin, "psql"), ["-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-h", "127.0.0.1", "-p", String(server.port), "-U", "postgres", "-d", name, "-f", "-"],
      { encoding: "utf8", input: sql, stdio: ["pipe", "pipe", "pipe"] })
  psql(`
    CREATE TABLE orders (id bigserial PRIMARY KEY, customer bigint NOT NULL, state text NOT NULL, note text NOT NULL, at timestamptz NOT NULL);
    CREATE PROCEDURE fill(n int) LANGUAGE plpgsql AS $$ BEGIN
      FOR i IN 1 .. n / 100 LOOP
        INSERT INTO orders (customer, state, note, at)
          SELECT i * 100 + g, 'paid', repeat(md5((i * 100 + g)::text), 9), now() FROM generate_series(1, 100) g;
        COMMIT;
      END LOOP;
    END $$;`)
  const env = environment(server.url(name), name)
  const init = start([binary, "init"], env)
  if (await init.ended !== 0) throw new Error(init.log())
  for (const url of urls) psql(`INSERT INTO pgstream.webhook_subscriptions (url, schema_name, table_name, event_types) VALUES ('${url}', 'public', 'orders', '{I}')`)
  return {
    psql, run: () => start([binary, "run"], env),
    end: () => {
      server.psql(`SELECT pg_terminate_backend(active_pid) FROM pg_replication_slots WHERE database = '${name}' AND active_pid IS NOT NULL`)
      server.psql(`SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE database = '${name}'`)
      server.psql(`DROP DATABASE ${name} WITH (FORCE)`)
    }
  }
}

const until = async (receiver: Receiver, count: number, child: ReturnType<typeof start>): Promise<Counted> => {
  const deadline = Date.now() + DEADLINE_MS
  for (;;) {
    const counted = await receiver.counted()
    if (counted.events >= count) return counted
    if (child.child.exitCode !== null) throw new Error(`ended with ${child.child.exitCode}: ${child.log()}`)
    if (Date.now() > deadline) throw new Error(`${counted.events} of ${count} after ${DEADLINE_MS} ms: ${child.log()}`)
    await wait(20)
  }
}

const perSecond = ({ events, firstMs, lastMs }: Counted): number => (events - 1) / ((lastMs - firstMs) / 1000)

const ended = async (child: ReturnType<typeof start>) => {
  child.child.kill("SIGTERM")
  const late = setTimeout(() => child.child.kill("SIGKILL"), 30_000)
  await child.ended
  clearTimeout(late)
}

/** Whether anything of the endpoint went through the store. */
const wentBehind = (arm: Arm, url: string): boolean =>
  arm.psql(`SELECT EXISTS (SELECT FROM pgstream.webhook_segment_cursors c JOIN pgstream.webhook_endpoints e ON e.id = c.endpoint_id WHERE e.url = '${url}')`).trim() === "t"

/** events/s of the fast one. */
const backlog = async (server: PostgresServer, fast: Receiver, others: ReadonlyArray<string>): Promise<{ readonly rate: number; readonly behind: boolean }> => {
  const arm = await prepare(server, [fast.url, ...others])
  arm.psql(`CALL fill(${events})`)
  await fast.reset()
  const child = arm.run()
  const rate = perSecond(await until(fast, events, child))
  const behind = wentBehind(arm, fast.url)
  await ended(child)
  arm.end()
  return { rate, behind }
}

/** Share of the offered events that the fast one has when the last was committed. */
const offered = async (server: PostgresServer, fast: Receiver, others: ReadonlyArray<string>, rate: number): Promise<number> => {
  const arm = await prepare(server, [fast.url, ...others])
  await fast.reset()
  const child = arm.run()
  arm.psql("INSERT INTO orders (customer, state, note, at) VALUES (0, 'first', '', now())")
  await until(fast, 1, child)
  const pauseMs = ROWS / rate * 1000
  // A session of its own that keeps to the clock, so that what the service does cannot slow the load.
  const load = spawn(join(server.bin, "psql"), ["-X", "-q", "-h", "127.0.0.1", "-p", String(server.port), "-U", "postgres", "-d", `fair_${made - 1}`, "-c", `
    DO $$ DECLARE began timestamptz := clock_timestamp(); n int := 0; BEGIN
      WHILE n * ${pauseMs} < ${seconds * 1000} LOOP
        INSERT INTO orders (customer, state, note, at) SELECT g, 'paid', repeat(md5(g::text), 9), now() FROM generate_series(1, ${ROWS}) g;
        COMMIT;
        n := n + 1;
        PERFORM pg_sleep(greatest(0, n * ${pauseMs} / 1000.0 - extract(epoch FROM clock_timestamp() - began)));
      END LOOP;
    END $$`], { stdio: ["ignore", "ignore", "inherit"] })
  await new Promise((resolve) => load.once("close", resolve))
  const written = Number(arm.psql("SELECT count(*) FROM orders"))
  const got = (await fast.counted()).events
  await until(fast, written, child)
  await ended(child)
  arm.end()
  return got / written
}

const server = await startServer()
const fast = await startReceiver()
const slow = await startReceiver(200)
const hanging = await startReceiver("never")
const dead = `http://127.0.0.1:${await freePort()}/webhook`
const equal = await Promise.all(Array.from({ length: 9 }, () => startReceiver()))
try {
  say(`${events} rows of 350 bytes, Postgres ${server.version}, Node ${process.versions.node}, load ${loadavg().map((n) => n.toFixed(1)).join(" ")}`)
  const arms = [["dead", [dead]], ["hanging", [hanging.url]], ["200 ms", [slow.url]], ["dead and 200 ms", [dead, slow.url]]] as const
  const lines: Array<string> = []
  const rates: Array<number> = []
  for (const [name, others] of arms) {
    const ratios: Array<number> = []
    for (let pair = 0; pair < Number(values.pairs); pair++) {
      const alone = await backlog(server, fast, [])
      const beside = await backlog(server, fast, others)
      rates.push(alone.rate)
      ratios.push(beside.rate / alone.rate)
      say(`backlog, beside ${name}: alone ${alone.rate.toFixed(0)}/s, beside ${beside.rate.toFixed(0)}/s, ratio ${ratios.at(-1)!.toFixed(2)}${beside.behind ? ", went behind" : ""}`)
    }
    lines.push(`| backlog, beside ${name} | ${median(ratios).toFixed(2)} | ≥ 0.60 |`)
  }
  const rate = median(rates) * Number(values.offered)
  for (const [name, others] of arms) {
    const ratios: Array<number> = []
    for (let pair = 0; pair < Number(values.pairs); pair++) {
      const alone = await offered(server, fast, [], rate)
      const beside = await offered(server, fast, others, rate)
      ratios.push(beside / alone)
      say(`${rate.toFixed(0)}/s offered, beside ${name}: alone ${(alone * 100).toFixed(1)} %, beside ${(beside * 100).toFixed(1)} % there at the last commit`)
    }
    lines.push(`| ${rate.toFixed(0)}/s offered, beside ${name} | ${median(ratios).toFixed(2)} | ≥ 0.90 |`)
  }
  const ten = await backlog(server, fast, equal.map(({ url }) => url))
  lines.push(`| ten equal endpoints, backlog: events/s of all | ${(ten.rate * 10).toFixed(0)} | ${ten.behind ? "went behind" : "all live"} |`)
  say("\n| the fast endpoint | of alone | goal |\n|---|---|---|")
  for (const line of lines) say(line)
} finally {
  for (const receiver of [fast, slow, hanging, ...equal]) receiver.stop()
  await server.stop()
}
