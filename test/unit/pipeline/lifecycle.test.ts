/** Start, backpressure, stop and restart of the pipeline. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Stream from "effect/Stream"
import * as TestClock from "effect/testing/TestClock"
import type { Lsn } from "../../../src/domain/Lsn.ts"
import * as Supervision from "../../../src/layers/pipeline/Supervision.ts"
import { Checkpoint, CheckpointError, type CheckpointUpdate } from "../../../src/services/Checkpoint.ts"
import { Listener } from "../../../src/services/Listener.ts"
import { Notifier } from "../../../src/services/Notifier.ts"
import { items, make, settle, start, stop, STREAM, transaction } from "./MemoryPipeline.ts"

const noShapes = { tables: new Map(), versions: new Map(), entries: [], newIds: [] }
const note = (notes: Array<string>, what: string) => Effect.sync(() => void notes.push(what))

interface ListenerOptions {
  readonly startedAt?: (from: Lsn) => Lsn
  /** Chunks that were asked for. */
  readonly pulled?: () => void
  readonly never?: boolean
}

/** Notes what is asked of it; the slot has no end. */
const listener = (notes: Array<string>, options: ListenerOptions = {}) =>
  Layer.succeed(Listener, {
    identify: Effect.succeed(STREAM),
    state: Effect.never,
    open: (from) => {
      if (options.never === true) return Effect.andThen(note(notes, "wait for the slot"), Effect.never)
      return Effect.as(
        Effect.acquireRelease(note(notes, `open from ${from}`), () => note(notes, "close the slot")),
        {
          stream: STREAM,
          startedAt: options.startedAt?.(from) ?? from,
          chunks: Stream.fromEffectRepeat(Effect.sync(() => {
            options.pulled?.()
            return { items: items(1_000, "1"), bytes: 1 }
          })).pipe(Stream.ensuring(note(notes, "stop reading"))),
          acknowledge: (position) => note(notes, `acknowledge ${position}`)
        }
      )
    }
  })

const update = (position: Lsn): CheckpointUpdate => ({
  position, counts: new Map([["e", { count: 1, epoch: "e" }]]), upserted: [], removed: [], shapes: noShapes
})

describe("Pipeline, its start", () => {
  it.effect("loads and changes nothing before the slot is its own", () =>
    Effect.gen(function*() {
      const notes: Array<string> = []
      const world = yield* make()
      const checkpoint = Layer.succeed(Checkpoint, {
        ...world.checkpoint,
        position: (stream) => Effect.andThen(note(notes, "position"), world.checkpoint.position(stream)),
        load: (stream, versions) => Effect.andThen(note(notes, "load"), world.checkpoint.load(stream, versions))
      })
      const notifier = Layer.succeed(Notifier, { open: () => Effect.andThen(note(notes, "notifier"), Effect.never) })
      const waiting = yield* start(world, Layer.mergeAll(listener(notes, { never: true }), checkpoint, notifier))
      assert.deepStrictEqual(notes, ["position", "wait for the slot"])
      yield* stop(waiting)
      notes.length = 0
      yield* start(world, Layer.mergeAll(listener(notes), checkpoint, notifier))
      assert.deepStrictEqual(notes, ["position", "open from 0", "load", "notifier"])
    }))

  it.effect("opens the slot again from what the process before it stored meanwhile", () =>
    Effect.gen(function*() {
      const notes: Array<string> = []
      const world = yield* make()
      let position = 10
      const checkpoint = Layer.succeed(Checkpoint, {
        ...world.checkpoint,
        position: () => Effect.succeed(position),
        load: (stream, versions) => Effect.map(world.checkpoint.load(stream, versions), (state) => {
          position = 50
          return { ...state, position }
        })
      })
      const notifier = Layer.succeed(Notifier, {
        open: (from) => Effect.andThen(note(notes, `notifier from ${from.position}`), Effect.never)
      })
      yield* start(world, Layer.mergeAll(listener(notes), checkpoint, notifier))
      assert.deepStrictEqual(notes, ["open from 10", "close the slot", "open from 50", "notifier from 50"])
    }))
})

