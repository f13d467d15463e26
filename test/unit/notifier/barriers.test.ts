/** A barrier that waits for long: told once, however often what it waits for is tried. */
import { assert, describe, it } from "vitest"
import { commit, endpoint, Harness, insert } from "./Harness.ts"

const slow = { retryInitialMs: 100, retryMaxMs: 400, parkAfterMs: 1_000, parkedScheduleMs: Array.from({ length: 40 }, () => 1_200_000) }
/** Telling again within a state says nothing (`NoticesLive`). */
const transitions = ({ notices }: Harness): ReadonlyArray<string> => notices.filter((notice, i) => notice !== notices[i - 1])

describe("Notifier, barriers", () => {
  it("tells once of a barrier whose predecessor is tried again and again, and when it is over", () => {
    let down = true
    const truncate = { ...insert(2, 0, "a"), kind: "T" as const, newRow: () => undefined }
    const harness = new Harness({
      settings: slow, latencyMs: 5_000, otherwise: () => (down ? "NoAnswer" : "Ok")
    })
    harness.offer([insert(1, 0, "a"), commit(1), truncate, commit(2)])
    harness.pass(3_500_000)
    assert.deepStrictEqual(transitions(harness), [])
    harness.pass(200_000)
    assert.deepStrictEqual(transitions(harness), ["barrier_waiting e"])
    harness.pass(10_000_000)
    assert.deepStrictEqual(transitions(harness), ["barrier_waiting e"])
    down = false
    harness.pass(1_300_000)
    assert.deepStrictEqual(transitions(harness), ["barrier_waiting e", "barrier_waiting e is over"])
  })

  for (const order of ["total", "key"] as const) {
    it(`tells once of one that is itself tried again and again (${order})`, () => {
      let down = true
      const harness = new Harness({
        endpoints: [endpoint("e", { order })], settings: slow, latencyMs: 5_000, otherwise: () => (down ? "NoAnswer" : "Ok")
      })
      harness.offer([{ ...insert(1, 0, "a"), kind: "T", newRow: () => undefined }, commit(1)])
      harness.pass(3_500_000)
      assert.deepStrictEqual(transitions(harness), [])
      harness.pass(200_000)
      assert.deepStrictEqual(transitions(harness), ["barrier_waiting e"])
      harness.pass(10_000_000)
      assert.deepStrictEqual(transitions(harness), ["barrier_waiting e"])
      down = false
      harness.pass(1_300_000)
      assert.deepStrictEqual(transitions(harness), ["barrier_waiting e", "barrier_waiting e is over"])
    })
  }
})
