/**
 * What the Notifier costs an event: decoded changes in, requests answered in memory, settled positions out. No
 * Postgres, no HTTP: body, keys, order, lanes and settlement alone.
 *
 * `node bench/dispatch.ts [events] [endpoints] [events a request]`; prints events/s, CPU µs an event, and the same without the body.
 */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Stream from "effect/Stream"
import type { Change, Column, Relation, Row, Transaction } from "../src/domain/Change.ts"
import type { Chunk, Item } from "../src/domain/Chunk.ts"
import * as EventId from "../src/domain/EventId.ts"
import { BodyWriter } from "../src/domain/Body.ts"
import { type Endpoint } from "../src/domain/Subscription.ts"
import * as EndpointStatesMemory from "../src/layers/memory/EndpointStatesMemory.ts"
import * as WebhookTables from "../src/layers/memory/WebhookTables.ts"
import * as SegmentsMemory from "../src/layers/memory/SegmentsMemory.ts"
import * as SequenceRangesMemory from "../src/layers/memory/SequenceRangesMemory.ts"
import * as NotifierLayer from "../src/layers/pipeline/Notifier.ts"
import { Endpoints } from "../src/services/Endpoints.ts"
import { Notifier } from "../src/services/Notifier.ts"
import { ParkedDeliveries } from "../src/services/ParkedDeliveries.ts"
import { notifierDefaults, NotifierSettings } from "../src/services/Settings.ts"
import { SubscriptionCache } from "../src/services/SubscriptionCache.ts"
import { WebhookTransport } from "../src/services/WebhookTransport.ts"

const EVENTS = Number(process.argv[2] ?? 400_000)
const ENDPOINTS = Number(process.argv[3] ?? 1)
/** 1: no batches. */
const BATCH = Number(process.argv[4] ?? 1)
const CHUNK = 80
/** Distinct rows: how often an event meets another of its key in the lanes. */
const ROWS = 100_000

const column = (name: string, typeOid: number, key: boolean): Column => ({
  name, typeOid, typmod: -1, typeName: typeOid === 20 ? "bigint" : "text", valueClass: typeOid === 20 ? 1 : 0, key
})
const relation: Relation = {
  oid: 16_384, schema: "public", table: "orders", replicaIdentity: "d",
  columns: [column("id", 20, true), column("customer", 20, false), column("note", 25, false), column("rest", 25, false)]
}
const bytes = Buffer.from("1234567".padEnd(350, "x"))

const rowOf = (n: number): Row => {
  const id = Buffer.from(String(1_000_000 + n))
  const own = Buffer.concat([id, bytes])
  return { columns: relation.columns, bytes: own, spans: Int32Array.of(0, 7, 7, 14, 14, 180, 180, 340) }
}

const rows = Array.from({ length: 1_000 }, (_, n) => rowOf(n * Math.floor(ROWS / 1_000)))

class BenchChange {
  readonly _tag = "Change"
  readonly kind = "I"
  readonly sub = -1
  readonly relation = relation
  readonly oldKind = ""
  readonly message = undefined
  readonly byteLength = 350
  shape = undefined
  metadata = undefined
  affects = undefined
  readonly transaction: Transaction
  readonly ordinal: number
  readonly lsn: number
  private readonly row: Row
  constructor(transaction: Transaction, ordinal: number, row: Row) {
    this.transaction = transaction
    this.ordinal = ordinal
    this.lsn = transaction.commitLsn
    this.row = row
  }
  newRow(): Row {
    return this.row
  }
  oldRow(): undefined {
    return undefined
  }
}

const chunkAt = (n: number): Chunk => {
  const items: Array<Item> = []
  const commitLsn = 1_000_000 + n * 10_000
  const transaction: Transaction = {
    commitLsn, commitTimeUs: n, timestamp: "2026-11-24 00:12:21.22944+00", xid: n, idPrefix: EventId.prefixOf(commitLsn, n)
  }
  for (let i = 0; i < CHUNK; i++) items.push(new BenchChange(transaction, i, rows[(n * CHUNK + i) % rows.length]!))
  items.push({ _tag: "Commit", transaction, endLsn: commitLsn + 5_000, shapes: undefined, definitions: undefined })
  return { items, bytes: CHUNK * 350 }
}

