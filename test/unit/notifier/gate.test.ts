import { assert, describe, it } from "vitest"
import type { AttemptResult } from "../../../src/domain/Delivery.ts"
import type { Endpoint } from "../../../src/domain/Subscription.ts"
import * as GateLive from "../../../src/layers/pipeline/notifier/GateLive.ts"
import { notifierDefaults } from "../../../src/services/Settings.ts"

const endpoint: Endpoint = { id: "e", url: "http://e/", order: "key", concurrency: 8, paused: false, pausedReason: undefined }
const made = (more: Partial<Endpoint> = {}) =>
  GateLive.make({ settings: notifierDefaults, random: () => 1, endpoint: { ...endpoint, ...more } })
const status = (code: number, retryAfterMs?: number): AttemptResult =>
  code < 300 ? { _tag: "Accepted", status: code } : { _tag: "Refused", status: code, retryAfterMs, bodyStart: undefined }
const refusedConnection: AttemptResult = { _tag: "NoAnswer", reason: "connection refused" }

/** As many attempts as open it, one at a time. */
const fail = (gate: ReturnType<typeof made>, fromMs: number, result: AttemptResult = refusedConnection): number => {
  for (let n = 0; n < 20; n++) {
    gate.started(fromMs + n * 200)
    if (gate.answered(result, fromMs + n * 200)) return fromMs + n * 200
  }
  return -1
}

describe("GateLive", () => {
  it("lets everything through while the endpoint answers, with errors of its own, too", () => {
    const gate = made()
    for (const code of [200, 301, 400, 404, 409, 422]) assert.strictEqual(fail(gate, 1_000, status(code)), -1, String(code))
    assert.deepStrictEqual([gate.state, gate.limit(8, 9_000), gate.waitMs(9_000)], ["closed", 8, 0])
  })

  it("opens for one that is down, tries one request, and goes on when that is answered", () => {
    for (const result of [refusedConnection, status(408), status(425), status(429), status(500), status(503)]) {
      const gate = made()
      const opened = fail(gate, 1_000, result)
      assert.isAbove(opened, 1_000)
      assert.deepStrictEqual([gate.limit(8, opened), gate.wakeAtMs], [0, opened + 5_000])
      assert.deepStrictEqual([gate.limit(8, gate.wakeAtMs), gate.state], [1, "half-open"])
      assert.isTrue(gate.answered(status(200), gate.wakeAtMs))
      assert.deepStrictEqual([gate.limit(8, gate.wakeAtMs), gate.state], [8, "closed"])
    }
  })

  it("lets one at a time go while it is doubtful", () => {
    const gate = made()
    for (let n = 0; n < notifierDefaults.breakerFailures; n++) {
      assert.deepStrictEqual([gate.isWide, gate.limit(8, 1_000)], [true, 8])
      gate.started(1_000)
      assert.isFalse(gate.answered(refusedConnection, 1_000))
    }
    assert.deepStrictEqual([gate.state, gate.isWide, gate.limit(8, 1_000), gate.waitMs(1_000)], ["closed", false, 1, 100])
    gate.answered(status(200), 1_100)
    assert.deepStrictEqual([gate.isWide, gate.limit(8, 1_100), gate.waitMs(1_100)], [true, 8, 0])
  })

  it("obeys Retry-After of 429 and 503, at most for a day", () => {
    for (const code of [429, 503]) {
      const gate = made()
      assert.isTrue(gate.answered(status(code, 60_000), 1_000))
      assert.deepStrictEqual([gate.limit(8, 60_999), gate.limit(8, 61_000)], [0, 1])
      const long = made()
      long.answered(status(code, 1e12), 0)
      assert.strictEqual(long.wakeAtMs, 86_400_000)
      const short = made()
      assert.isFalse(short.answered(status(code, 800), 1_000))
      assert.deepStrictEqual([short.limit(8, 1_000), short.waitMs(1_000), short.waitMs(1_800)], [8, 800, 0])
    }
  })

  it("sends nothing after 410, until it is resumed", () => {
    const gate = made()
    assert.isTrue(gate.answered(status(410), 1_000))
    assert.strictEqual(gate.limit(8, 3_600_000), 0)
    gate.configure(endpoint, 3_600_000)
    assert.deepStrictEqual([gate.state, gate.limit(8, 3_600_000)], ["closed", 8])
  })

  it("holds to the rate, and to a new one at once", () => {
    const gate = made({ rate: 10 })
    gate.started(1_000)
    assert.deepStrictEqual([gate.waitMs(1_000), gate.waitMs(1_100)], [100, 0])
    gate.configure({ ...endpoint, rate: 10 }, 1_000)
    assert.strictEqual(gate.waitMs(1_000), 100, "the same rate allows no burst")
    gate.configure({ ...endpoint, rate: 1_000 }, 1_000)
    assert.strictEqual(gate.waitMs(1_000), 0)
    gate.configure(endpoint, 1_000)
    for (let n = 0; n < 1_000; n++) gate.started(1_000)
    assert.strictEqual(gate.waitMs(1_000), 0)
  })
})
