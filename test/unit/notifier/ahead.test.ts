/** Rows for events above the stored position: a start keeps them in memory, so a process leaves a bounded number. */
import { assert, describe, it } from "vitest"
import { RowsAhead } from "../../../src/layers/pipeline/notifier/RowsAhead.ts"
import { SimulatedSegments } from "../../support/SimulatedSegments.ts"
import { SimulatedStore } from "../../support/SimulatedStore.ts"
import { commit, endpoint, Harness, idOf, insert } from "./Harness.ts"

describe("RowsAhead", () => {
  it("counts those that are not below the stored position, and says once when there are few enough again", () => {
    let told = 0
    const ahead = new RowsAhead({ max: 5_000, fewer: () => told++ })
    for (let lsn = 1; lsn <= 6_000; lsn++) ahead.add(lsn)
    assert.deepStrictEqual([ahead.size, ahead.isTooMany], [6_000, true])
    assert.strictEqual((ahead as unknown as { readonly steps: ReadonlyArray<unknown> }).steps.length, 6)
    ahead.stored(500)
    assert.isTrue(ahead.isTooMany)
    for (let lsn = 1_000; lsn <= 6_000; lsn += 100) {
      ahead.stored(lsn)
      // At most a step more than there are.
      assert.isAtLeast(ahead.size, 6_001 - lsn)
      assert.isAtMost(ahead.size, 6_001 - lsn + 1_024)
    }
    assert.strictEqual(told, 1)
    ahead.stored(6_001)
    assert.strictEqual(ahead.size, 0)
  })

  it("keeps a row of an earlier event until what came before it in the count is stored, too", () => {
    const ahead = new RowsAhead({ max: 1, fewer: () => {} })
    ahead.add(50)
    ahead.add(10)
    ahead.stored(20)
    assert.strictEqual(ahead.size, 2)
    ahead.stored(51)
    assert.strictEqual(ahead.size, 0)
  })
})

const settings = { retryInitialMs: 100, retryMaxMs: 400, parkAfterMs: 1_000, maxParkedKeys: 10, parkedScheduleMs: [60_000, 60_000], refusedScheduleMs: [60_000, 60_000] }
const ROWS = 60

/** An open transaction of rows that are all refused, one after the other. */
const offerRefused = (harness: Harness, idOfRow: (n: number) => string): void => {
  for (let n = 0; n < ROWS; n++) {
    harness.offer([insert(1, n, idOfRow(n))])
    harness.pass(30)
  }
}
const ids = Array.from({ length: ROWS }, (_, n) => idOf(1, n))

describe("Notifier, rows above the stored position", () => {
  const cases = [
    ["that have no keys", endpoint("e", { order: "none" }), (n: number) => `row${n}`, settings],
    ["of one key", endpoint("e"), () => "hot", settings],
    ["that are dead", endpoint("e"), (n: number) => `row${n}`, { ...settings, refusedScheduleMs: [] }]
  ] as const
  for (const [which, one, idOfRow, more] of cases) {
    it(`are bounded inside a transaction, ${which}; the rest waits in segments until its commit is stored`, () => {
      let refusing = true
      const harness = new Harness({ endpoints: [one], settings: more, otherwise: () => (refusing ? { status: 404 } : "Ok") })
      offerRefused(harness, idOfRow)
      harness.pass(10_000)
      assert.isAtMost(harness.store.rows.size, 12)
      assert.strictEqual(harness.segments.ids("e").length, ROWS - harness.store.rows.size)
      harness.offer([commit(1)])
      harness.pass(2_000)
      assert.strictEqual(harness.position, 150)
      assert.isAbove(harness.store.rows.size, 30)
      refusing = false
      harness.pass(130_000)
      assert.deepStrictEqual([...new Set(harness.ids)].sort(), [...ids].sort())
      assert.isTrue(harness.segments.isEmpty)
      assert.strictEqual(harness.store.ofEndpoint("e").filter(({ state }) => state === "waiting").length, 0)
    })
  }

  it("are found by a start, and each event goes out in its order", () => {
    const [store, segments] = [new SimulatedStore(), new SimulatedSegments()]
    const first = new Harness({ store, segments, settings, otherwise: () => ({ status: 404 }) })
    offerRefused(first, () => "hot")
    first.close()
    assert.isAtMost(store.rows.size, 12)
    const harness = new Harness({ store, segments, settings, startMs: first.time.now })
    harness.offer([...Array.from({ length: ROWS }, (_, n) => insert(1, n, "hot")), commit(1)])
    harness.pass(130_000)
    assert.deepStrictEqual(harness.sent.map(({ id, sequence }) => [id, sequence]), ids.map((id, n) => [id, n + 1]))
    assert.deepStrictEqual([store.rows.size, harness.position], [0, 150])
  })

  it("over the budget of an endpoint whose events die then, too", () => {
    const harness = new Harness({ endpoints: [endpoint("e", { paused: true })], settings: { ...settings, budgetAction: "dead-letter", budgetBytes: 1 } })
    harness.offer([insert(1, 0, "a"), insert(1, 1, "b")])
    harness.pass(2_000)
    for (let n = 2; n < ROWS; n++) {
      harness.offer([insert(1, n, "x")])
      harness.pass(10)
    }
    assert.strictEqual(harness.store.rows.size, 11)
    harness.offer([commit(1)])
    harness.pass(100)
    harness.offer([insert(2, 0, "a"), commit(2)])
    harness.pass(100)
    assert.strictEqual(harness.store.rows.size, 12)
  })
})
