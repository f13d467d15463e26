/**
 * The whole pipeline on memory layers and a virtual clock, without network: a slot in memory, receivers in the process.
 * A test gives one service as a mock Layer, and looks at what arrives, what is stored and what is acknowledged.
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import * as Scope from "effect/Scope"
import * as TestClock from "effect/testing/TestClock"
import type { Change, Column, Relation, Row, Transaction } from "../../../src/domain/Change.ts"
import type { Commit } from "../../../src/domain/Chunk.ts"
import * as EventId from "../../../src/domain/EventId.ts"
import type { Lsn } from "../../../src/domain/Lsn.ts"
import * as ChangeSourceMemory from "../../../src/layers/memory/ChangeSourceMemory.ts"
import * as CheckpointMemory from "../../../src/layers/memory/CheckpointMemory.ts"
import * as EndpointsMemory from "../../../src/layers/memory/EndpointsMemory.ts"
import * as ParkedDeliveriesMemory from "../../../src/layers/memory/ParkedDeliveriesMemory.ts"
import * as SequenceRangesMemory from "../../../src/layers/memory/SequenceRangesMemory.ts"
import * as EndpointStatesMemory from "../../../src/layers/memory/EndpointStatesMemory.ts"
import * as SegmentsMemory from "../../../src/layers/memory/SegmentsMemory.ts"
import * as RemovedRowsMemory from "../../../src/layers/memory/RemovedRowsMemory.ts"
import * as SchemaLogMemory from "../../../src/layers/memory/SchemaLogMemory.ts"
import * as WebhookTables from "../../../src/layers/memory/WebhookTables.ts"
import * as WebhookTransportMemory from "../../../src/layers/memory/WebhookTransportMemory.ts"
import * as FilterNone from "../../../src/layers/pipeline/FilterNone.ts"
import * as HeartbeatNone from "../../../src/layers/pipeline/HeartbeatNone.ts"
import * as InjectorNone from "../../../src/layers/pipeline/InjectorNone.ts"
import * as ListenerLive from "../../../src/layers/pipeline/Listener.ts"
import * as NotifierLive from "../../../src/layers/pipeline/Notifier.ts"
import * as Pipeline from "../../../src/layers/pipeline/Pipeline.ts"
import * as SnapshotterNone from "../../../src/layers/pipeline/SnapshotterNone.ts"
import * as SubscriptionCacheLive from "../../../src/layers/pipeline/SubscriptionCache.ts"
import * as TableShapesLive from "../../../src/layers/pipeline/TableShapes.ts"
import * as TransformerNone from "../../../src/layers/pipeline/TransformerNone.ts"
import * as WithdrawalsLive from "../../../src/layers/pipeline/WithdrawalsLive.ts"
import type { ChangeSource } from "../../../src/services/ChangeSource.ts"
import { Checkpoint } from "../../../src/services/Checkpoint.ts"
import { notifierDefaults, NotifierSettings, SourceSettings } from "../../../src/services/Settings.ts"
import type { SubscriptionCache } from "../../../src/services/SubscriptionCache.ts"
import type { WebhookTransport } from "../../../src/services/WebhookTransport.ts"
import * as bytes from "../../support/pgoutputBytes.ts"

export const STREAM = { systemIdentifier: ChangeSourceMemory.defaultSlot.systemIdentifier, slotName: "memory" }
export const URL = "http://receiver/"
const OID = 16_385

/** A transaction of these rows of `public.t (n)`; it ends at `at + 8`. */
export const transaction = (at: Lsn, ...rows: ReadonlyArray<string>): ChangeSourceMemory.MemoryTransaction => ({
  endLsn: at + 8,
  frames: [
    bytes.begin(at, 1_000_000, 7), bytes.relation(OID), ...rows.map((row) => bytes.insert(OID, row)), bytes.commit(at, at + 8, 1_000_000)
  ].map((payload, index) => ({ lsn: at - 100 + index, payload }))
})

const column: Column = { name: "n", typeOid: 23, typmod: -1, typeName: "integer", valueClass: 1, key: true }
const relation: Relation = { oid: OID, schema: "public", table: "t", replicaIdentity: "d", columns: [column] }
const transactionAt = (at: Lsn): Transaction => ({
  commitLsn: at, commitTimeUs: 1_000_000, timestamp: "2000-01-01 00:00:01+00", xid: 7, idPrefix: EventId.prefixOf(at, 1_000_000)
})

/** The same as `transaction`, decoded: for a mock of what comes after the decoder. */
export const items = (at: Lsn, ...rows: ReadonlyArray<string>): ReadonlyArray<Change | Commit> => [
  ...rows.map((value, ordinal): Change => {
    const row: Row = { columns: [column], bytes: Buffer.from(value), spans: Int32Array.of(0, value.length) }
    return {
      _tag: "Change", kind: "I", transaction: transactionAt(at), ordinal, sub: -1, lsn: at, relation, oldKind: "",
      newRow: () => row, oldRow: () => undefined, message: undefined, byteLength: value.length, shape: undefined,
      metadata: undefined, affects: undefined
    }
  }),
  { _tag: "Commit", transaction: transactionAt(at), endLsn: at + 8, shapes: undefined, definitions: undefined }
]

