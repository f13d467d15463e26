import { assert, describe, it } from "vitest"
import { Breaker, type BreakerPolicy, DOUBT_PAUSE_MS, MIN_DOWN_MS } from "../../../src/domain/Breaker.ts"

const policy: BreakerPolicy = {
  breakerFailures: 3, breakerRatePercent: 50, breakerWindow: 10, breakerPauseMs: 1_000, breakerPauseMaxMs: 8_000
}
const most = () => 1

/** Fails until it opens; where it began, and when it opened. */
const failUntilOpen = (breaker: Breaker, fromMs: number, stepMs = 500): number => {
  for (let now = fromMs; ; now += stepMs) {
    breaker.started(now)
    if (breaker.answered("down", 0, now, most)) return now
    assert.isBelow(now, fromMs + 60_000, "it never opened")
  }
}

describe("Breaker", () => {
  it("opens after failures in a row, but not for a moment's trouble", () => {
    const breaker = new Breaker(policy)
    breaker.started(100)
    for (let n = 0; n < 9; n++) assert.isFalse(breaker.answered("down", 0, 100 + MIN_DOWN_MS - 1, most))
    assert.strictEqual(breaker.state, "closed")
    assert.isTrue(breaker.answered("down", 0, 100 + MIN_DOWN_MS, most))
    assert.strictEqual(breaker.look(100 + MIN_DOWN_MS), "open")
  })

  it("is doubtful after as many failures as would open it: one request each 100 ms, until one is alive", () => {
    const breaker = new Breaker(policy)
    breaker.started(100)
    for (let n = 0; n < 2; n++) breaker.answered("down", 0, 100, most)
    assert.deepStrictEqual([breaker.doubtful, breaker.waitMs(100)], [false, 0])
    breaker.answered("down", 0, 100, most)
    assert.deepStrictEqual([breaker.doubtful, breaker.waitMs(100), breaker.waitMs(200)], [true, DOUBT_PAUSE_MS, 0])
    // Those that were in flight change nothing.
    for (let n = 0; n < 60; n++) breaker.answered("down", 0, 190, most)
    assert.strictEqual(breaker.waitMs(200), 0)
    breaker.started(200)
    assert.strictEqual(breaker.waitMs(210), 90)
    assert.isFalse(breaker.answered("alive", 0, 210, most))
    assert.deepStrictEqual([breaker.state, breaker.doubtful, breaker.waitMs(210)], ["closed", false, 0])
  })

  it("counts from the first request that was not answered: one that hangs is as down as one that refuses", () => {
    const breaker = new Breaker(policy)
    for (let n = 0; n < 3; n++) breaker.started(100)
    assert.deepStrictEqual([1, 2, 3].map(() => breaker.answered("down", 0, 10_100, most)), [false, false, true])
  })

  it("an answer between begins the row anew; what says nothing of the receiver does not", () => {
    const breaker = new Breaker(policy)
    for (let n = 0; n < 4; n++) {
      for (const health of ["down", "down", "alive"] as const) {
        breaker.started(n * 5_000)
        assert.isFalse(breaker.answered(health, 0, n * 5_000 + 2_000, most), `${n} ${health}`)
      }
      if (n === 1) breaker.reset()
    }
    breaker.reset()
    breaker.started(0)
    assert.deepStrictEqual(
      (["down", "down", "neither", "down"] as const).map((health) => breaker.answered(health, 0, 2_000, most)), [false, false, false, true]
    )
  })

  it("opens when too many of the last answers are failures, for a second", () => {
    const breaker = new Breaker({ ...policy, breakerFailures: 1_000 })
    const script = (from: number, count: number) =>
      Array.from({ length: count }, (_, n) => breaker.answered(n % 2 === 0 ? "down" : "alive", 0, from, most))
    assert.notInclude(script(1_000, 40), true)
    assert.isTrue(script(1_000 + MIN_DOWN_MS, 2)[0])
    const healthy = new Breaker({ ...policy, breakerFailures: 1_000 })
    for (let n = 0; n < 500; n++) assert.isFalse(healthy.answered(n % 5 < 2 ? "down" : "alive", 0, n * 100, most))
  })

  it("pauses for longer each time, up to a limit, jittered between half and all of it", () => {
    const breaker = new Breaker(policy)
    let now = failUntilOpen(breaker, 0)
    const pauses: Array<number> = []
    for (let n = 0; n < 6; n++) {
      pauses.push(breaker.wakeAtMs - now)
      assert.strictEqual(breaker.look(breaker.wakeAtMs - 1), "open")
      now = breaker.wakeAtMs
      assert.strictEqual(breaker.look(now), "half-open")
      assert.isTrue(breaker.answered("down", 0, now, most))
    }
    assert.deepStrictEqual(pauses, [1_000, 2_000, 4_000, 8_000, 8_000, 8_000])
    const low = new Breaker(policy)
    for (let at = 0; low.state === "closed"; at += 500) low.answered("down", 0, now = at, () => 0)
    assert.strictEqual(low.wakeAtMs - now, 500)
  })

  it("closes at the first answer of a receiver that is alive; what was sent before it opened changes nothing", () => {
    const breaker = new Breaker(policy)
    const opened = failUntilOpen(breaker, 0)
    assert.isFalse(breaker.answered("alive", 0, opened + 1, most))
    assert.isFalse(breaker.answered("down", 0, opened + 1, most))
    assert.strictEqual(breaker.wakeAtMs, opened + 1_000)
    const long = new Breaker({ ...policy, breakerPauseMs: 5_000 })
    const longOpened = failUntilOpen(long, 0)
    for (let n = 0; n < 20; n++) assert.isFalse(long.answered("down", 0, longOpened + n * 200, most))
    assert.strictEqual(long.wakeAtMs, longOpened + 5_000)
    breaker.look(breaker.wakeAtMs)
    assert.isFalse(breaker.answered("neither", 0, breaker.wakeAtMs, most))
    assert.strictEqual(breaker.state, "half-open")
    assert.isTrue(breaker.answered("alive", 0, breaker.wakeAtMs, most))
    assert.strictEqual(breaker.state, "closed")
  })

  it("goes on with longer pauses when it opens again at once, and begins anew after a good while", () => {
    const breaker = new Breaker(policy)
    failUntilOpen(breaker, 0)
    const woke = breaker.wakeAtMs
    breaker.look(woke)
    breaker.answered("alive", 0, woke, most)
    const again = failUntilOpen(breaker, woke, 500)
    assert.strictEqual(breaker.wakeAtMs - again, 2_000)
    breaker.look(breaker.wakeAtMs)
    breaker.answered("alive", 0, breaker.wakeAtMs, most)
    const later = failUntilOpen(breaker, breaker.wakeAtMs + 60_000)
    assert.strictEqual(breaker.wakeAtMs - later, 1_000)
  })

  it("a pause that the receiver asks for opens it until then; a short one holds requests back", () => {
    const breaker = new Breaker(policy)
    assert.isTrue(breaker.answered("neither", 30_000, 1_000, most))
    assert.strictEqual(breaker.wakeAtMs, 31_000)
    assert.isFalse(breaker.answered("neither", 60_000, 1_000, most), "it is open already")
    assert.strictEqual(breaker.wakeAtMs, 61_000)
    assert.strictEqual(breaker.look(61_000), "half-open")
    assert.isTrue(breaker.answered("neither", 5_000, 61_000, most))
    assert.strictEqual(breaker.wakeAtMs, 66_000)
    const short = new Breaker(policy)
    assert.isFalse(short.answered("neither", 1_000, 1_000, most))
    assert.deepStrictEqual([short.state, short.holdUntilMs], ["closed", 2_000])
  })

  it("is as new after a reset", () => {
    const breaker = new Breaker(policy)
    failUntilOpen(breaker, 0)
    breaker.reset()
    assert.strictEqual(breaker.look(0), "closed")
    const opened = failUntilOpen(breaker, 0)
    assert.strictEqual(breaker.wakeAtMs - opened, 1_000)
  })
})
