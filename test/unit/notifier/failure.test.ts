import { assert, describe, it } from "vitest"
import { endpoint, Harness, idOf, rows } from "./Harness.ts"

describe("Notifier, failures of its own", () => {
  it("goes on when the table cannot be written or read for a while, and settles nothing meanwhile", () => {
    let down = true
    const harness = new Harness({ settings: { parkedScheduleMs: [500, 500] }, script: { [idOf(1)]: [{ status: 404 }] }, storeFails: () => down })
    harness.offer(rows(1, "a", "a", "b"))
    harness.pass(30_000)
    assert.deepStrictEqual(harness.ids, [idOf(1), idOf(3)])
    assert.isEmpty(harness.updates)
    down = false
    harness.pass(10_000)
    assert.deepStrictEqual(harness.ids, [idOf(1), idOf(3), idOf(1), idOf(2)])
    assert.strictEqual(harness.position, 350)
  })

  it("costs one that refuses few requests, however many lanes it has, and finds it again at once", () => {
    let down = true
    const harness = new Harness({ endpoints: [endpoint("e", { order: "none" })], latencyMs: 1, otherwise: () => ({ status: down ? 503 : 200 }) })
    for (let n = 0; n < 200; n++) harness.offer(rows(1 + 5 * n, "a", "b", "c", "d", "e"))
    harness.pass(700)
    // 10 in a row, those that were in flight then, and one each 100 ms.
    assert.isAtMost(harness.sent.length, 10 + 4 + 7)
    down = false
    harness.pass(250)
    assert.isAbove(new Set(harness.ids).size, 900)
  })

  it("ends with a defect of a callback's, and never goes on as if nothing had happened", () => {
    const harness = new Harness({ endpoints: [endpoint("e")], hit: (name) => {
      if (name === "parked.before_write") throw new Error("a bug")
    }, script: { [idOf(1)]: [{ status: 404 }] } })
    harness.offer(rows(1, "a"))
    assert.throws(() => harness.pass(1_000), /a bug/)
  })
})