describe("Pipeline, backpressure", () => {
  it.effect("reads no further while the Notifier does not take a chunk", () =>
    Effect.gen(function*() {
      let pulled = 0
      let taken = 0
      const world = yield* make()
      yield* start(world, Layer.mergeAll(
        listener([], { pulled: () => void pulled++ }),
        Layer.succeed(Notifier, {
          open: () => Effect.succeed({
            offer: () => Effect.suspend(() => (++taken < 5 ? Effect.void : Effect.never)),
            settled: Effect.never, drain: Effect.void, rest: Effect.undefined
          })
        })
      ))
      assert.strictEqual(taken, 5)
      assert.isAtMost(pulled, 5 + 1, "the chunk that waits, and one behind it")
      const before = pulled
      yield* TestClock.adjust("1 hour")
      assert.strictEqual(pulled, before)
    }))
})

describe("Pipeline, its end", () => {
  it.effect("stops reading, drains, stores, acknowledges, and closes then", () =>
    Effect.gen(function*() {
      const notes: Array<string> = []
      const world = yield* make()
      const checkpoint = Layer.succeed(Checkpoint, {
        ...world.checkpoint, save: (_, { position }) => note(notes, `save ${position}`)
      })
      const notifier = Layer.succeed(Notifier, {
        open: () => Effect.as(
          Effect.acquireRelease(Effect.void, () => note(notes, "close the connections")),
          {
            offer: () => Effect.never, settled: Effect.never,
            drain: Effect.andThen(Effect.sleep("200 millis"), note(notes, "drained")),
            rest: Effect.sync(() => ({ update: update(1_008) }))
          }
        )
      })
      const running = yield* start(world, Layer.mergeAll(listener(notes), checkpoint, notifier))
      yield* stop(running)
      assert.deepStrictEqual(notes, [
        "open from 0", "stop reading", "drained", "save 1008", "acknowledge 1008", "close the connections", "close the slot"
      ])
    }))

  it.effect("acknowledges nothing that could not be stored", () =>
    Effect.gen(function*() {
      const notes: Array<string> = []
      const world = yield* make()
      const checkpoint = Layer.succeed(Checkpoint, {
        ...world.checkpoint, save: () => Effect.fail(new CheckpointError({ operation: "save", cause: "mock" }))
      })
      const notifier = Layer.succeed(Notifier, {
        open: () => Effect.succeed({
          offer: () => Effect.never, settled: Effect.never, drain: Effect.void, rest: Effect.sync(() => ({ update: update(1_008) }))
        })
      })
      const running = yield* start(world, Layer.mergeAll(listener(notes), checkpoint, notifier))
      yield* stop(running)
      assert.deepStrictEqual(notes, ["open from 0", "stop reading", "close the slot"])
    }))
})

describe("Pipeline, started again after a failure", () => {
  it.effect("sends what was not stored once more, with the same ids and numbers, and goes on counting", () =>
    Effect.gen(function*() {
      const world = yield* make()
      let down = true
      const checkpoint = Layer.succeed(Checkpoint, {
        ...world.checkpoint,
        save: (stream, saved) => Effect.suspend(() =>
          down ? Effect.fail(new CheckpointError({ operation: "save", cause: "mock" })) : world.checkpoint.save(stream, saved))
      })
      yield* start(world, checkpoint, Supervision.run)
      yield* world.commit(transaction(1_000, "1", "2"))
      yield* settle
      assert.strictEqual(yield* world.acknowledged, 0)
      assert.isAbove(world.arrived.length, 2)
      down = false
      yield* TestClock.adjust("1 minute")
      yield* settle
      yield* world.commit(transaction(2_000, "3"))
      yield* settle
      const [first, second, again, andAgain] = world.arrived
      assert.deepStrictEqual([again, andAgain], [first, second])
      for (const { n, sequence } of world.arrived) assert.strictEqual(n, sequence)
      assert.strictEqual(new Set(world.arrived.map(({ id }) => id)).size, 3)
      assert.strictEqual(world.arrived.filter(({ n }) => n === 3).length, 1)
      assert.strictEqual(yield* world.acknowledged, 2_008)
    }))
})
