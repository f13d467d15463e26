import { assert, describe, it } from "vitest"
import { endpoint, Harness, idOf, rows } from "./Harness.ts"
import { SimulatedSegments } from "../../support/SimulatedSegments.ts"
import { SimulatedStore } from "../../support/SimulatedStore.ts"

const fast = { retryInitialMs: 100, retryMaxMs: 400, parkAfterMs: 1_000, parkedScheduleMs: [20_000, 40_000], refusedScheduleMs: [20_000, 40_000] }
const numbers = (count: number, prefix = "k"): ReadonlyArray<string> => Array.from({ length: count }, (_, i) => `${prefix}${i}`)

describe("Notifier, endpoints that change", () => {
  it("keeps what comes while an endpoint is paused, without an attempt; resumed, all is due, oldest first", () => {
    const paused = endpoint("e", { paused: true, concurrency: 1 })
    const harness = new Harness({ endpoints: [paused] })
    harness.offer(rows(1, "a", "b", "c"))
    harness.pass(1_000)
    assert.isEmpty(harness.sent)
    assert.strictEqual(harness.position, 350)
    assert.deepStrictEqual(harness.segments.ids("e"), [idOf(1), idOf(2), idOf(3)])
    assert.strictEqual(harness.store.rows.size, 0)
    harness.change("e", { ...paused, paused: false })
    harness.pass(1_200)
    assert.deepStrictEqual(harness.sent.map(({ id, sequence }) => [id, sequence]), [[idOf(1), 1], [idOf(2), 2], [idOf(3), 3]])
    assert.isTrue(harness.segments.isEmpty)
  })

  it("parks what waits in the lanes when an endpoint is paused; what is in flight ends", () => {
    const running = endpoint("e", { concurrency: 1 })
    const harness = new Harness({ endpoints: [running] })
    harness.offer(rows(1, "a", "b"))
    harness.change("e", { ...running, paused: true })
    harness.pass(500)
    assert.deepStrictEqual(harness.ids, [idOf(1)])
    assert.deepStrictEqual(harness.store.ofEndpoint("e").map(({ id }) => id), [idOf(2)])
    assert.strictEqual(harness.position, 250)
  })

  it("makes all that is parked due when it is resumed, long before its time", () => {
    const running = endpoint("e")
    const harness = new Harness({ endpoints: [running], settings: fast, script: { [idOf(1)]: [{ status: 404 }] } })
    harness.offer(rows(1, "a"))
    harness.pass(100)
    harness.change("e", { ...running, paused: true })
    harness.change("e", { ...running, url: "http://new" })
    harness.pass(100)
    assert.deepStrictEqual(harness.sent.map(({ url }) => url), ["http://e", "http://new"])
    assert.strictEqual(harness.store.rows.size, 0)
  })

  it("sends to an endpoint that comes back while it is being ended", () => {
    const harness = new Harness({ writeMs: 400 })
    harness.pass(1_000)
    harness.change("e", undefined)
    harness.offer(rows(1, "a"))
    harness.pass(100)
    harness.change("e", endpoint("e"))
    harness.pass(3_000)
    harness.offer(rows(2, "b"))
    harness.pass(100)
    assert.deepStrictEqual(harness.ids, [idOf(1), idOf(2)])
  })

  it("does not use up the schedule of a row by attempts before its time", () => {
    const harness = new Harness({
      settings: { ...fast, parkedScheduleMs: [60_000, 60_000] }, script: { [idOf(1)]: Array.from({ length: 99 }, () => "NoAnswer" as const) }
    })
    harness.offer(rows(1, "a"))
    harness.pass(2_000)
    const due = harness.store.get("e", idOf(1))!.dueAtMs
    for (let n = 2; n < 12; n++) {
      harness.offer(rows(n, `b${n}`))
      harness.pass(1_000)
    }
    const row = harness.store.get("e", idOf(1))!
    assert.isAbove(row.attempts, 8)
    assert.deepStrictEqual([row.state, row.retries, row.dueAtMs], ["waiting", 0, due])
    harness.pass(60_000)
    assert.deepStrictEqual([harness.store.get("e", idOf(1))!.state, harness.store.get("e", idOf(1))!.retries], ["waiting", 1])
  })

  it("makes all that is parked due when an endpoint that was down accepts one", () => {
    let down = true
    const harness = new Harness({ settings: fast, otherwise: () => (down ? "NoAnswer" : "Ok") })
    harness.offer(rows(1, "a", "b", "c"))
    harness.pass(2_000)
    assert.strictEqual(harness.store.rows.size, 3)
    down = false
    harness.offer(rows(4, "d"))
    harness.pass(200)
    assert.strictEqual(harness.store.rows.size, 0)
  })

  it("drops what is for an endpoint without subscriptions, and goes on", () => {
    const harness = new Harness({ endpoints: [endpoint("e", { concurrency: 1 }), endpoint("f")] })
    harness.offer(rows(1, "a", "b"))
    harness.change("e", undefined)
    harness.pass(100)
    harness.offer(rows(3, "c"))
    harness.pass(100)
    assert.deepStrictEqual(harness.sent.filter((sent) => sent.endpoint === "e").map(({ id }) => id), [idOf(1)])
    assert.strictEqual(harness.sent.filter((sent) => sent.endpoint === "f").length, 3)
    assert.strictEqual(harness.position, 350)
  })

  it("sends to the new address at once, and closes the old connection when its requests ended", () => {
    const harness = new Harness()
    harness.offer(rows(1, "a"))
    harness.change("e", endpoint("e", { url: "http://new" }))
    harness.offer(rows(2, "b"))
    harness.pass(100)
    assert.deepStrictEqual(harness.sent.map(({ url }) => url), ["http://e", "http://new"])
    assert.strictEqual(harness.position, 250)
  })

  it("changes its order only when nothing is in the lanes, and loses nothing meanwhile", () => {
    const harness = new Harness()
    harness.offer(rows(1, "a", "b"))
    harness.change("e", endpoint("e", { order: "total" }))
    harness.offer(rows(3, "c", "d"))
    assert.deepStrictEqual(harness.ids, [idOf(1), idOf(2)])
    harness.pass(5)
    harness.mostFlying = 0
    harness.pass(500)
    assert.deepStrictEqual(harness.ids, [idOf(1), idOf(2), idOf(3), idOf(4)])
    assert.strictEqual(harness.mostFlying, 1)
    assert.strictEqual(harness.position, 450)
  })
})

