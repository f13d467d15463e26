/** What an endpoint keeps, and for how long: budgets, suspension, the numbers of what is not sent, the breaker, notices. */
import { assert, describe, it } from "vitest"
import { commit, endpoint, Harness, idOf, insert, rows, undecodable } from "./Harness.ts"
import { SimulatedStore } from "../../support/SimulatedStore.ts"

const slow = { retryInitialMs: 100, retryMaxMs: 400, parkAfterMs: 1_000, parkedScheduleMs: [60_000, 60_000], refusedScheduleMs: [60_000, 60_000] }
const paused = endpoint("e", { paused: true })

describe("Notifier, numbers that are not sent", () => {
  it("counts events of a suspended endpoint, keeps their numbers before they settle, and sends what comes after", () => {
    const suspended = endpoint("e", { paused: true, suspended: true })
    const harness = new Harness({ endpoints: [suspended], writeMs: 100 })
    harness.pass(1_000)
    harness.offer(rows(1, "a", "b", "c"))
    harness.pass(50)
    assert.strictEqual(harness.position, 0)
    harness.pass(200)
    assert.strictEqual(harness.position, 350)
    assert.deepStrictEqual(harness.ranges.of("e"), ["suspended 1-3"])
    assert.isEmpty(harness.appended)
    harness.change("e", { ...suspended, paused: false, suspended: false })
    harness.pass(2_000)
    harness.offer(rows(4, "a"))
    harness.pass(100)
    assert.deepStrictEqual(harness.sent.map(({ id, sequence }) => [id, sequence]), [[idOf(4), 4]])
  })

  it("keeps the numbers of what is withdrawn: from the stream, the lanes, the table and segments", () => {
    const harness = new Harness({
      endpoints: [endpoint("e", { concurrency: 1 })], rows: { e: ["x"] }, settings: slow,
      script: { [idOf(1)]: [{ status: 404 }] }
    })
    harness.offer(rows(1, "a"))
    harness.pass(100)
    harness.offer(rows(2, "a", "b", "c", "d"))
    harness.change("e", { ...endpoint("e", { concurrency: 1 }), paused: true })
    harness.offer(rows(6, "e"))
    harness.pass(1_000)
    harness.unsubscribe("x")
    harness.offer(rows(7, "f"))
    harness.change("e", endpoint("e", { concurrency: 1 }))
    harness.pass(3_000)
    const numbers = new Set(harness.sent.map(({ sequence }) => sequence))
    for (let n = 1; n <= 7; n++) assert.isTrue(numbers.has(n) || harness.ranges.has("e", n, "withdrawn"), `number ${n}`)
    assert.isTrue(harness.ranges.has("e", 1, "withdrawn"))
    assert.strictEqual(harness.position, 750)
    assert.strictEqual(harness.store.rows.size, 0)
  })

  it("keeps the numbers of an endpoint that ends", () => {
    const harness = new Harness({ endpoints: [paused], settings: slow })
    harness.offer(rows(1, "a", "b"))
    harness.pass(1_000)
    harness.change("e", undefined)
    harness.offer(rows(3, "c"))
    harness.pass(1_000)
    assert.deepStrictEqual(harness.ranges.of("e"), ["withdrawn 1-3"])
    assert.isTrue(harness.segments.isEmpty)
  })
})

