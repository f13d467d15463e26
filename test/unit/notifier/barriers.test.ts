/** A barrier that waits for long: told once, however often what it waits for is tried. */
import { assert, describe, it } from "vitest"
import type { Item } from "../../../src/domain/Chunk.ts"
import { SimulatedSegments } from "../../support/SimulatedSegments.ts"
import { SimulatedStore } from "../../support/SimulatedStore.ts"
import { commit, endpoint, Harness, insert, rows } from "./Harness.ts"

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

describe("Notifier, barriers across a restart", () => {
  const settings = { ...slow, parkedScheduleMs: [36_000_000] }
  const truncate = (n: number): ReadonlyArray<Item> => [{ ...insert(n, 0, "a"), kind: "T" as const, newRow: () => undefined }, commit(n)]
  const counts = new Map([["e", { count: 2, epoch: "00112233aabbccdd" }]])

  for (const order of ["total", "key"] as const) {
    /** One process with a barrier in the table for `waitedMs`; then nobody for `downMs`; then this one, at `position`. */
    const restarted = (waitedMs: number, downMs: number, position: number) => {
      const [store, segments, endpoints] = [new SimulatedStore(), new SimulatedSegments(), [endpoint("e", { order })]]
      const first = new Harness({ settings, store, segments, endpoints, otherwise: () => "NoAnswer" })
      first.offer([...rows(1, "a"), ...truncate(2)])
      first.pass(waitedMs)
      first.close()
      const startMs = first.time.now + downMs
      return new Harness({ settings, store, segments, endpoints, position, counts, startMs, otherwise: () => "NoAnswer" })
    }

    it(`tells of one an hour after it was parked (${order})`, () => {
      const harness = restarted(1_800_000, 0, 250)
      harness.pass(1_790_000)
      assert.deepStrictEqual(transitions(harness), [])
      harness.pass(20_000)
      assert.deepStrictEqual(transitions(harness), ["barrier_waiting e"])
    })

    it(`tries what is due before it tells, when it was stopped for hours (${order})`, () => {
      const harness = restarted(1_800_000, 7_200_000, 250)
      harness.pass(50_000)
      assert.deepStrictEqual(transitions(harness), [])
      harness.pass(20_000)
      assert.deepStrictEqual(transitions(harness), ["barrier_waiting e"])
    })
  }

  it("tells of one above its position, too, an hour after it was parked", () => {
    const store = new SimulatedStore()
    const first = new Harness({ settings, store, otherwise: () => "NoAnswer" })
    first.offer([...rows(1, "a"), ...truncate(2)])
    first.pass(1_800_000)
    first.close()
    const harness = new Harness({ settings, store, startMs: first.time.now, otherwise: () => "NoAnswer" })
    harness.pass(600_000)
    harness.offer([...rows(1, "a"), ...truncate(2)])
    harness.pass(1_100_000)
    assert.deepStrictEqual(transitions(harness), [])
    harness.pass(200_000)
    assert.deepStrictEqual(transitions(harness), ["barrier_waiting e"])
  })

  it("counts the next one from its own time", () => {
    let down = true
    const store = new SimulatedStore()
    const options = { settings: slow, store, otherwise: () => (down ? "NoAnswer" : "Ok") } as const
    const first = new Harness(options)
    first.offer([...rows(1, "a"), ...truncate(2)])
    first.pass(3_000_000)
    first.close()
    down = false
    const harness = new Harness({ ...options, position: 250, counts, startMs: first.time.now })
    harness.pass(1_300_000)
    assert.strictEqual(store.rows.size, 0)
    down = true
    harness.offer([...rows(3, "a"), ...truncate(4)])
    harness.pass(3_500_000)
    assert.notInclude(harness.notices.slice(-1), "barrier_waiting e")
    harness.pass(200_000)
    assert.deepStrictEqual(harness.notices.slice(-1), ["barrier_waiting e"])
  })

  it("tells of a reader that has waited an hour since too many keys are parked, and when it goes on", () => {
    let refusing = true
    const harness = new Harness({
      settings: { ...settings, maxParkedKeys: 5, refusedScheduleMs: [4_000_000, 4_000_000] },
      otherwise: () => (refusing ? { status: 404 } : "Ok")
    })
    harness.offer(rows(1, ...Array.from({ length: 10 }, (_, i) => `row${i}`)))
    harness.pass(1_000)
    harness.offer([...rows(20, "other"), ...truncate(21)])
    harness.pass(3_500_000)
    assert.deepStrictEqual([transitions(harness), harness.segments.ids("e").length], [[], 2])
    harness.pass(200_000)
    assert.deepStrictEqual(transitions(harness), ["barrier_waiting e"])
    refusing = false
    harness.pass(1_000_000)
    assert.deepStrictEqual(transitions(harness), ["barrier_waiting e", "barrier_waiting e is over"])
    assert.isTrue(harness.segments.isEmpty)
  })
})
