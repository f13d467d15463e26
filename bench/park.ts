/**
 * What it costs to keep events for endpoints that are behind: segments (one row for a batch, shared by all endpoints)
 * beside the older form, a row for each event and endpoint. CPU of this process and of all of Postgres, and WAL.
 *
 *   node bench/park.ts [--events 400000] [--endpoints 1,10] [--kib 64,256] [--key]
 *   node bench/park.ts --deep 10000000      that many wait: do append, read and open slow down?
 */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as ManagedRuntime from "effect/ManagedRuntime"
import * as Redacted from "effect/Redacted"
import { execFileSync } from "node:child_process"
import { randomBytes, randomUUID } from "node:crypto"
import { parseArgs } from "node:util"
import type { SegmentEvent } from "../src/domain/Segment.ts"
import * as MigrationsStore from "../src/layers/postgres/store/MigrationsStore.ts"
import * as ParkedDeliveriesPg from "../src/layers/postgres/store/ParkedDeliveriesPg.ts"
import * as SegmentsPg from "../src/layers/postgres/store/SegmentsPg.ts"
import * as Sql from "../src/layers/postgres/Sql.ts"
import { ParkedDeliveries, type ParkedDelivery } from "../src/services/ParkedDeliveries.ts"
import { Segments } from "../src/services/Segments.ts"
import { SecretSettings } from "../src/services/Settings.ts"
import { startServer } from "../test/support/PostgresServer.ts"
import { cpuSeconds } from "./processes.ts"

const { values } = parseArgs({ options: {
  events: { type: "string", default: "400000" }, endpoints: { type: "string", default: "1,10" }, kib: { type: "string", default: "64,256" },
  key: { type: "boolean", default: false }, deep: { type: "string" }
} })
const listOf = (text: string) => text.split(",").map(Number)

/** Bodies of about 350 bytes: some of it the same in each, some random. */
const noise = randomBytes(1 << 20).toString("base64")
const bodyOf = (n: number): Buffer => {
  const at = (n * 7919) % (noise.length - 200)
  return Buffer.from(`{"Data":{"action":"I","timestamp":"2026-11-24 12:00:00.${String(n % 1e6).padStart(6, "0")}+00","lsn":"0/${n.toString(16)}","schema":"public","table":"users",`
    + `"columns":[{"id":"c-1","name":"id","type":"bigint","value":${n}},{"name":"email","type":"text","value":"${noise.slice(at, at + 24)}@example.com"},`
    + `{"name":"note","type":"text","value":"${noise.slice(at + 24, at + 104)}"}]}}`)
}
const selectedBy = [randomUUID()]
const eventOf = (n: number, endpoints: ReadonlyArray<string>): SegmentEvent => {
  const keys = [{ leaf: 16_384, root: 16_384, definition: 2 ** 40 + 5, value: (n * 7_919_123) % 2 ** 50 }]
  return {
    id: `${(n - n % 100).toString(16).padStart(16, "0")}-2d3a5b1c9e0f1-${n % 100}`, body: bodyOf(n), commitLsn: n - n % 100 + 1, ordinal: (n % 100) * 2 ** 20 + 1,
    table: "public.users", kind: "I",
    targets: endpoints.map((endpointId) => ({ endpointId, epoch: "0123456789abcdef", sequence: n + 1, selectedBy, keys }))
  }
}
const rowsOf = (event: SegmentEvent): ReadonlyArray<ParkedDelivery> =>
  event.targets.map((target) => ({ ...event, ...target, attempts: 0, retries: 0, state: "waiting", dueAtMs: 0, lastError: undefined }))

const server = await startServer({ conf: ["fsync = on", "full_page_writes = on", "max_wal_size = '4GB'"] })
const url = server.url("postgres")
const key = values.key ? Redacted.make(randomBytes(32)) : undefined
const runtime = ManagedRuntime.make(Layer.mergeAll(SegmentsPg.layer, ParkedDeliveriesPg.layer).pipe(
  Layer.provideMerge(Layer.effect(Sql.StoreSql, Effect.tap(Sql.make(Redacted.make(url), "bench"), MigrationsStore.run))),
  Layer.provide(Layer.succeed(SecretSettings, { key, previous: [] }))
))
const query = <A extends object>(text: string) => runtime.runPromise(Sql.StoreSql.use((sql) => sql.unsafe<A>(text))).then((rows) => rows[0]!)
const segments = <A, E>(use: (segments: Segments["Service"]) => Effect.Effect<A, E>) => runtime.runPromise(Segments.use(use))

/** CPU of all processes of the server, s. */
const postgresSeconds = async (): Promise<number> => {
  const { postmaster } = await query<{ readonly postmaster: string }>("SELECT (regexp_match(pg_read_file('postmaster.pid'), '^\\d+'))[1] AS postmaster")
  const children = execFileSync("ps", ["-o", "pid=", "--ppid", postmaster], { encoding: "utf8" }).trim().split(/\s+/)
  return [postmaster, ...children].reduce((sum, pid) => {
    try {
      return sum + cpuSeconds(Number(pid))
    } catch {
      return sum // it ended meanwhile
    }
  }, 0)
}
const walBytes = async (): Promise<number> => Number((await query<{ readonly at: string }>("SELECT pg_current_wal_lsn() - '0/0' AS at")).at)

