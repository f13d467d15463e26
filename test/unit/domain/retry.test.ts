import { assert, describe, it } from "vitest"
import type { AttemptResult } from "../../../src/domain/Delivery.ts"
import { describe as textOf, liveDelay, parkedDelay, type RetryPolicy, verdict } from "../../../src/domain/RetryPolicy.ts"

const policy: RetryPolicy = { retryInitialMs: 100, retryMaxMs: 1_000, parkAfterMs: 5_000, parkedScheduleMs: [10_000, 60_000] }
const status = (code: number, retryAfterMs?: number): AttemptResult =>
  code < 300 ? { _tag: "Accepted", status: code } : { _tag: "Refused", status: code, retryAfterMs, bodyStart: undefined }
const noAnswer: AttemptResult = { _tag: "NoAnswer", reason: "connection refused" }

describe("RetryPolicy", () => {
  it("retries what may pass by itself, and parks what would fail again", () => {
    const verdicts = [200, 204, 301, 302, 400, 404, 409, 410, 429, 500, 503].map((code) => verdict(status(code)))
    assert.deepStrictEqual(verdicts, [
      "accepted", "accepted", "park", "park", "park", "park", "park", "park", "retry", "retry", "retry"
    ])
    assert.strictEqual(verdict(noAnswer), "retry")
    assert.strictEqual(liveDelay(policy, status(404), 1, 0, 0), undefined)
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
    assert.deepStrictEqual([0, 1, 2].map((retries) => parkedDelay(policy, noAnswer, retries, 1)), [10_000, 60_000, undefined])
    assert.strictEqual(parkedDelay(policy, status(429, 30_000), 0, 0), 30_000)
    assert.strictEqual(parkedDelay(policy, status(429, 1e12), 0, 0), 86_400_000)
  })

  it("describes a failure without its body", () => {
    assert.deepStrictEqual([status(503), noAnswer].map(textOf), ["HTTP 503", "connection refused"])
  })
})
