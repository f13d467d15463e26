import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Queue from "effect/Queue"
import * as Redacted from "effect/Redacted"
import * as Stream from "effect/Stream"
import * as TestClock from "effect/testing/TestClock"
import { type Change, type ChangeKind, NULL, type Row, type Transaction, UNCHANGED } from "../../../src/domain/Change.ts"
import type { Commit } from "../../../src/domain/Chunk.ts"
import type { Subscription } from "../../../src/domain/Subscription.ts"
import * as EndpointsMemory from "../../../src/layers/memory/EndpointsMemory.ts"
import * as WebhookTables from "../../../src/layers/memory/WebhookTables.ts"
import * as SubscriptionCachePolled from "../../../src/layers/pipeline/SubscriptionCachePolled.ts"
import * as Streamed from "../../../src/layers/pipeline/SubscriptionCache.ts"
import { StoreSettings } from "../../../src/services/Settings.ts"
import { type DefinitionsInForce, SubscriptionCache } from "../../../src/services/SubscriptionCache.ts"
import { SubscriptionStore, SubscriptionStoreError } from "../../../src/services/SubscriptionStore.ts"

type Values = Readonly<Record<string, string | null | typeof UNCHANGED>>

const rowOf = (values: Values): Row => {
  const entries = Object.entries(values)
  const spans = new Int32Array(entries.length * 2)
  const parts: Array<Buffer> = []
  let at = 0
  entries.forEach(([, value], i) => {
    if (value === null) spans[2 * i] = NULL
    else if (value === UNCHANGED) spans[2 * i] = UNCHANGED
    else {
      const bytes = Buffer.from(String(value))
      parts.push(bytes)
      spans[2 * i] = at
      spans[2 * i + 1] = at += bytes.length
    }
  })
  const columns = entries.map(([name]) => ({ name, typeOid: 25, typmod: -1, typeName: "text", valueClass: 0 as const, key: false }))
  return { columns, bytes: Buffer.concat(parts), spans }
}

let lsn = 100
const begin = (): Transaction => ({ commitLsn: ++lsn, commitTimeUs: 1, timestamp: "", xid: 1, idPrefix: "" })
const changeOf = (transaction: Transaction, kind: ChangeKind, table: string, next?: Values, old?: Values): Change => ({
  _tag: "Change", kind, transaction, ordinal: 0, sub: -1, lsn, oldKind: old === undefined ? "" : "O",
  relation: { oid: 1, schema: table === "webhook_subscriptions" ? "pgstream" : "public", table, replicaIdentity: "f", columns: [] },
  newRow: () => (next === undefined ? undefined : rowOf(next)),
  oldRow: () => (old === undefined ? undefined : rowOf(old)),
  message: undefined, byteLength: 1, shape: undefined, metadata: undefined, affects: undefined
})
const commitOf = (transaction: Transaction): Commit =>
  ({ _tag: "Commit", transaction, endLsn: transaction.commitLsn + 1, shapes: undefined, definitions: undefined })

const values = (id: string, more: Values = {}): Values =>
  ({ url: "http://a/", schema_name: "", table_name: "", event_types: null, id, endpoint_id: "e1", created_at: "2026-11-24 00:00:00+00", ...more })
const stored = (id: string, more: Partial<Subscription> = {}): Subscription =>
  ({ id, endpointId: "e1", url: "http://a/", schema: "", table: "", eventTypes: [], createdAtUs: Date.UTC(2026, 10, 24) * 1000, ...more })

/** Rows that select an insert into public.t in a transaction of its own. */
const selecting = (definitions: DefinitionsInForce, transaction = begin()) =>
  definitions.select(changeOf(transaction, "I", "t", {})).flatMap((selection) => selection.selectedBy)