/** The events are made before the clock runs; each part is then handed in, one after the other. */
const measure = async (what: string, parts: ReadonlyArray<ReadonlyArray<SegmentEvent>>, hand: (part: ReadonlyArray<SegmentEvent>) => Promise<unknown>) => {
  const count = parts.reduce((sum, part) => sum + part.length, 0)
  const before = [process.cpuUsage(), await postgresSeconds(), await walBytes(), performance.now()] as const
  for (const part of parts) await hand(part)
  const ms = performance.now() - before[3]
  const own = process.cpuUsage(before[0])
  const per = (seconds: number) => (seconds * 1e6 / count).toFixed(1)
  console.log(`${what.padEnd(44)} ${Math.round(count / ms * 1000).toLocaleString("en").padStart(8)} events/s  node ${per((own.user + own.system) / 1e6)} µs`
    + `  postgres ${per(await postgresSeconds() - before[1])} µs  WAL ${((await walBytes() - before[2]) / count).toFixed(0)} bytes`)
}

let next = 0
const batches = (count: number, endpoints: ReadonlyArray<string>, bytes: number): ReadonlyArray<ReadonlyArray<SegmentEvent>> => {
  const size = Math.max(1, Math.round(bytes / bodyOf(0).byteLength))
  return Array.from({ length: Math.ceil(count / size) }, () => Array.from({ length: size }, () => eventOf(next++, endpoints)))
}

const costs = async (): Promise<void> => {
  const count = Number(values.events)
  console.log(`bodies of ${bodyOf(1e6).byteLength} bytes${values.key ? ", encrypted" : ""}`)
  for (const endpoints of listOf(values.endpoints)) {
    const ids = Array.from({ length: endpoints }, () => randomUUID())
    for (const kib of listOf(values.kib)) {
      const stream = { systemIdentifier: "1", slotName: `s${endpoints}_${kib}` }
      await segments((store) => store.open(stream, 0))
      await measure(`segments of ${kib} KiB, ${endpoints} endpoints`, batches(count, ids, kib * 1024), (part) => segments((store) => store.append(stream, part)))
    }
    const stream = { systemIdentifier: "1", slotName: `rows${endpoints}` }
    await measure(`rows in batches of 500 events, ${endpoints} endpoints`, batches(count / 10 / endpoints, ids, 500 * bodyOf(0).byteLength), (part) =>
      runtime.runPromise(ParkedDeliveries.use((store) => store.write(stream, part.flatMap(rowsOf)))))
  }
}

/** Reads `count` segments one after the other. */
const readFrom = async (stream: { readonly systemIdentifier: string; readonly slotName: string }, endpoint: string, from: number, count: number): Promise<void> => {
  const start = performance.now()
  let [at, events] = [from, 0]
  for (let n = 0; n < count; n++) {
    const segment = await segments((store) => store.read(stream, endpoint, { segment: at, index: 0 }))
    if (segment === undefined) break
    events += segment.events.length
    at = segment.number + 1
  }
  console.log(`  read ${count} segments from ${from}: ${Math.round(events / (performance.now() - start) * 1000).toLocaleString("en")} events/s`)
}

const deep = async (total: number): Promise<void> => {
  const stream = { systemIdentifier: "1", slotName: "deep" }
  const ids = Array.from({ length: 3 }, () => randomUUID())
  await segments((store) => store.open(stream, 0))
  let last = 0
  for (let done = 0; done < total; done += total / 10) {
    // In pieces: what is made before the clock runs must fit into memory. CPU, too: other work on the machine does not count in it.
    const before = await postgresSeconds()
    let [ms, ownUs] = [0, 0]
    for (let piece = 0; piece < 10; piece++) {
      const parts = batches(total / 100, ids, 128 * 1024)
      const [start, cpu] = [performance.now(), process.cpuUsage()]
      for (const part of parts) last = await segments((store) => store.append(stream, part))
      const used = process.cpuUsage(cpu)
      ms += performance.now() - start
      ownUs += used.user + used.system
    }
    const per = (us: number) => (us * 10 / total).toFixed(1)
    console.log(`${(done + total / 10).toLocaleString("en").padStart(12)} wait: append ${Math.round(total / 10 / ms * 1000).toLocaleString("en")} events/s`
      + `  node ${per(ownUs)} µs  postgres ${per((await postgresSeconds() - before) * 1e6)} µs`)
  }
  await readFrom(stream, ids[0]!, 1, 200)
  await readFrom(stream, ids[0]!, Math.round(last / 2), 200)
  await readFrom(stream, ids[0]!, last - 200, 200)
  for (let turn = 0; turn < 3; turn++) {
    const start = performance.now()
    const backlogs = await segments((store) => store.open(stream, Number.MAX_SAFE_INTEGER))
    console.log(`  open: ${Math.round(performance.now() - start)} ms, ${backlogs.map(({ events }) => events.toLocaleString("en")).join(", ")} wait`)
  }
  const size = await query<{ readonly size: string; readonly tables: string }>(`SELECT pg_size_pretty(sum(pg_total_relation_size(c.oid))) AS size, count(*) AS tables
    FROM pg_class c WHERE c.relname ~ '^webhook_segments_[0-9]+$'`)
  console.log(`  on disk: ${size.size} in ${size.tables} tables, segments ${last.toLocaleString("en")}`)
  const start = performance.now()
  await segments((store) => store.pass(stream, new Map(ids.map((id) => [id, { segment: last + 1, index: 0 }]))))
  console.log(`  passed, tables dropped: ${Math.round(performance.now() - start)} ms`)
}

try {
  await (values.deep === undefined ? costs() : deep(Number(values.deep)))
} finally {
  await runtime.dispose()
  await server.stop()
}
