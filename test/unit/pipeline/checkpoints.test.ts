/** What is stored when, before a position is acknowledged. */
import { assert, it } from "@effect/vitest"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Queue from "effect/Queue"
import * as Stream from "effect/Stream"
import * as TestClock from "effect/testing/TestClock"
import type { Lsn } from "../../../src/domain/Lsn.ts"
import * as Settling from "../../../src/layers/pipeline/Settling.ts"
import { Checkpoint } from "../../../src/services/Checkpoint.ts"
import type { Settled } from "../../../src/services/Notifier.ts"
import { SchemaLog } from "../../../src/services/SchemaLog.ts"
import { STREAM } from "./MemoryPipeline.ts"

const settled = (position: Lsn, count: number, entry = false): Settled => ({
  update: {
    position, counts: new Map(count === 0 ? [] : [["e", { count, epoch: "e" }]]), upserted: [], removed: [],
    shapes: {
      tables: new Map(), versions: new Map(), newIds: [],
      entries: entry ? [{ id: "a", version: 1, schema: "public", json: "{}", createdAt: "2026-01-01 00:00:00", lsn: position }] : []
    }
  }
})

/** `saveMs`: how long a checkpoint takes. Notes carry the time, ms. */
const run = (saveMs: number, use: (say: (settled: Settled) => Effect.Effect<unknown>, notes: Array<string>) => Effect.Effect<void>) =>
  Effect.gen(function*() {
    const notes: Array<string> = []
    const note = (what: string) => Effect.map(Clock.currentTimeMillis, (ms) => void notes.push(`${ms} ${what}`))
    const reports = yield* Queue.unbounded<Settled>()
    yield* Effect.gen(function*() {
      const settling = yield* Settling.make(
        STREAM,
        { offer: () => Effect.void, settled: Queue.take(reports), drain: Effect.void, rest: Effect.undefined },
        { stream: STREAM, startedAt: 0, chunks: Stream.empty, acknowledge: (position) => note(`acknowledge ${position}`) }
      )
      yield* Effect.forkScoped(settling.loop)
      yield* use((report) => Queue.offer(reports, report), notes)
    }).pipe(
      Effect.scoped,
      Effect.provide(Layer.mergeAll(
        Layer.mock(Checkpoint, { save: (_, { position }) => Effect.andThen(Effect.sleep(saveMs), note(`save ${position}`)) }),
        Layer.mock(SchemaLog, { write: () => note("log") })
      ))
    )
  })

it.effect("the schema log, then the checkpoint, then the acknowledgement; a position alone is only acknowledged", () =>
  run(0, (say, notes) =>
    Effect.gen(function*() {
      yield* say(settled(10, 1, true))
      yield* TestClock.adjust("1 second")
      yield* say(settled(20, 0))
      yield* TestClock.adjust("1 second")
      assert.deepStrictEqual(notes, ["0 log", "0 save 10", "0 acknowledge 10", "1000 acknowledge 20"])
    })))

it.effect("a checkpoint at most every second, every 200 ms while the stream is dense, and 20 times as long as one takes", () =>
  Effect.gen(function*() {
    const times = (saveMs: number, step: number) => {
      const saved: Array<number> = []
      return Effect.as(run(saveMs, (say, notes) =>
        Effect.gen(function*() {
          for (let n = 1; n <= 3; n++) yield* say(settled(n * step, n))
          yield* Effect.repeat(TestClock.adjust("50 millis"), { times: 100 })
          const at = notes.filter((text) => text.includes("save")).map((text) => Number(text.split(" ")[0]))
          saved.push(at[1]! - at[0]!, at[2]! - at[1]!)
        })), saved)
    }
    assert.deepStrictEqual(yield* times(0, 10), [1_000, 1_000])
    assert.deepStrictEqual(yield* times(0, 1_000_000), [200, 200])
    assert.deepStrictEqual(yield* times(100, 1_000_000), [2_100, 2_100])
  }))
