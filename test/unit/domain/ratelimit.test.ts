import { assert, describe, it } from "vitest"
import { RateLimit } from "../../../src/domain/RateLimit.ts"

/** How many start in `forMs` when each starts as soon as it may. */
const startedIn = (limit: RateLimit, fromMs: number, forMs: number): number => {
  let started = 0
  for (let now = fromMs; now < fromMs + forMs;) {
    const wait = limit.waitMs(now)
    if (wait === 0) {
      limit.started(now)
      started++
    }
    now += wait
  }
  return started
}

describe("RateLimit", () => {
  it("starts a tenth at once, then at its rate; at least one", () => {
    for (const [rate, burst] of [[1, 1], [7, 1], [10, 1], [50, 5], [1_000, 100], [20_000, 2_000]] as const) {
      const limit = new RateLimit(rate)
      let atOnce = 0
      while (limit.waitMs(5_000) === 0) {
        limit.started(5_000)
        atOnce++
      }
      assert.strictEqual(atOnce, burst, `${rate}/s`)
      assert.strictEqual(limit.waitMs(5_000), Math.ceil(1_000 / rate))
    }
  })

  it("never starts more than its rate and one burst, and hardly fewer", () => {
    for (const rate of [1, 3, 7, 15, 99, 1_000, 12_345]) {
      const started = startedIn(new RateLimit(rate), 1_800_000_000_000, 60_000)
      assert.isAtMost(started, rate * 60 + Math.max(1, rate / 10) + 1, `${rate}/s`)
      assert.isAtLeast(started, rate * 60 * 0.9, `${rate}/s`)
    }
  })

  it("an idle time fills the bucket, and no more than that", () => {
    const limit = new RateLimit(50)
    startedIn(limit, 0, 1_000)
    assert.strictEqual(startedIn(limit, 1_000_000, 1), 5)
  })
})
