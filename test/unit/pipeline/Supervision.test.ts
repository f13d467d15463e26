import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as TestClock from "effect/testing/TestClock"
import * as Supervision from "../../../src/layers/pipeline/Supervision.ts"
import { SourceError } from "../../../src/services/ChangeSource.ts"
import { CheckpointError } from "../../../src/services/Checkpoint.ts"
import { ListenerError } from "../../../src/services/Listener.ts"

const permanent = new ListenerError({
  reason: new SourceError({ code: "SlotMissing", permanent: true, summary: "no slot", mend: "pgstream init" })
})
const passing = new CheckpointError({ operation: "save", cause: new Error("gone") })

describe("Supervision", () => {
  it.effect("starts again after a failure that may pass, with growing pauses", () =>
    Effect.gen(function*() {
      let runs = 0
      const fiber = yield* Effect.forkChild(Supervision.supervise(Effect.suspend(() => {
        runs++
        return Effect.fail(passing)
      })))
      yield* TestClock.adjust("1 millis")
      assert.strictEqual(runs, 1)
      yield* TestClock.adjust("500 millis")
      assert.strictEqual(runs, 2)
      yield* TestClock.adjust("10 minutes")
      assert.isBelow(runs, 50)
      assert.isAbove(runs, 15)
      yield* Fiber.interrupt(fiber)
    }))

  it.effect("ends with a permanent fault", () =>
    Effect.gen(function*() {
      const error = yield* Effect.flip(Supervision.supervise(Effect.fail(permanent)))
      assert.strictEqual(error, permanent)
    }))

  it("pauses between half and all of the doubled time, at most 30 s", () => {
    assert.strictEqual(Supervision.pauseMs(0, 0), 250)
    assert.strictEqual(Supervision.pauseMs(0, 1), 500)
    assert.strictEqual(Supervision.pauseMs(100, 1), 30_000)
  })
})
