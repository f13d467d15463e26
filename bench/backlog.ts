/**
 * A backlog through the binary, beside the bare loop: fresh processes in turn, medians, their ratio.
 *
 * `node bench/backlog.ts [--events 200000] [--pairs 5] [--concurrency 16,64] [--profile DIR]`. Postgres, receiver and
 * client share the machine, so other load on it spoils the figures; the load average is printed.
 */
import { readdirSync, rmSync, writeFileSync } from "node:fs"
import { loadavg, tmpdir } from "node:os"
import { join } from "node:path"
import { parseArgs } from "node:util"
import { type PostgresServer, startServer } from "../test/support/PostgresServer.ts"
import { cpuSeconds, median, type Receiver, start, startReceiver, wait } from "./processes.ts"
import { summarise } from "./profile.ts"

const { values } = parseArgs({
  options: {
    events: { type: "string", default: "200000" }, pairs: { type: "string", default: "5" },
    concurrency: { type: "string", default: "16,64" }, profile: { type: "string" }
  }
})
const events = Number(values.events)
const binary = process.env["PGSTREAM_BIN"] ?? join(import.meta.dirname, "../bin/pgstream.cjs")
const DEADLINE_MS = 300_000

const say = (line: string) => void process.stdout.write(`${line}\n`)

interface Measured {
  readonly perSecond: number
  /** CPU of the client, µs an event, from its first request on. */
  readonly cpuUs: number
}

const environment = (server: PostgresServer, concurrency: number) => ({
  PGSTREAM_POSTGRES_LISTENER_URL: server.url(),
  PGSTREAM_POSTGRES_REPLICATION_SLOT_NAME: "bench",
  PGSTREAM_WEBHOOK_SUBSCRIPTION_STORE_URL: server.url(),
  PGSTREAM_WEBHOOK_SUBSCRIPTION_SERVER_ADDRESS: "127.0.0.1:0",
  PGSTREAM_HEALTH_CHECK_ENABLED: "false",
  PGSTREAM_WEBHOOK_NOTIFIER_CONCURRENCY: String(concurrency)
})

/** Rows of about 350 bytes, 100 a transaction. */
const fill = (server: PostgresServer) => void server.psql(`CALL fill(${events})`)

const prepare = async (server: PostgresServer, receiver: Receiver): Promise<void> => {
  const init = start([binary, "init"], environment(server, 64))
  if (await init.ended !== 0) throw new Error(init.log())
  server.psql(`
    CREATE TABLE orders (id bigserial PRIMARY KEY, customer bigint NOT NULL, state text NOT NULL, note text NOT NULL,
      at timestamptz NOT NULL);
    CREATE PROCEDURE fill(n int) LANGUAGE plpgsql AS $$ BEGIN
      FOR i IN 1 .. n / 100 LOOP
        INSERT INTO orders (customer, state, note, at)
          SELECT i * 100 + g, 'paid', repeat(md5((i * 100 + g)::text), 9), now() FROM generate_series(1, 100) g;
        COMMIT;
      END LOOP;
    END $$;
    INSERT INTO pgstream.webhook_subscriptions (url, schema_name, table_name, event_types)
      VALUES ('${receiver.url}', 'public', 'orders', '{I}')`)
}

/** Until the receiver has all, or the process ends. Returns the client's CPU seconds at the first and the last request. */
const drained = async (receiver: Receiver, child: ReturnType<typeof start>) => {
  const deadline = Date.now() + DEADLINE_MS
  let first: number | undefined
  let cpu = 0
  for (;;) {
    const counted = await receiver.counted()
    if (child.child.exitCode === null) cpu = cpuSeconds(child.child.pid!)
    if (first === undefined && counted.events > 0) first = cpu
    if (counted.events >= events) return { counted, cpu: cpu - (first ?? 0) }
    if ((child.child.exitCode ?? 0) !== 0) throw new Error(`ended with ${child.child.exitCode}: ${child.log()}`)
    if (Date.now() > deadline) throw new Error(`${counted.events} of ${events} after ${DEADLINE_MS} ms: ${child.log()}`)
    await wait(20)
  }
}

const measured = async (receiver: Receiver, child: ReturnType<typeof start>): Promise<Measured> => {
  const { counted, cpu } = await drained(receiver, child)
  return { perSecond: (counted.events - 1) / ((counted.lastMs - counted.firstMs) / 1000), cpuUs: cpu / counted.events * 1e6 }
}