export interface Arrived {
  readonly id: string
  readonly sequence: number
  readonly body: string
  /** The value of column `n`. */
  readonly n: number | undefined
}

export const arrivedOf = (request: { readonly id: string; readonly sequence: number; readonly body: Uint8Array }): Arrived => {
  const body = Buffer.from(request.body).toString()
  const { Data } = JSON.parse(body) as { readonly Data: { readonly columns: ReadonlyArray<{ readonly value: number }> | null } }
  return { id: request.id, sequence: request.sequence, body, n: Data.columns?.[0]?.value }
}

export interface Parts {
  readonly source?: Layer.Layer<ChangeSource>
  readonly cache?: Layer.Layer<SubscriptionCache>
  readonly transport?: Layer.Layer<WebhookTransport>
}

const sourceSettings = Layer.succeed(SourceSettings, {
  url: Redacted.make("postgres://"), slotName: "memory", driver: "socket" as const, maxFrameBytes: 1_000_000, readAheadBytes: 1_000_000,
  backoffInitialMs: 500, backoffMaxMs: 30_000, silenceMs: 30_000
})

const graph = (arrived: Array<Arrived>, parts: Parts) => {
  const memorySource = ChangeSourceMemory.layer()
  const receiver = WebhookTransportMemory.layer((_, request, answer) => {
    arrived.push(arrivedOf(request))
    answer({ _tag: "Accepted", status: 200 })
  })
  return Layer.mergeAll(
    NotifierLive.layer.pipe(Layer.provide(parts.cache ?? SubscriptionCacheLive.layer), Layer.provide(parts.transport ?? receiver)),
    ListenerLive.layer.pipe(Layer.provide(parts.source ?? memorySource)),
    TableShapesLive.layer, FilterNone.layer, InjectorNone.layer, TransformerNone.layer, SnapshotterNone.layer, memorySource
  ).pipe(
    Layer.provideMerge(WithdrawalsLive.layer.pipe(Layer.provideMerge(RemovedRowsMemory.layer))),
    Layer.provideMerge(Layer.mergeAll(EndpointsMemory.layer, ParkedDeliveriesMemory.layer, SegmentsMemory.layer, EndpointStatesMemory.layer, SequenceRangesMemory.layer, CheckpointMemory.layer, SchemaLogMemory.layer)),
    Layer.provideMerge(Layer.mergeAll(
      WebhookTables.layer(), sourceSettings, HeartbeatNone.layer, Layer.succeed(NotifierSettings, { ...notifierDefaults, graceMs: 1_000 })
    ))
  )
}

type Services = Layer.Success<ReturnType<typeof graph>>

/** The memory layers, built, with one subscription that selects everything. What it has lives until the test's end. */
export const make = Effect.fnUntraced(function*(parts: Parts = {}) {
  const arrived: Array<Arrived> = []
  const scope = yield* Scope.Scope
  const context = yield* Layer.buildWithScope(graph(arrived, parts), scope)
  const row = Context.get(context, WebhookTables.WebhookTables).subscribe(URL, "", "", [])
  const checkpoint = Context.get(context, Checkpoint)
  yield* checkpoint.reset({
    stream: STREAM, position: 0, counts: new Map(), definitions: [row], versions: "", shapes: { tables: [], versions: [] }
  })
  const control = Context.get(context, ChangeSourceMemory.ChangeSourceControl)
  return { arrived, checkpoint, commit: control.commit, acknowledged: control.acknowledged, endpointId: row.endpointId, context }
})

export type World = Effect.Success<ReturnType<typeof make>>

/** Runs the pipeline with exactly these services replaced, until the test's end or its interruption. */
export const start = <R extends Services, E>(world: World, mock: Layer.Layer<R, E>, run: Effect.Effect<unknown, unknown, Services | Scope.Scope> = Pipeline.run) =>
  Effect.gen(function*() {
    const fiber = yield* Effect.forkScoped(run.pipe(Effect.provide(mock), Effect.provideContext(world.context)))
    yield* settle
    return fiber
  })

/** Lets what is under way come to its end. */
export const settle = Effect.repeat(TestClock.adjust("300 millis"), { times: 3 })

export const stop = (fiber: Fiber.Fiber<unknown, unknown>) =>
  Effect.gen(function*() {
    const stopping = yield* Effect.forkChild(Fiber.interrupt(fiber))
    yield* settle
    yield* TestClock.adjust("2 seconds")
    yield* Fiber.join(stopping)
  })
