import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Stream from "effect/Stream"
import * as TestClock from "effect/testing/TestClock"
import * as Settling from "../../../src/layers/pipeline/Settling.ts"
import { Checkpoint, type CheckpointState, type CheckpointUpdate } from "../../../src/services/Checkpoint.ts"
import type { Listening } from "../../../src/services/Listener.ts"
import type { Notifying } from "../../../src/services/Notifier.ts"
import { SchemaLog } from "../../../src/services/SchemaLog.ts"

const stream = { systemIdentifier: "1", slotName: "s" }
const nothing = { tables: new Map(), versions: new Map(), entries: [], newIds: [] }
const at = (position: number, more: Partial<CheckpointUpdate> = {}): CheckpointUpdate => ({
  position, counts: new Map(), upserted: [], removed: [], shapes: nothing, ...more
})
const counted = (position: number) => at(position, { counts: new Map([["e", { count: 1, epoch: "x" }]]) })

/** A Settling whose Notifier hands out `updates`, then nothing; says in which order it saved and acknowledged. */
const settling = (updates: Array<CheckpointUpdate>, save: Effect.Effect<void> = Effect.void) => {
  const done: Array<string> = []
  const start: CheckpointState = {
    stream, position: 0, counts: new Map(), definitions: [], shapes: { tables: [], versions: [] }, versions: ""
  }
  const checkpoint = Checkpoint.of({
    position: () => Effect.succeed(0),
    load: () => Effect.succeed(start),
    reset: () => Effect.void,
    save: (_stream, { position }) => Effect.andThen(save, Effect.sync(() => void done.push(`save ${position}`)))
  })
  const notifying: Notifying = {
    offer: () => Effect.void,
    settled: Effect.suspend(() => {
      const update = updates.shift()
      return update === undefined ? Effect.never : Effect.succeed({ update })
    }),
    drain: Effect.void,
    rest: Effect.sync(() => {
      const update = updates.shift()
      return update && { update }
    })
  }
  const listening: Listening = {
    stream, startedAt: 0, chunks: Stream.empty,
    acknowledge: (position) => Effect.sync(() => void done.push(`acknowledge ${position}`))
  }
  return Settling.make(stream, notifying, listening).pipe(
    Effect.map((made) => ({ ...made, done })),
    Effect.provideService(Checkpoint, checkpoint),
    Effect.provideService(SchemaLog, {
      write: (_entries, ids, gone = []) => Effect.sync(() => void done.push(`log ${ids.map(({ oid }) => oid)} gone ${gone}`))
    })
  )
}

describe("Settling", () => {
  it.effect("stores before it acknowledges, and stores nothing for a position alone", () =>
    Effect.gen(function*() {
      const { done, loop } = yield* settling([at(10), counted(20), at(30)])
      const fiber = yield* Effect.forkChild(loop)
      yield* TestClock.adjust("1 second")
      assert.deepStrictEqual(done, ["acknowledge 10", "save 20", "acknowledge 20", "acknowledge 30"])
      yield* Fiber.interrupt(fiber)
    }))

  it.effect("stores which rows of pgstream.ddl are the newest, also when they changed no shape", () =>
    Effect.gen(function*() {
      const { done, finish } = yield* settling([at(10, { shapes: { ...nothing, recent: [{ oid: 1, xid: 2, id: 3 }] } })])
      yield* finish
      assert.deepStrictEqual(done, ["save 10", "acknowledge 10"])
    }))

  it.effect("leaves no id of a table that was made and dropped since the last write", () =>
    Effect.gen(function*() {
      const newIds = [{ id: "a", oid: 1 }, { id: "b", oid: 2 }]
      const { done, finish } = yield* settling([at(10, { shapes: { ...nothing, newIds, tables: new Map([[2, undefined]]) } })])
      yield* finish
      assert.deepStrictEqual(done, ["log 1 gone 2", "save 10", "acknowledge 10"])
    }))

  it.effect("does not wait for a store that is away when it ends, and acknowledges nothing then", () =>
    Effect.gen(function*() {
      const { done, finish } = yield* settling([counted(10)], Effect.never)
      const fiber = yield* Effect.forkChild(Effect.uninterruptible(finish))
      yield* TestClock.adjust("4 seconds")
      assert.isUndefined(fiber.pollUnsafe())
      yield* TestClock.adjust("2 seconds")
      assert.isDefined(fiber.pollUnsafe())
      assert.isEmpty(done)
    }))
})