const ours = async (
  server: PostgresServer, receiver: Receiver, concurrency: number, flags: ReadonlyArray<string> = []
): Promise<Measured> => {
  fill(server)
  await receiver.reset()
  const child = start([...flags, binary, "run"], environment(server, concurrency))
  const found = await measured(receiver, child)
  child.child.kill("SIGTERM")
  if (await child.ended !== 0) throw new Error(child.log())
  return found
}

const SENT = /^(?:content-type|webhook-)/i
/** What the bare loop sends: what ours sent first. */
const prebuilt = async (receiver: Receiver): Promise<string> => {
  const requests = (await receiver.kept()).map(({ body, head }) => ({
    body,
    headers: head.split("\r\n").slice(1).filter((line) => SENT.test(line)).flatMap((line) => {
      const colon = line.indexOf(":")
      return [line.slice(0, colon), line.slice(colon + 1).trim()]
    })
  }))
  const file = join(tmpdir(), `pgstream-bench-${process.pid}.json`)
  writeFileSync(file, JSON.stringify(requests))
  return file
}

const bare = async (receiver: Receiver, concurrency: number, requests: string): Promise<Measured> => {
  await receiver.reset()
  const child = start([join(import.meta.dirname, "bare.ts")], {
    TARGET: receiver.url, EVENTS: String(events), CONCURRENCY: String(concurrency), REQUESTS: requests
  })
  const found = await measured(receiver, child)
  if (await child.ended !== 0) throw new Error(child.log())
  return found
}

const row = (concurrency: number, a: ReadonlyArray<Measured>, b: ReadonlyArray<Measured>): string => {
  const of = (list: ReadonlyArray<Measured>, key: keyof Measured) => median(list.map((one) => one[key]))
  const ratio = median(a.map((one, i) => one.perSecond / b[i]!.perSecond))
  return `| ${concurrency} | ${of(a, "perSecond").toFixed(0)} | ${of(b, "perSecond").toFixed(0)} | **${ratio.toFixed(2)}** | ` +
    `${of(a, "cpuUs").toFixed(1)} | ${of(b, "cpuUs").toFixed(1)} |`
}

const pairs = async (server: PostgresServer, receiver: Receiver): Promise<void> => {
  const lines: Array<string> = []
  for (const concurrency of values.concurrency.split(",").map(Number)) {
    const [a, b]: [Array<Measured>, Array<Measured>] = [[], []]
    for (let pair = 0; pair < Number(values.pairs); pair++) {
      a.push(await ours(server, receiver, concurrency))
      const requests = await prebuilt(receiver)
      b.push(await bare(receiver, concurrency, requests))
      rmSync(requests)
      const [x, y] = [a.at(-1)!, b.at(-1)!]
      const of = ({ cpuUs, perSecond }: Measured) => `${perSecond.toFixed(0)}/s ${cpuUs.toFixed(1)} µs`
      say(`${concurrency} in flight: ours ${of(x)}, bare ${of(y)}, ratio ${(x.perSecond / y.perSecond).toFixed(2)}`)
    }
    lines.push(row(concurrency, a, b))
  }
  const { bytes, events: sent } = await receiver.counted()
  say(`\nmean body: ${(bytes / sent).toFixed(0)} bytes`)
  say("\n| in flight | ours, events/s | bare, requests/s | ratio | ours, client µs | bare, client µs |\n|---|---|---|---|---|---|")
  for (const line of lines) say(line)
}

const profiled = async (server: PostgresServer, receiver: Receiver, dir: string): Promise<void> => {
  await ours(server, receiver, 64, ["--cpu-prof", `--cpu-prof-dir=${dir}`])
  const file = readdirSync(dir).filter((name) => name.endsWith(".cpuprofile")).toSorted().at(-1)!
  say(`\n${summarise(join(dir, file), events)}`)
}

const server = await startServer()
const receiver = await startReceiver()
try {
  await prepare(server, receiver)
  const load = loadavg().map((n) => n.toFixed(1)).join(" ")
  say(`${events} rows of 350 bytes, Postgres ${server.version}, Node ${process.versions.node}, load ${load}`)
  await pairs(server, receiver)
  if (values.profile !== undefined) await profiled(server, receiver, values.profile)
} finally {
  receiver.stop()
  await server.stop()
}