describe("Notifier, budgets", () => {
  const fill = (harness: Harness, from: number, count: number): void => {
    for (let n = from; n < from + count; n++) harness.offer([insert(n, 0, `row${n}`, 1_000), commit(n)])
    harness.pass(2_500)
  }

  it("suspends an endpoint for which too much waits, once, and says so", () => {
    const harness = new Harness({ endpoints: [paused], settings: { budgetBytes: 5_000 } })
    fill(harness, 1, 3)
    assert.isEmpty(harness.states)
    fill(harness, 4, 3)
    fill(harness, 7, 3)
    assert.deepStrictEqual(harness.states, ["suspended e"])
    assert.deepStrictEqual(harness.notices.filter((notice) => notice.startsWith("endpoint_suspended")), ["endpoint_suspended e"])
    assert.deepStrictEqual(harness.segments.ids("e").length, 6)
    assert.deepStrictEqual(harness.ranges.of("e"), ["suspended 7-9"])
  })

  it("counts what waits behind one event that fails, and what a start finds of it", () => {
    const refused = { otherwise: () => ({ status: 500 }) as const }
    const settings = { budgetBytes: 8_000, breakerFailures: 1_000, parkAfterMs: 100 }
    const first = new Harness({ settings, ...refused })
    for (let n = 1; n <= 5; n++) first.offer([insert(n, 0, "hot", 1_000), commit(n)])
    first.pass(2_500)
    assert.strictEqual(first.store.ofEndpoint("e").length, 5)
    assert.isEmpty(first.states)
    const { position, store } = first
    first.close()
    const counts = new Map([["e", { count: 5, epoch: "00112233aabbccdd" }]])
    const second = new Harness({ settings, store, position, counts, ...refused })
    for (let n = 6; n <= 11; n++) second.offer([insert(n, 0, "hot", 1_000), commit(n)])
    second.pass(2_500)
    assert.deepStrictEqual(second.states, ["suspended e"])
    second.offer([insert(12, 0, "hot", 1_000), commit(12)])
    second.pass(2_500)
    assert.deepStrictEqual(second.ranges.of("e"), ["suspended 12-12"])
  })

  it("counts such a row no longer when it is delivered", () => {
    const harness = new Harness({ settings: { budgetBytes: 7_000, parkAfterMs: 100 }, script: Object.fromEntries(
      Array.from({ length: 12 }, (_, i) => [idOf(3 * i + 1), Array.from({ length: 4 }, () => ({ status: 503 }) as const)])
    ) })
    for (let n = 1; n <= 36; n += 3) {
      for (let i = n; i < n + 3; i++) harness.offer([insert(i, 0, "hot", 1_000), commit(i)])
      harness.pass(3_600_000)
    }
    assert.isEmpty(harness.store.ofEndpoint("e"))
    assert.strictEqual(new Set(harness.ids).size, 36)
    assert.isEmpty(harness.states)
  })

  it("suspends one for which something waits for too long", () => {
    const harness = new Harness({ endpoints: [paused], settings: { budgetAgeMs: 600_000 } })
    fill(harness, 1, 1)
    harness.pass(590_000)
    assert.isEmpty(harness.states)
    harness.pass(30_000)
    assert.deepStrictEqual(harness.states, ["suspended e"])
  })

  for (const settings of [{ budgetBytes: 20_000 }, { budgetAgeMs: 600_000 }]) {
    it(`lets one that is resumed catch up, over a restart, too; then the budget holds again (${Object.keys(settings).join()})`, () => {
      const one = endpoint("e", { concurrency: 1 })
      const first = new Harness({ endpoints: [{ ...one, paused: true }], settings, latencyMs: 500 })
      for (let n = 1; n <= 50; n++) {
        first.offer([insert(n, 0, `row${n}`, 1_000), commit(n)])
        first.pass(100)
      }
      first.pass(620_000)
      assert.deepStrictEqual(first.states, ["suspended e"])
      const kept = first.segments.ids("e").length
      first.change("e", one)
      first.pass(5_000)
      assert.deepStrictEqual(first.states, ["suspended e"], "it is not suspended again before it has caught up")
      const segments = first.segments
      const { position } = first
      first.close()
      const counts = new Map([["e", { count: 50, epoch: "00112233aabbccdd" }]])
      const second = new Harness({ endpoints: [one], settings, latencyMs: 500, segments, position, counts })
      second.pass(60_000)
      assert.isEmpty(second.states)
      assert.strictEqual(new Set([...first.ids, ...second.ids]).size, kept)
      assert.isTrue(segments.isEmpty)
      second.change("e", { ...one, paused: true })
      for (let n = 51; n <= 90; n++) {
        second.offer([insert(n, 0, `row${n}`, 1_000), commit(n)])
        second.pass(100)
      }
      second.pass(620_000)
      assert.deepStrictEqual(second.states, ["suspended e"])
    })
  }

  it("waits with the whole stream where that was chosen, until there is less", () => {
    const harness = new Harness({ endpoints: [paused, endpoint("f")], settings: { budgetBytes: 2_000, budgetAction: "pause-slot" } })
    fill(harness, 1, 3)
    const held = harness.offer(rows(4, "x"))
    harness.pass(5_000)
    assert.isFalse(held.admitted)
    harness.change("e", { ...paused, paused: false })
    harness.pass(5_000)
    assert.isTrue(held.admitted)
  })

  it("records what comes as dead where that was chosen", () => {
    const harness = new Harness({ endpoints: [paused], settings: { budgetBytes: 2_000, budgetAction: "dead-letter" } })
    fill(harness, 1, 3)
    fill(harness, 4, 2)
    assert.deepStrictEqual(harness.store.ofEndpoint("e").map(({ state, lastError }) => [state, lastError]), [
      ["dead", "over the budget of its endpoint"], ["dead", "over the budget of its endpoint"]
    ])
    assert.strictEqual(harness.segments.ids("e").length, 3)
    assert.strictEqual(harness.position, 550)
  })

  it("of the store bounds all endpoints together", () => {
    const harness = new Harness({ endpoints: [paused, endpoint("f", { paused: true })], settings: { storeBudgetBytes: 4_000 } })
    fill(harness, 1, 3)
    assert.isFalse(harness.offer(rows(4, "x")).admitted)
  })
})

