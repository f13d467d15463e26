import { assert, describe, it } from "vitest"
import { Segments } from "../../../src/services/Segments.ts"
import { SimulatedSegments } from "../../support/SimulatedSegments.ts"
import { commit, endpoint, Harness, idOf, insert, rows, undecodable } from "./Harness.ts"

const fast = { retryInitialMs: 100, retryMaxMs: 400, parkAfterMs: 1_000, parkedScheduleMs: [2_000, 4_000], refusedScheduleMs: [2_000, 4_000] }

describe("Notifier, live", () => {
  it("sends each event with its id, number and epoch, and settles the commit", () => {
    const harness = new Harness()
    harness.offer(rows(1, "a", "b"))
    harness.pass(50)
    assert.deepStrictEqual(harness.sent.map(({ id, sequence, epoch }) => [id, sequence, epoch]), [
      [idOf(1), 1, "00112233aabbccdd"], [idOf(2), 2, "00112233aabbccdd"]
    ])
    assert.strictEqual(harness.position, 250)
    assert.deepStrictEqual(harness.updates.at(-1)?.counts.get("e"), { count: 2, epoch: "00112233aabbccdd" })
  })

  it("goes on counting where the checkpoint was, and reports only counts that changed", () => {
    const counts = new Map([["e", { count: 41, epoch: "old" }]])
    const harness = new Harness({ counts, position: 50 })
    harness.offer([{ _tag: "Keepalive", walEnd: 90 }])
    harness.pass(10)
    assert.strictEqual(harness.position, 90)
    assert.strictEqual(harness.updates.at(-1)?.counts.size, 0)
    harness.offer(rows(1, "a"))
    harness.pass(50)
    assert.deepStrictEqual(harness.sent.map(({ sequence, epoch }) => [sequence, epoch]), [[42, "old"]])
    assert.deepStrictEqual(harness.updates.at(-1)?.counts.get("e"), { count: 42, epoch: "old" })
  })

  it("says nothing of a keepalive inside a transaction", () => {
    const harness = new Harness()
    harness.offer([insert(1, 0, "a"), { _tag: "Keepalive", walEnd: 99 }])
    harness.pass(50)
    assert.isEmpty(harness.updates)
    harness.offer([commit(1)])
    harness.pass(50)
    assert.strictEqual(harness.position, 150)
  })

  it("sends rows of different keys at once, up to the concurrency, and one key in order", () => {
    const harness = new Harness({ endpoints: [endpoint("e", { concurrency: 2 })] })
    harness.offer(rows(1, "a", "a", "b", "c"))
    assert.deepStrictEqual(harness.ids, [idOf(1), idOf(3)])
    harness.pass(200)
    assert.strictEqual(harness.mostFlying, 2)
    assert.isBelow(harness.ids.indexOf(idOf(1)), harness.ids.indexOf(idOf(2)))
    assert.strictEqual(harness.sent.length, 4)
  })

  it("sends one at a time to a total endpoint, whatever its concurrency", () => {
    const harness = new Harness({ endpoints: [endpoint("e", { order: "total", concurrency: 64 })] })
    harness.offer(rows(1, "a", "b", "c"))
    harness.pass(200)
    assert.strictEqual(harness.mostFlying, 1)
    assert.deepStrictEqual(harness.ids, [idOf(1), idOf(2), idOf(3)])
  })

  it("retries with a growing delay, then parks, and the table settles it", () => {
    const harness = new Harness({ settings: fast, script: { [idOf(1)]: ["NoAnswer", { status: 503 }, { status: 500 }, "NoAnswer"] } })
    harness.offer(rows(1, "a"))
    harness.pass(900)
    assert.deepStrictEqual(harness.sent.map(({ atMs }) => atMs), [0, 110, 320, 730])
    assert.strictEqual(harness.position, 150)
    const row = harness.store.get("e", idOf(1))
    assert.deepStrictEqual([row?.state, row?.attempts, row?.retries, row?.lastError], ["waiting", 4, 0, "timeout after 10 s"])
    harness.pass(2_100)
    assert.strictEqual(harness.sent.length, 5)
    assert.strictEqual(harness.store.rows.size, 0)
  })

  it("goes on retrying while the machine's clock is set back", () => {
    const harness = new Harness({ settings: { ...fast, parkedScheduleMs: [2_000, 4_000] }, script: { [idOf(1)]: ["NoAnswer", "NoAnswer", "NoAnswer", "NoAnswer"] } })
    harness.offer(rows(1, "a"))
    harness.pass(50)
    harness.time.setBackMs = 3_600_000
    harness.pass(1_000)
    assert.strictEqual(harness.sent.length, 4)
    assert.strictEqual(harness.position, 150)
    harness.pass(2_500)
    assert.strictEqual(harness.sent.length, 5)
    assert.strictEqual(harness.store.rows.size, 0)
  })

  it("waits as long as Retry-After says, and parks when that is beyond its live time", () => {
    const harness = new Harness({ settings: fast, script: { [idOf(1)]: [{ status: 429, retryAfterMs: 700 }] } })
    harness.offer(rows(1, "a"))
    harness.pass(1_000)
    assert.deepStrictEqual(harness.sent.map(({ atMs }) => atMs), [0, 710])
    const later = new Harness({ settings: fast, script: { [idOf(1)]: [{ status: 503, retryAfterMs: 9_000 }] } })
    later.offer(rows(1, "a", "b"))
    later.pass(1_000)
    assert.isAtLeast(later.store.get("e", idOf(1))!.dueAtMs, later.time.now + 7_000)
    assert.isTrue(later.sent.length === 2, "its second event was in flight already")
    later.offer(rows(3, "c"))
    later.pass(7_000)
    assert.deepStrictEqual([later.sent.length, later.segments.ids("e")], [2, [idOf(3)]])
    later.pass(3_000)
    assert.deepStrictEqual(later.ids.slice(2).sort(), [idOf(1), idOf(3)])
  })

  it("parks 3xx and 4xx at once, with what is behind them, and leaves other keys alone", () => {
    for (const status of [302, 400, 404]) {
      const harness = new Harness({ settings: fast, script: { [idOf(1)]: [{ status }] } })
      harness.offer(rows(1, "a", "a", "b"))
      harness.pass(100)
      harness.offer(rows(4, "a", "c"))
      harness.pass(100)
      assert.deepStrictEqual(harness.ids, [idOf(1), idOf(3), idOf(5)], `HTTP ${status}`)
      assert.deepStrictEqual(harness.store.ofEndpoint("e").map(({ id }) => id), [idOf(1), idOf(2), idOf(4)])
      assert.strictEqual(harness.position, 550)
      harness.pass(2_500)
      assert.deepStrictEqual(harness.ids.slice(3), [idOf(1), idOf(2), idOf(4)])
      assert.strictEqual(harness.store.rows.size, 0)
    }
  })

  it("keeps a dead one with its body, and its key is free again", () => {
    const refused = { status: 400 }
    const harness = new Harness({ settings: fast, script: { [idOf(1)]: [refused, refused, refused] } })
    harness.offer(rows(1, "a", "a"))
    harness.pass(8_000)
    const row = harness.store.get("e", idOf(1))
    assert.deepStrictEqual([row?.state, row?.attempts, row?.retries], ["dead", 3, 2])
    assert.isAbove(row!.body.byteLength, 0)
    assert.deepStrictEqual(harness.ids, [idOf(1), idOf(1), idOf(1), idOf(2)])
    harness.offer(rows(3, "a"))
    harness.pass(100)
    assert.strictEqual(harness.ids.at(-1), idOf(3))
  })

  it("records what cannot be decoded as dead for each endpoint that could select it, and goes on", () => {
    const harness = new Harness({ endpoints: [endpoint("e"), endpoint("f")] })
    harness.offer([undecodable(1, "public.orders"), commit(1), undecodable(2, "public.other"), commit(2), undecodable(3, undefined), commit(3), ...rows(4, "a")])
    harness.pass(100)
    assert.deepStrictEqual(harness.store.ofEndpoint("e").map(({ id, state, lastError, sequence }) => [id, state, lastError, sequence]), [
      [idOf(1), "dead", "frame over the limit", 1], [idOf(3), "dead", "frame over the limit", 2]
    ])
    assert.strictEqual(harness.store.ofEndpoint("f").length, 2)
    assert.deepStrictEqual(harness.sent.map(({ id, sequence }) => [id, sequence]), [[idOf(4), 3], [idOf(4), 3]])
    assert.strictEqual(harness.position, 450)
  })

  it("records an event as dead whose payload cannot be written, without its values", () => {
    const harness = new Harness()
    const broken = { ...insert(1, 0, "a"), newRow: () => { throw new RangeError("secret value") } }
    harness.offer([broken, commit(1), ...rows(2, "b")])
    harness.pass(100)
    assert.strictEqual(harness.store.get("e", idOf(1))?.state, "dead")
    assert.strictEqual(harness.store.get("e", idOf(1))?.lastError, "the payload cannot be written: RangeError")
    assert.deepStrictEqual(harness.ids, [idOf(2)])
    assert.strictEqual(harness.position, 250)
  })
})

