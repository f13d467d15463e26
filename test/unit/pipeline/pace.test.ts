/** The rate of a replay, on the virtual clock. */
import { assert, it } from "@effect/vitest"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as TestClock from "effect/testing/TestClock"
import * as Pace from "../../../src/layers/pipeline/commands/Pace.ts"

/** When each of `total` starts, ms, where one step takes `tookMs`. */
const starts = (rate: number | undefined, total: number, tookMs: number) =>
  Effect.gen(function*() {
    const found: Array<number> = []
    while (found.length < total) {
      const count = Math.min(Pace.step(rate), total - found.length)
      const now = yield* Clock.currentTimeMillis
      for (let i = 0; i < count; i++) found.push(now)
      yield* Effect.sleep(tookMs)
      yield* Pace.wait(rate, count, tookMs)
    }
    return found
  })

const run = Effect.fnUntraced(function*(rate: number | undefined, total: number, tookMs: number) {
  const fiber = yield* Effect.forkChild(starts(rate, total, tookMs))
  yield* TestClock.adjust("1 hour")
  return yield* Fiber.join(fiber)
})

it.effect("of a replay is kept to in every second and one step, and reached where the receiver allows it", () =>
  Effect.gen(function*() {
    for (const rate of [1, 3, 20, 250]) {
      const total = rate * 10
      const at = yield* run(rate, total, 5)
      for (const [n, from] of at.entries()) {
        const within = at.filter((ms, m) => m >= n && ms < from + 1_000).length
        assert.isAtMost(within, rate + Pace.step(rate), `rate ${rate}, from ${n}`)
      }
      assert.isAtMost(at.at(-1)! - at[0]!, 10_000 + 1_000, `rate ${rate}`)
      assert.isAtLeast(at.at(-1)! - at[0]!, 10_000 - 1_000, `rate ${rate}`)
    }
  }))

it.effect("is slower where a step takes longer, and none where no rate is given", () =>
  Effect.gen(function*() {
    const slow = yield* run(10, 50, 3_000)
    assert.strictEqual(slow.at(-1)! - slow[0]!, 4 * 3_000)
    const free = yield* run(undefined, 1_000, 1)
    assert.strictEqual(free.at(-1)! - free[0]!, 4)
  }))