describe("Notifier, breaker", () => {
  it("sends nothing while it is open, tries one, and then all that waits, oldest first", () => {
    let down = true
    const harness = new Harness({
      endpoints: [endpoint("e", { concurrency: 1 })], otherwise: () => (down ? "NoAnswer" : "Ok"),
      settings: { ...slow, breakerFailures: 3, breakerPauseMs: 4_000, breakerPauseMaxMs: 4_000 }
    })
    for (let n = 1; n <= 40; n++) {
      harness.offer([insert(n, 0, `row${n}`), commit(n)])
      harness.pass(100)
    }
    const tried = harness.sent.length
    assert.isAbove(harness.segments.ids("e").length, 10)
    harness.pass(1_000)
    assert.strictEqual(harness.sent.length, tried)
    down = false
    harness.pass(8_000)
    const accepted = harness.sent.slice(tried).map(({ sequence }) => sequence)
    assert.strictEqual(new Set(accepted).size, 40)
    assert.isTrue(harness.segments.isEmpty)
    assert.strictEqual(harness.store.rows.size, 0)
    assert.strictEqual(harness.mostFlying, 1)
  })

  const HOUR = 3_600_000
  const forHours = {
    ...slow, parkedScheduleMs: [1_000, 5_000, ...Array.from({ length: 8 }, () => 10 * HOUR)],
    breakerFailures: 5, breakerPauseMs: 4_000, breakerPauseMaxMs: 60_000
  }
  for (const order of ["total", "key"] as const) {
    it(`sees soon that one is up again, though nothing that waits is due for hours (${order}, all of one row)`, () => {
      let down = true
      const harness = new Harness({ endpoints: [endpoint("e", { order })], settings: forHours, otherwise: () => (down ? "NoAnswer" : "Ok") })
      for (let n = 1; n <= 20; n++) {
        harness.offer([insert(n, 0, "one"), commit(n)])
        harness.pass(1_000)
      }
      harness.pass(2 * HOUR)
      const tried = harness.sent.length
      assert.isTrue(harness.store.ofEndpoint("e").every(({ state }) => state === "waiting"), "being tried early does not use up the schedule")
      assert.isAtMost(tried, 10 + 7_200 / 30, "one request a pause")
      down = false
      harness.pass(62_000)
      assert.deepStrictEqual(harness.sent.slice(tried).map(({ sequence }) => sequence), Array.from({ length: 20 }, (_, i) => i + 1))
      assert.strictEqual(harness.store.rows.size, 0)
    })
  }

  it("goes on trying one that asks for a moment while it comes up", () => {
    let [down, busy] = [true, 3]
    const harness = new Harness({
      endpoints: [endpoint("e", { order: "total" })], settings: forHours,
      otherwise: () => (down ? "NoAnswer" : busy-- > 0 ? { status: 503, retryAfterMs: 1_000 } : "Ok")
    })
    for (let n = 1; n <= 20; n++) {
      harness.offer([insert(n, 0, "one"), commit(n)])
      harness.pass(1_000)
    }
    harness.pass(2 * HOUR)
    down = false
    const tried = harness.sent.length
    harness.pass(62_000 + 3 * 5_000)
    const at = harness.sent.slice(tried).map(({ atMs }) => atMs)
    assert.strictEqual(at.length, 3 + 20)
    for (let n = 1; n <= 3; n++) assert.isAtLeast(at[n]! - at[n - 1]!, 1_000)
  })

  it("tries what was never tried before rows that failed", () => {
    let down = true
    const hangsFor = Object.fromEntries([1, 2, 3, 4].map((n) => [idOf(n), Array.from({ length: 500 }, () => "NoAnswer" as const)]))
    const harness = new Harness({
      settings: { ...slow, parkedScheduleMs: Array.from({ length: 100 }, () => 2_000), breakerFailures: 3, breakerPauseMs: 4_000, breakerPauseMaxMs: 8_000 },
      otherwise: () => (down ? "NoAnswer" : "Ok"), script: hangsFor
    })
    harness.offer(rows(1, "a", "b", "c", "d"))
    harness.pass(1_200)
    for (let n = 5; n < 25; n++) {
      harness.offer([insert(n, 0, `row${n}`), commit(n)])
      harness.pass(50)
    }
    assert.isAtLeast(harness.store.ofEndpoint("e").length, 4)
    const tried = harness.sent.length
    down = false
    harness.pass(8_000)
    const numbers = harness.sent.slice(tried).map(({ sequence }) => sequence)
    assert.isAbove(numbers[0]!, 4)
    assert.strictEqual(new Set(numbers.filter((sequence) => sequence > 4)).size, 20)
  })

  it("holds the rate of an endpoint", () => {
    const harness = new Harness({ endpoints: [endpoint("e", { rate: 10, concurrency: 64 })], latencyMs: 1 })
    harness.offer(rows(1, ...Array.from({ length: 50 }, (_, i) => `r${i}`)))
    harness.pass(2_000)
    assert.isAtMost(harness.sent.length, 22)
    assert.isAtLeast(harness.sent.length, 18)
    harness.pass(4_000)
    assert.strictEqual(harness.sent.length, 50)
  })

  it("disables an endpoint that answers 410, and goes on where it stopped when it is resumed", () => {
    const harness = new Harness({ endpoints: [endpoint("e", { concurrency: 1 })], script: { [idOf(1)]: [{ status: 410 }] } })
    harness.offer(rows(1, "a", "b"))
    harness.pass(2_000)
    assert.deepStrictEqual([harness.states, harness.ids], [["disabled e"], [idOf(1)]])
    harness.offer(rows(3, "c"))
    harness.pass(1_000)
    harness.change("e", endpoint("e", { concurrency: 1 }))
    harness.pass(2_000)
    assert.deepStrictEqual(harness.ids.slice(1).sort(), [idOf(1), idOf(2), idOf(3)])
  })
})

