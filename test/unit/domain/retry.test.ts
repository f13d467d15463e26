import { assert, describe, it } from "vitest"
import type { AttemptResult } from "../../../src/domain/Delivery.ts"
import {
  describe as textOf, endsEndpoint, healthOf, liveDelay, looksDown, NOT_ALLOWED, parkedDelay, pauseOf, type RetryPolicy, verdict, wasRefused
} from "../../../src/domain/RetryPolicy.ts"

const policy: RetryPolicy = {
  retryInitialMs: 100, retryMaxMs: 1_000, parkAfterMs: 5_000, parkedScheduleMs: [10_000, 60_000, 90_000], refusedScheduleMs: [1_000, 2_000]
}
const status = (code: number, retryAfterMs?: number): AttemptResult =>
  code < 300 ? { _tag: "Accepted", status: code } : { _tag: "Refused", status: code, retryAfterMs, bodyStart: undefined }
const noAnswer: AttemptResult = { _tag: "NoAnswer", reason: "connection refused" }

describe("RetryPolicy", () => {
  it("retries what may pass by itself, and parks what would fail again", () => {
    const verdicts = [200, 204, 301, 400, 404, 408, 409, 410, 425, 429, 500, 503].map((code) => verdict(status(code)))
    assert.deepStrictEqual(verdicts, [
      "accepted", "accepted", "park", "park", "park", "retry", "retry", "park", "retry", "retry", "retry", "retry"
    ])
    assert.strictEqual(verdict(noAnswer), "retry")
    assert.strictEqual(liveDelay(policy, status(404), 1, 0, 0), undefined)
    assert.strictEqual(verdict({ _tag: "NoAnswer", reason: NOT_ALLOWED }), "park")
  })

  it("doubles the live delay up to its limit, with jitter between half and all of it", () => {
    assert.deepStrictEqual([1, 2, 3, 4, 5, 50].map((attempts) => liveDelay(policy, noAnswer, attempts, 0, 1)), [100, 200, 400, 800, 1_000, 1_000])
    assert.strictEqual(liveDelay(policy, noAnswer, 1, 0, 0), 50)
  })

  it("obeys Retry-After, and parks what would start after the live time", () => {
    assert.strictEqual(liveDelay(policy, status(503, 3_000), 1, 1_000, 0), 3_000)
    assert.strictEqual(liveDelay(policy, status(503, 3_000), 1, 3_000, 0), undefined)
    assert.strictEqual(liveDelay(policy, noAnswer, 1, 4_950, 0), 50)
    assert.strictEqual(liveDelay(policy, noAnswer, 1, 4_951, 0), undefined)
  })

  it("follows the parked schedule to its end; a pause asked for is a day at most", () => {
    assert.deepStrictEqual([0, 1, 2, 3].map((retries) => parkedDelay(policy, noAnswer, retries, 1)), [10_000, 60_000, 90_000, undefined])
    assert.strictEqual(parkedDelay(policy, status(429, 30_000), 0, 0), 30_000)
    assert.strictEqual(parkedDelay(policy, status(429, 1e12), 0, 0), 86_400_000)
  })

  it("follows the short schedule for what is refused", () => {
    assert.deepStrictEqual([0, 1, 2].map((retries) => parkedDelay(policy, status(404), retries, 1, "HTTP 404")), [1_000, 2_000, undefined])
    assert.deepStrictEqual([0, 2].map((retries) => parkedDelay(policy, status(409), retries, 1, "HTTP 409")), [10_000, 90_000])
  })

  it("what failed for hours and is then refused for the first time is not dead at once", () => {
    assert.strictEqual(parkedDelay(policy, status(404), 2, 1, "HTTP 503"), 2_000)
    assert.strictEqual(parkedDelay(policy, status(404), 3, 1, "HTTP 404"), undefined)
    assert.strictEqual(parkedDelay(policy, status(404), 2, 1, "connection refused"), 2_000)
  })

  it("410 ends the endpoint, never a delivery", () => {
    assert.deepStrictEqual([status(410), status(404), status(200), noAnswer].map(endsEndpoint), [true, false, false, false])
    assert.deepStrictEqual([0, 1, 2, 99].map((retries) => parkedDelay(policy, status(410), retries, 1, "HTTP 410")), [1_000, 2_000, 2_000, 2_000])
  })

  it("knows a refusal by its description", () => {
    const results = [...[301, 400, 404, 408, 409, 410, 425, 429, 500, 503].map((code) => status(code)), noAnswer, { _tag: "NoAnswer", reason: NOT_ALLOWED } as const]
    for (const result of results) assert.strictEqual(wasRefused(textOf(result)), verdict(result) === "park", textOf(result))
    assert.isFalse(wasRefused(undefined))
  })

  it("says what an answer means for its endpoint", () => {
    const health = [200, 301, 404, 409, 410, 408, 425, 429, 500, 503].map((code) => healthOf(status(code)))
    assert.deepStrictEqual(health, ["alive", "alive", "alive", "alive", "alive", "down", "down", "down", "down", "down"])
    assert.deepStrictEqual([noAnswer, { _tag: "NoAnswer", reason: NOT_ALLOWED } as const, status(503, 1_000), status(429, 0)].map(healthOf), ["down", "neither", "neither", "neither"])
    assert.deepStrictEqual([status(503), status(503, 1_000), status(404)].map(looksDown), [true, false, false])
    assert.deepStrictEqual([status(503, 1_000), status(429, 1e12), status(404, 1_000), status(200), noAnswer].map(pauseOf), [1_000, 86_400_000, 0, 0, 0])
  })

  it("describes a failure without its body", () => {
    assert.deepStrictEqual([status(503), noAnswer].map(textOf), ["HTTP 503", "connection refused"])
  })
})