describe("Notifier, bounds", () => {
  it("admits a chunk whole, then waits until an endpoint is below its bytes", () => {
    const harness = new Harness({ settings: { maxEndpointBytes: 2_000 }, latencyMs: 100 })
    const first = harness.offer([insert(1, 0, "a", 5_000), insert(1, 1, "b", 5_000), commit(1)])
    assert.isFalse(first.admitted)
    assert.strictEqual(harness.sent.length, 2)
    harness.pass(100)
    assert.isTrue(first.admitted)
  })

  it("counts a shared body once in the sum of all", () => {
    const endpoints = [endpoint("e"), endpoint("f"), endpoint("g")]
    const shared = new Harness({ endpoints, settings: { maxQueueBytes: 6_000 }, latencyMs: 100 })
    assert.isTrue(shared.offer([insert(1, 0, "a", 5_000), commit(1)]).admitted)
    const more = shared.offer([insert(2, 0, "b", 5_000), commit(2)])
    assert.isFalse(more.admitted)
    shared.pass(150)
    assert.isTrue(more.admitted)
    assert.strictEqual(shared.sent.length, 6)
  })

  it("writes an event once for all endpoints that are behind", () => {
    const kept: Array<readonly [id: string, body: string]> = []
    class Watched extends SimulatedSegments {
      override service(...options: Parameters<SimulatedSegments["service"]>) {
        const service = super.service(...options)
        return Segments.of({
          ...service,
          append: (stream, batch) => {
            for (const event of batch) kept.push([event.id, Buffer.from(event.body).toString()])
            return service.append(stream, batch)
          }
        })
      }
    }
    const endpoints = [endpoint("e", { paused: true }), endpoint("f", { paused: true }), endpoint("g")]
    const harness = new Harness({ endpoints, segments: new Watched() })
    harness.offer(rows(1, "a", "b"))
    harness.pass(100)
    assert.strictEqual(kept.length, 2, "once for both endpoints")
    for (const [, body] of kept) assert.isObject(JSON.parse(body))
    assert.strictEqual(harness.sent.length, 2)
  })

  it("holds what it may and no more while the store cannot be written, and loses nothing", () => {
    let down = true
    const harness = new Harness({
      endpoints: [endpoint("e", { paused: true })], settings: { maxEndpointBytes: 1_000 }, storeFails: () => down
    })
    const first = harness.offer([insert(1, 0, "a", 2_000), commit(1)])
    harness.pass(60_000)
    assert.isFalse(first.admitted)
    assert.isEmpty(harness.updates)
    down = false
    harness.pass(6_000)
    assert.isTrue(first.admitted)
    assert.strictEqual(harness.position, 150)
    assert.deepStrictEqual(harness.segments.ids("e"), [idOf(1)])
  })

  it("holds two megabytes of what goes to segments, however much an endpoint may hold", () => {
    let down = true
    const harness = new Harness({ endpoints: [endpoint("e", { paused: true })], storeFails: () => down })
    let n = 0
    let last = { admitted: true }
    while (last.admitted && n < 100) last = harness.offer([insert(++n, 0, `${n}`, 100_000), commit(n)])
    assert.strictEqual(n, Math.ceil(2 * 1_024 * 1_024 / 100_300))
    down = false
    harness.pass(6_000)
    assert.isTrue(last.admitted)
    assert.lengthOf(harness.segments.ids("e"), n)
  })

  it("holds no more than so many writes of what has no body, either", () => {
    let down = true
    const harness = new Harness({ storeFails: () => down })
    const transactions = Array.from({ length: 100_010 }, (_, i) => undecodable(i + 1, undefined))
    assert.isTrue(harness.offer(transactions.slice(0, 99_000)).admitted)
    assert.isFalse(harness.offer(transactions.slice(99_000)).admitted)
    down = false
    harness.pass(600_000)
    assert.isTrue(harness.offer([commit(100_011)]).admitted)
    harness.pass(1_000)
    assert.strictEqual(harness.position, 10_001_150)
  })
})

describe("Notifier, drain", () => {
  it("waits for what is in flight, starts nothing new, and leaves the rest unsettled", () => {
    const harness = new Harness({ endpoints: [endpoint("e", { concurrency: 1 })], latencyMs: 500 })
    harness.offer(rows(1, "a", "b"))
    const state = harness.drain()
    harness.pass(400)
    assert.isFalse(state.drained)
    harness.pass(200)
    assert.isTrue(state.drained)
    assert.deepStrictEqual(harness.ids, [idOf(1)])
    assert.strictEqual(harness.position, 0)
  })

  it("gives up after the grace period", () => {
    const harness = new Harness({ latencyMs: 60_000, settings: { graceMs: 3_000 } })
    harness.offer(rows(1, "a"))
    const state = harness.drain()
    harness.pass(2_900)
    assert.isFalse(state.drained)
    harness.pass(200)
    assert.isTrue(state.drained)
    harness.close()
    harness.pass(60_000)
    assert.isEmpty(harness.updates)
  })
})