describe("SubscriptionCache: a store in the source", () => {
  it("a row holds for what commits after it, not before", () => {
    const definitions = Streamed.make([], () => {})
    const transaction = begin()
    assert.isTrue(definitions.consume(changeOf(transaction, "I", "webhook_subscriptions", values("r1"))))
    assert.isFalse(definitions.consume(changeOf(transaction, "I", "t", {})))
    assert.deepStrictEqual(selecting(definitions, transaction), [])
    const commit = commitOf(transaction)
    definitions.commit(commit)
    assert.deepStrictEqual(commit.definitions, { upserted: [stored("r1")], removed: [] })
    assert.deepStrictEqual(selecting(definitions), ["r1"])
  })

  it("an update that leaves a TOAST value out keeps it from the old row", () => {
    const definitions = Streamed.make([stored("r1", { url: "http://long/" })], () => {})
    const transaction = begin()
    definitions.consume(changeOf(transaction, "U", "webhook_subscriptions",
      values("r1", { url: UNCHANGED, event_types: "{I,D}" }), values("r1", { url: "http://long/" })))
    definitions.commit(commitOf(transaction))
    assert.deepStrictEqual(definitions.current(), [stored("r1", { url: "http://long/", eventTypes: ["I", "D"] })])
  })

  it("a NULL in the new row is not taken from the old one", () => {
    const definitions = Streamed.make([stored("r1", { eventTypes: ["I"] })], () => {})
    const transaction = begin()
    definitions.consume(changeOf(transaction, "U", "webhook_subscriptions", values("r1"), values("r1", { event_types: "{I}" })))
    definitions.commit(commitOf(transaction))
    assert.deepStrictEqual(definitions.current(), [stored("r1")])
  })

  it("D removes, T removes all, also those of the open transaction; later rows of it stay", () => {
    const definitions = Streamed.make([stored("r1"), stored("r2")], () => {})
    const first = begin()
    definitions.consume(changeOf(first, "D", "webhook_subscriptions", undefined, values("r1")))
    const commit = commitOf(first)
    definitions.commit(commit)
    assert.deepStrictEqual(commit.definitions, { upserted: [], removed: ["r1"] })
    assert.deepStrictEqual(selecting(definitions), ["r2"])
    const second = begin()
    definitions.consume(changeOf(second, "I", "webhook_subscriptions", values("r3")))
    definitions.consume(changeOf(second, "T", "webhook_subscriptions"))
    definitions.consume(changeOf(second, "I", "webhook_subscriptions", values("r4")))
    definitions.commit(commitOf(second))
    assert.deepStrictEqual(selecting(definitions), ["r4"])
  })

  it("rows from before a takeover, without an id, are consumed and change nothing", () => {
    const definitions = Streamed.make([stored("r1")], () => assert.fail("nothing changed"))
    const transaction = begin()
    const old: Values = { url: "http://a/", schema_name: "", table_name: "", event_types: null }
    assert.isTrue(definitions.consume(changeOf(transaction, "I", "webhook_subscriptions", old)))
    assert.isTrue(definitions.consume(changeOf(transaction, "D", "webhook_subscriptions", undefined, old)))
    const commit = commitOf(transaction)
    definitions.commit(commit)
    assert.isUndefined(commit.definitions)
    assert.deepStrictEqual(definitions.current(), [stored("r1")])
  })

  it.effect("tells the endpoints that a URL may be new", () =>
    Effect.gen(function*() {
      let changed = 0
      const definitions = Streamed.make([], () => changed++)
      const transaction = begin()
      definitions.consume(changeOf(transaction, "I", "webhook_subscriptions", values("r1")))
      assert.strictEqual(changed, 0)
      definitions.commit(commitOf(transaction))
      definitions.commit(commitOf(begin()))
      assert.strictEqual(changed, 1)
      const cache = yield* SubscriptionCache
      assert.deepStrictEqual(selecting(yield* cache.open([stored("r9")])), ["r9"])
    }).pipe(Effect.provide(Streamed.layer.pipe(Layer.provide(EndpointsMemory.layer), Layer.provide(WebhookTables.layer())))))
})

describe("SubscriptionCachePolled: a store elsewhere", () => {
  const settings = Layer.succeed(StoreSettings, { url: Redacted.make(""), inSource: false, refreshIntervalMs: 60_000 })
  /** A store whose rows, or whose outage, the test sets. */
  const scripted = (script: { rows: ReadonlyArray<Subscription> | undefined; reads: number }) =>
    Layer.mock(SubscriptionStore, {
      list: Effect.suspend(() => {
        script.reads++
        return script.rows === undefined
          ? Effect.fail(new SubscriptionStoreError({ operation: "list", unavailable: true, cause: new Error("down") }))
          : Effect.succeed(script.rows)
      })
    })
  const using = (script: Parameters<typeof scripted>[0]) =>
    Effect.provide(SubscriptionCachePolled.layer.pipe(Layer.provide([scripted(script), settings])))

  it.effect("rows take effect at the refresh, from the next transaction on, and go with the next commit", () => {
    const script = { rows: [stored("r1")], reads: 0 }
    return Effect.gen(function*() {
      const cache = yield* SubscriptionCache
      const definitions = yield* cache.open([stored("r0")])
      assert.deepStrictEqual(selecting(definitions), ["r1"])
      const first = begin()
      assert.deepStrictEqual(selecting(definitions, first), ["r1"])
      script.rows = [stored("r2")]
      yield* TestClock.adjust("59 seconds")
      assert.deepStrictEqual(selecting(definitions), ["r1"])
      const open = begin()
      assert.deepStrictEqual(selecting(definitions, open), ["r1"])
      yield* TestClock.adjust("2 seconds")
      assert.deepStrictEqual(selecting(definitions, open), ["r1"])
      const next = begin()
      assert.deepStrictEqual(selecting(definitions, next), ["r2"])
      const commit = commitOf(next)
      definitions.commit(commit)
      assert.deepStrictEqual(commit.definitions, { upserted: [stored("r2")], removed: ["r1", "r0"] })
      const later = commitOf(begin())
      definitions.commit(later)
      assert.isUndefined(later.definitions)
    }).pipe(using(script))
  })

  it.effect("a hint is not waited for: rows are read at once", () => {
    const hints = Effect.runSync(Queue.unbounded<void>())
    let rows = [stored("r1")]
    const store = Layer.mock(SubscriptionStore, { list: Effect.sync(() => rows), hints: Stream.fromQueue(hints) })
    return Effect.gen(function*() {
      const definitions = yield* (yield* SubscriptionCache).open([])
      rows = [stored("r2")]
      yield* Queue.offer(hints, undefined)
      yield* TestClock.adjust(1)
      assert.deepStrictEqual(selecting(definitions), ["r2"])
    }).pipe(Effect.provide(SubscriptionCachePolled.layer.pipe(Layer.provide([store, settings]))))
  })

  it.effect("events wait while the store is down at the start, and keep their definitions later", () => {
    const script: Parameters<typeof scripted>[0] = { rows: undefined, reads: 0 }
    return Effect.gen(function*() {
      const cache = yield* SubscriptionCache
      const opening = yield* Effect.forkChild(cache.open([]))
      yield* TestClock.adjust("30 seconds")
      assert.isUndefined(opening.pollUnsafe())
      assert.isAbove(script.reads, 3)
      script.rows = [stored("r1")]
      yield* TestClock.adjust("10 seconds")
      const definitions = yield* Fiber.join(opening)
      script.rows = undefined
      yield* TestClock.adjust("3 minutes")
      assert.deepStrictEqual(selecting(definitions), ["r1"])
    }).pipe(using(script))
  })
})
