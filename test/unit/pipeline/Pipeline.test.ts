/** Each service of the pipeline replaced by a mock Layer, all others in memory. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Queue from "effect/Queue"
import * as Stream from "effect/Stream"
import type { Change } from "../../../src/domain/Change.ts"
import type { Chunk } from "../../../src/domain/Chunk.ts"
import { ChangeSource } from "../../../src/services/ChangeSource.ts"
import { Filter } from "../../../src/services/Filter.ts"
import { Injector } from "../../../src/services/Injector.ts"
import { Listener } from "../../../src/services/Listener.ts"
import { Notifier, type Settled } from "../../../src/services/Notifier.ts"
import { Snapshotter } from "../../../src/services/Snapshotter.ts"
import { SubscriptionCache } from "../../../src/services/SubscriptionCache.ts"
import { Transformer } from "../../../src/services/Transformer.ts"
import { WebhookTransport } from "../../../src/services/WebhookTransport.ts"
import { type Arrived, arrivedOf, items, make, settle, start, STREAM, transaction } from "./MemoryPipeline.ts"

const values = (arrived: ReadonlyArray<Arrived>) => arrived.map(({ n }) => n)
const chunkOf = (list: Chunk["items"]): Chunk => ({ items: list, bytes: 1 })
const valueOf = (change: Change): string => {
  const row = change.newRow()!
  return row.bytes.toString("utf8", row.spans[0], row.spans[1])
}
/** Without the changes that a test does not want. */
const keep = (chunk: Chunk, wanted: (change: Change) => boolean): Chunk =>
  chunkOf(chunk.items.filter((item) => item._tag !== "Change" || wanted(item)))

describe("Pipeline on memory layers", () => {
  it.effect("delivers each change, stores what was numbered, then acknowledges", () =>
    Effect.gen(function*() {
      const world = yield* make()
      yield* start(world, Layer.empty)
      yield* world.commit(transaction(1_000, "1", "2"))
      yield* world.commit(transaction(2_000, "3"))
      yield* settle
      assert.deepStrictEqual(values(world.arrived), [1, 2, 3])
      assert.deepStrictEqual(world.arrived.map(({ sequence }) => sequence), [1, 2, 3])
      assert.strictEqual(yield* world.acknowledged, 2_008)
      assert.strictEqual(yield* world.checkpoint.position(STREAM), 2_008)
    }))
})