describe("Notifier, what is parked under another order", () => {
  it("has one request in flight at a total endpoint, also with rows that kept the keys of before", () => {
    const paused = endpoint("e", { paused: true, concurrency: 8 })
    const harness = new Harness({ endpoints: [paused] })
    harness.offer(rows(1, "a", "b", "c"))
    harness.pass(100)
    harness.change("e", { ...paused, paused: false, order: "total" })
    harness.pass(500)
    assert.deepStrictEqual(harness.ids, [idOf(1), idOf(2), idOf(3)])
    assert.strictEqual(harness.mostFlying, 1)
  })
})

describe("Notifier, many parked keys", () => {
  it("is behind above the limit, and comes back to live", () => {
    let down = true
    const harness = new Harness({
      settings: { ...fast, parkedScheduleMs: [1_000, 1_000, 1_000], maxParkedKeys: 10 }, otherwise: () => (down ? "NoAnswer" : "Ok")
    })
    harness.offer(rows(1, ...numbers(20)))
    harness.pass(1_500)
    harness.offer(rows(100, "fresh"))
    harness.pass(50)
    // While it was live, an event stayed in the lanes for its live time.
    assert.deepStrictEqual(harness.segments.ids("e"), [idOf(100)])
    down = false
    harness.pass(5_000)
    assert.strictEqual(harness.store.rows.size, 0)
    harness.offer(rows(200, "live"))
    assert.strictEqual(harness.ids.at(-1), idOf(200))
  })

  it("holds a bounded part of its backlog in memory while it catches up", () => {
    const segments = new SimulatedSegments()
    const paused = new Harness({ segments, endpoints: [endpoint("e", { paused: true })] })
    for (let n = 1; n < 400; n += 20) {
      paused.offer(rows(n, ...numbers(20, `row${n}-`)))
      paused.pass(100)
    }
    assert.strictEqual(segments.ids("e").length, 400)
    const body = segments.waiting("e")[0]!.events[0]!.body.byteLength
    const harness = new Harness({ segments, position: 1_000_000, settings: { maxEndpointBytes: 40 * body }, latencyMs: 500 })
    harness.pass(400)
    assert.isBelow(harness.sent.length, 45)
    harness.pass(60_000)
    assert.strictEqual(harness.sent.length, 400)
    assert.isTrue(segments.isEmpty)
  })
})

describe("Notifier, after a start", () => {
  const parkedOnce = () => {
    const store = new SimulatedStore()
    const first = new Harness({ store, settings: fast, script: { [idOf(2)]: [{ status: 404 }] } })
    first.offer(rows(1, "a", "b"))
    first.pass(100)
    first.close()
    assert.deepStrictEqual(store.ofEndpoint("e").map(({ id }) => id), [idOf(2)])
    return store
  }

  it("skips what was parked before, gives it its number, and keeps its attempts", () => {
    const store = parkedOnce()
    const harness = new Harness({ store, settings: fast })
    harness.offer(rows(1, "a", "b", "b", "c"))
    harness.pass(100)
    assert.deepStrictEqual(harness.sent.map(({ id, sequence }) => [id, sequence]), [[idOf(1), 1], [idOf(4), 4]])
    assert.strictEqual(store.get("e", idOf(2))?.attempts, 1)
    assert.strictEqual(store.get("e", idOf(3))?.sequence, 3)
    assert.strictEqual(harness.position, 450)
  })

  it("holds the keys of what was parked below its start", () => {
    const store = parkedOnce()
    const harness = new Harness({ store, settings: fast, position: 250 })
    harness.offer(rows(3, "b", "c"))
    harness.pass(100)
    assert.deepStrictEqual(harness.ids, [idOf(4)])
    harness.pass(25_000)
    assert.deepStrictEqual(harness.ids, [idOf(4), idOf(2), idOf(3)])
  })

  it("feeds a row above its start only when the stream is there again", () => {
    const store = parkedOnce()
    const harness = new Harness({ store, settings: fast })
    harness.pass(60_000)
    assert.isEmpty(harness.sent)
    harness.offer(rows(1, "a"))
    harness.pass(60_000)
    assert.deepStrictEqual(harness.ids, [idOf(1)])
    harness.offer(rows(2, "b"))
    harness.pass(1_000)
    assert.deepStrictEqual(harness.ids, [idOf(1), idOf(2)])
    assert.strictEqual(store.rows.size, 0)
  })
})