const endpoints = Array.from({ length: ENDPOINTS }, (_, n): Endpoint => ({
  id: `endpoint-${n}`, url: "memory", order: "key", concurrency: 64, paused: false, pausedReason: undefined,
  ...(BATCH > 1 ? { batch: { maxEvents: BATCH, maxDelayMs: 50 } } : {})
}))
const selections = endpoints.map(({ id }) => ({ endpointId: id, selectedBy: [id] }))

/** Answers in the next turn of the event loop, all at once: as a socket does. */
let waiting: Array<() => void> = []
const answer = () => {
  const due = waiting
  waiting = []
  for (const each of due) each()
}
const transport = WebhookTransport.of({
  open: () =>
    Effect.succeed({
      send: (_request, done) => {
        if (waiting.length === 0) setImmediate(answer)
        waiting.push(() => done({ _tag: "Accepted", status: 200 }))
      }
    })
})

const dependencies = Layer.mergeAll(
  Layer.succeed(WebhookTransport, transport),
  Layer.succeed(NotifierSettings, notifierDefaults),
  SegmentsMemory.layer,
  Layer.provide(EndpointStatesMemory.layer, WebhookTables.layer()),
  SequenceRangesMemory.layer,
  Layer.succeed(ParkedDeliveries, ParkedDeliveries.of({
    write: () => Effect.void, scan: () => Effect.succeed([]), remove: () => Effect.void, update: () => Effect.void, end: () => Effect.succeed(0),
    loadKeys: () => Effect.succeed([]), numbers: () => Effect.succeed([])
  })),
  Layer.succeed(Endpoints, Endpoints.of({
    get: (id) => endpoints.find((each) => each.id === id), fetch: () => Effect.succeed(undefined), changes: Stream.never
  })),
  Layer.succeed(SubscriptionCache, SubscriptionCache.of({
    open: () => Effect.succeed({ select: () => selections, consume: () => false, commit: () => {}, has: () => true, current: () => [] })
  }))
)

const deliver = (chunks: ReadonlyArray<Chunk>) =>
  Effect.gen(function*() {
    const notifying = yield* (yield* Notifier).open({
      stream: { systemIdentifier: "1", slotName: "bench" }, position: 0, counts: new Map(), definitions: [],
      shapes: { tables: [], versions: [] }, versions: ""
    })
    const last = (chunks.at(-1)!.items.at(-1) as { readonly endLsn: number }).endLsn
    yield* Effect.forkChild(Effect.forEach(chunks, notifying.offer, { discard: true }))
    for (;;) if ((yield* notifying.settled).update.position >= last) break
  }).pipe(Effect.scoped, Effect.provide(NotifierLayer.layer.pipe(Layer.provide(dependencies))))

const measure = async (label: string, events: number, run: () => Promise<void>): Promise<number> => {
  const cpu = process.cpuUsage()
  const from = performance.now()
  await run()
  const ms = performance.now() - from
  const { user, system } = process.cpuUsage(cpu)
  const us = (user + system) / events
  console.log(`${label}: ${Math.round((events / ms) * 1_000).toLocaleString("en")} events/s, ${us.toFixed(2)} µs CPU an event`)
  return us
}

const chunks = Array.from({ length: Math.ceil(EVENTS / CHUNK) }, (_, n) => chunkAt(n))
await Effect.runPromise(deliver(chunks.slice(0, 500)))
const all = await measure(`notifier, ${ENDPOINTS} endpoint(s)`, EVENTS, () => Effect.runPromise(deliver(chunks)))
const writer = new BodyWriter()
const body = await measure("body alone", EVENTS, async () => {
  for (const chunk of chunks) for (const item of chunk.items) if (item._tag === "Change") writer.write(item as Change)
})
console.log(`keys, order, lanes, settlement, answers: ${((all - body) / ENDPOINTS).toFixed(2)} µs CPU an event and endpoint`)