describe("Notifier, notices of a process before", () => {
  const barrier = { ...insert(2, 0, "a"), kind: "T" as const, newRow: () => undefined }
  const settings = { ...slow, parkedScheduleMs: [7_200_000] }

  it("of a barrier: over where there is none any more, and told again of the next", () => {
    const harness = new Harness({ settings, told: ["barrier_waiting e"], otherwise: () => "NoAnswer" })
    harness.offer(rows(1, "a"))
    harness.pass(2_000)
    assert.deepStrictEqual(harness.notices, ["barrier_waiting e is over"])
    harness.offer([barrier, commit(2)])
    harness.pass(3_700_000)
    assert.deepStrictEqual([...new Set(harness.notices)], ["barrier_waiting e is over", "barrier_waiting e"])
  })

  it("of a barrier that waits on: not over", () => {
    const store = new SimulatedStore()
    const first = new Harness({ settings, store, otherwise: () => "NoAnswer" })
    first.offer([...rows(1, "a"), barrier, commit(2)])
    first.pass(5_000)
    first.close()
    const counts = new Map([["e", { count: 2, epoch: "00112233aabbccdd" }]])
    const harness = new Harness({ settings, store, position: 250, counts, told: ["barrier_waiting e"], otherwise: () => "NoAnswer" })
    harness.pass(100_000)
    assert.isEmpty(harness.notices)
  })
})

describe("Notifier, notices", () => {
  it("tells of a dead letter, and of a barrier that has waited for an hour", () => {
    const harness = new Harness({ settings: { ...slow, parkedScheduleMs: [7_200_000] }, otherwise: () => "NoAnswer" })
    harness.offer([undecodable(1, "public.orders"), commit(1)])
    harness.pass(1_100)
    assert.deepStrictEqual(harness.notices, ["first_dead_letter e"])
    harness.offer([{ ...insert(2, 0, "a"), kind: "T", newRow: () => undefined }, commit(2)])
    harness.pass(3_000_000)
    assert.strictEqual(harness.notices.length, 1)
    harness.pass(700_000)
    assert.include(harness.notices, "barrier_waiting e")
  })
})
