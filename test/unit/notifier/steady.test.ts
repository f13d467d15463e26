import { assert, describe, it } from "vitest"
import { commit, Harness, insert } from "./Harness.ts"

describe("Notifier under a steady stream", () => {
  it("comes back to live after everything was parked, though the write buffer is never empty", () => {
    let down = true
    const harness = new Harness({
      latencyMs: 1, writeMs: 12, otherwise: () => (down ? "NoAnswer" : "Ok"),
      settings: { maxParkedKeys: 50, parkAfterMs: 500, parkedScheduleMs: [1_000, 1_000, 1_000, 1_000] }
    })
    let n = 0
    let written = 0
    for (let ms = 0; ms < 10_000; ms += 10) {
      if (ms === 3_000) down = false
      harness.offer([1, 2, 3, 4].flatMap(() => {
        n++
        return [insert(n, 0, `row${n % 500}`), commit(n)]
      }))
      harness.pass(10)
      if (ms >= 9_000) written = Math.max(written, harness.store.rows.size)
    }
    harness.pass(5_000)
    assert.strictEqual(new Set(harness.ids).size, n)
    assert.strictEqual(written, 0)
  })
})
