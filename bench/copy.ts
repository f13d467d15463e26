/**
 * A copy of one table through the service, beside `COPY TO STDOUT` and the bare loop of POSTs, which are its two limits.
 *
 * `node bench/copy.ts [--rows 1000000] [--concurrency 64]`. Postgres, receiver and client share the machine; the load
 * average is printed. Peak memory is the process's VmHWM.
 */
import { execFileSync, spawn } from "node:child_process"
import { existsSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { loadavg, tmpdir } from "node:os"
import { join } from "node:path"
import { parseArgs } from "node:util"
import { type PostgresServer, startServer } from "../test/support/PostgresServer.ts"
import { cpuSeconds, type Receiver, startReceiver } from "./processes.ts"

const { values } = parseArgs({ options: { rows: { type: "string", default: "1000000" }, concurrency: { type: "string", default: "64" } } })
const rows = Number(values.rows)
const binary = process.env["PGSTREAM_BIN"] ?? join(import.meta.dirname, "../bin/pgstream.cjs")
const DEADLINE_MS = 600_000

/** A program of ours with this Node; `log`: the end of what it printed. */
const start = (file: string, args: ReadonlyArray<string>, env: Readonly<Record<string, string>>) => {
  const child = spawn(process.execPath, [file, ...args], { env: { ...process.env, ...env }, stdio: ["ignore", "pipe", "pipe"] })
  let log = ""
  const keep = (text: string) => { log = (log + text).slice(-4000) }
  child.stdout.setEncoding("utf8").on("data", keep)
  child.stderr.setEncoding("utf8").on("data", keep)
  return { child, ended: new Promise<number | null>((resolve) => child.once("close", resolve)), log: () => log }
}

const say = (line: string) => void process.stdout.write(`${line}\n`)
const psqlOf = (server: PostgresServer) => existsSync(join(server.bin, "psql")) ? join(server.bin, "psql") : "psql"
const peakMiB = (pid: number) => Number(/VmHWM:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1] ?? 0) / 1024

const environment = (server: PostgresServer) => ({
  PGSTREAM_POSTGRES_LISTENER_URL: server.url(),
  PGSTREAM_POSTGRES_REPLICATION_SLOT_NAME: "bench",
  PGSTREAM_WEBHOOK_SUBSCRIPTION_STORE_URL: server.url(),
  PGSTREAM_WEBHOOK_SUBSCRIPTION_SERVER_ADDRESS: "127.0.0.1:0",
  PGSTREAM_HEALTH_CHECK_ENABLED: "false",
  PGSTREAM_WEBHOOK_NOTIFIER_CONCURRENCY: values.concurrency
})

/** Until the receiver has all of `events`: rows a second, client CPU µs a row, and the client's peak. */
const measured = async (receiver: Receiver, events: number, client: ReturnType<typeof start>) => {
  const deadline = Date.now() + DEADLINE_MS
  let [cpu, peak] = [0, 0]
  for (;;) {
    const counted = await receiver.counted()
    if (client.child.exitCode === null) [cpu, peak] = [cpuSeconds(client.child.pid!), peakMiB(client.child.pid!)]
    if (counted.events >= events) {
      return { perSecond: (counted.events - 1) / ((counted.lastMs - counted.firstMs) / 1000), cpuUs: cpu / counted.events * 1e6, peak, bytes: counted.bytes / counted.events }
    }
    if ((client.child.exitCode ?? 0) !== 0 || Date.now() > deadline) throw new Error(`${counted.events} of ${events}: ${client.log()}`)
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
}

const server = await startServer()
const receiver = await startReceiver()
try {
  server.psql(`CREATE TABLE orders (id bigserial PRIMARY KEY, customer bigint NOT NULL, state text NOT NULL, note text NOT NULL, at timestamptz NOT NULL)`)
  server.psql(`INSERT INTO orders (customer, state, note, at) SELECT g, 'paid', repeat(md5(g::text), 9), now() FROM generate_series(1, ${rows}) g`)
  const init = start(binary, ["init"], environment(server))
  if (await init.ended !== 0) throw new Error(init.log())
  server.psql(`INSERT INTO pgstream.webhook_subscriptions (url, schema_name, table_name, event_types) VALUES ('${receiver.url}', 'public', 'orders', '{I}')`)

  const beganMs = performance.now()
  execFileSync("sh", ["-c", `"${psqlOf(server)}" -XqAt "${server.url()}" -c "COPY orders TO STDOUT" > /dev/null`])
  say(`COPY TO STDOUT: ${(rows / (performance.now() - beganMs) * 1000).toFixed(0)} rows/s`)

  const client = start(binary, ["run"], environment(server))
  server.psql(`INSERT INTO pgstream.copies (stream, tables, mode, repeatable, state)
    SELECT system_identifier || '/bench', '[{"schema": "public", "table": "orders"}]', 'data', true, 'requested' FROM pg_control_system()`)
  const ours = await measured(receiver, rows, client)
  const kept = await receiver.kept()
  client.child.kill("SIGTERM")
  if (await client.ended !== 0) throw new Error(client.log())
  say(`copy: ${ours.perSecond.toFixed(0)} rows/s, ${ours.cpuUs.toFixed(1)} µs a row, peak ${ours.peak.toFixed(0)} MiB, mean body ${ours.bytes.toFixed(0)} bytes`)

  const requests = join(tmpdir(), `pgstream-bench-${process.pid}.json`)
  writeFileSync(requests, JSON.stringify(kept.map(({ body, head }) => ({
    body,
    headers: head.split("\r\n").slice(1).filter((line) => /^(?:content-type|webhook-)/i.test(line))
      .flatMap((line) => [line.slice(0, line.indexOf(":")), line.slice(line.indexOf(":") + 1).trim()])
  }))))
  await receiver.reset()
  const loop = start(join(import.meta.dirname, "bare.ts"), [], { TARGET: receiver.url, EVENTS: String(rows), CONCURRENCY: values.concurrency, REQUESTS: requests })
  const bare = await measured(receiver, rows, loop)
  await loop.ended
  rmSync(requests)
  say(`bare loop: ${bare.perSecond.toFixed(0)} requests/s, ${bare.cpuUs.toFixed(1)} µs a request; ratio ${(ours.perSecond / bare.perSecond).toFixed(2)}`)
  say(`load average ${loadavg().map((n) => n.toFixed(1)).join(" ")}`)
} finally {
  receiver.stop()
  await server.stop()
}