describe("Pipeline with a mock of", () => {
  it.effect("Listener", () =>
    Effect.gen(function*() {
      const world = yield* make()
      const acknowledged: Array<number> = []
      yield* start(world, Layer.succeed(Listener, {
        identify: Effect.succeed(STREAM),
        state: Effect.never,
        open: () => Effect.succeed({
          stream: STREAM, startedAt: 0, chunks: Stream.concat(Stream.make(chunkOf(items(1_000, "1", "2"))), Stream.never),
          acknowledge: (position) => Effect.sync(() => void acknowledged.push(position))
        })
      }))
      assert.deepStrictEqual(values(world.arrived), [1, 2])
      assert.deepStrictEqual(acknowledged, [1_008])
    }))

  it.effect("Snapshotter", () =>
    Effect.gen(function*() {
      const world = yield* make()
      const settled: Array<number> = []
      yield* start(world, Layer.succeed(Snapshotter, {
        open: (shapes) =>
          Effect.succeed({
            advance: (chunk) => shapes.advance({ ...chunk, items: [...items(500, "41", "42"), ...chunk.items] }),
            settled: (position) => Effect.sync(() => void settled.push(position))
          })
      }))
      yield* world.commit(transaction(1_000, "1"))
      yield* settle
      assert.deepStrictEqual(values(world.arrived), [41, 42, 1])
      assert.strictEqual(settled.at(-1), 1_008)
    }))

  it.effect("Injector", () =>
    Effect.gen(function*() {
      const world = yield* make()
      const metadata = { schemaId: "the-schema", tableId: "the-table", columnIds: new Map([["n", "the-table-1"]]), idColumnIds: ["the-table-1"] }
      yield* start(world, Layer.succeed(Injector, {
        version: "mock",
        inject: (chunk, shapes) => Effect.sync(() => {
          assert.isUndefined(shapes.versionOf("public"))
          for (const item of chunk.items) if (item._tag === "Change") item.metadata = metadata
          return chunk
        })
      }))
      yield* world.commit(transaction(1_000, "1"))
      yield* settle
      for (const id of ["the-schema", "the-table", "the-table-1"]) assert.include(world.arrived[0]?.body, `"${id}"`)
    }))

  it.effect("SubscriptionCache", () =>
    Effect.gen(function*() {
      let endpointId = ""
      const world = yield* make({
        cache: Layer.succeed(SubscriptionCache, {
          open: () => Effect.succeed({
            select: (change) => (Number(valueOf(change)) % 2 === 0 ? [{ endpointId, selectedBy: ["mock"] }] : []),
            consume: () => false, commit: () => {}, has: () => true, current: () => []
          })
        })
      })
      endpointId = world.endpointId
      yield* start(world, Layer.empty)
      yield* world.commit(transaction(1_000, "1", "2", "3", "4"))
      yield* settle
      assert.deepStrictEqual(values(world.arrived), [2, 4])
      assert.deepStrictEqual(world.arrived.map(({ sequence }) => sequence), [1, 2])
    }))

  it.effect("Notifier", () =>
    Effect.gen(function*() {
      const world = yield* make()
      const seen: Array<string> = []
      const settled = yield* Queue.unbounded<Settled>()
      yield* start(world, Layer.succeed(Notifier, {
        open: () => Effect.succeed({
          offer: (chunk) => Effect.sync(() => {
            for (const item of chunk.items) {
              if (item._tag === "Change") seen.push(valueOf(item))
              else if (item._tag === "Commit") {
                const shapes = { tables: new Map(), versions: new Map(), entries: [], newIds: [] }
                Queue.offerUnsafe(settled, { update: { position: item.endLsn, counts: new Map(), upserted: [], removed: [], shapes } })
              }
            }
          }),
          settled: Queue.take(settled), drain: Effect.void, rest: Effect.undefined
        })
      }))
      yield* world.commit(transaction(1_000, "1", "2"))
      yield* settle
      assert.deepStrictEqual(seen, ["1", "2"])
      assert.isEmpty(world.arrived)
      assert.strictEqual(yield* world.acknowledged, 1_008)
      assert.strictEqual(yield* world.checkpoint.position(STREAM), 0, "a position alone is not stored")
    }))

  it.effect("Transformer", () =>
    Effect.gen(function*() {
      const world = yield* make()
      yield* start(world, Layer.succeed(Transformer, {
        version: "mock", transform: (chunk) => Effect.succeed(keep(chunk, (change) => valueOf(change) !== "2"))
      }))
      yield* world.commit(transaction(1_000, "1", "2", "3"))
      yield* settle
      assert.deepStrictEqual(values(world.arrived), [1, 3])
      assert.strictEqual(yield* world.acknowledged, 1_008)
    }))

  it.effect("Filter", () =>
    Effect.gen(function*() {
      const world = yield* make()
      yield* start(world, Layer.succeed(Filter, { version: "mock", apply: (chunk) => Effect.succeed(keep(chunk, () => false)) }))
      yield* world.commit(transaction(1_000, "1"))
      yield* settle
      assert.isEmpty(world.arrived)
      assert.strictEqual(yield* world.acknowledged, 1_008)
    }))

  it.effect("ChangeSource", () =>
    Effect.gen(function*() {
      const acknowledged: Array<number> = []
      const frames = transaction(1_000, "1").frames.map(({ lsn, payload }) => ({ keepalive: false, lsn, bytes: payload, start: 0, end: payload.length }))
      let reads = 0
      const world = yield* make({
        source: Layer.succeed(ChangeSource, {
          identify: Effect.succeed(STREAM),
          open: (from) => Effect.succeed({
            stream: STREAM, plugin: "pgoutput", startedAt: from, serverVersion: 150_000, timeline: 1,
            read: Effect.suspend(() => (reads++ === 0 ? Effect.succeed({ frames, bytes: 100 }) : Effect.never)),
            acknowledge: (position) => void acknowledged.push(position)
          })
        })
      })
      yield* start(world, Layer.empty)
      assert.deepStrictEqual(values(world.arrived), [1])
      assert.strictEqual(acknowledged.at(-1), 1_008)
    }))

  it.effect("WebhookTransport", () =>
    Effect.gen(function*() {
      const sent: Array<Arrived> = []
      let failures = 2
      const world = yield* make({
        transport: Layer.succeed(WebhookTransport, {
          open: () => Effect.succeed({
            send: (request, done) => {
              sent.push(arrivedOf(request))
              queueMicrotask(() => done(failures-- > 0 ? { _tag: "NoAnswer", reason: "mock" } : { _tag: "Accepted", status: 200 }))
            }
          })
        })
      })
      yield* start(world, Layer.empty)
      yield* world.commit(transaction(1_000, "1"))
      yield* Effect.repeat(settle, { times: 10 })
      assert.deepStrictEqual(sent.map(({ n, sequence }) => [n, sequence]), [[1, 1], [1, 1], [1, 1]])
      assert.strictEqual(new Set(sent.map(({ id }) => id)).size, 1)
      assert.strictEqual(yield* world.acknowledged, 1_008)
    }))
})
