import { assert, describe, it } from "vitest"
import { commit, endpoint, Harness, idOf, insert, row, rows } from "./Harness.ts"

const batched = (more = {}) => endpoint("e", { batch: { maxEvents: 3, maxDelayMs: 200 }, ...more })

describe("Notifier, batches", () => {
  it("go when they are full, or when the first has waited for its time", () => {
    const harness = new Harness({ endpoints: [batched()] })
    harness.offer(rows(1, "a", "b", "c", "d"))
    assert.deepStrictEqual(harness.requests.map(({ id, items }) => [id, items]), [[`b-${idOf(1)}-3`, [idOf(1), idOf(2), idOf(3)]]])
    harness.pass(190)
    assert.strictEqual(harness.requests.length, 1)
    harness.pass(20)
    assert.deepStrictEqual(harness.requests.slice(1).map(({ id, items }) => [id, items]), [[`b-${idOf(4)}-1`, [idOf(4)]]])
    harness.pass(50)
    assert.strictEqual(harness.position, 450)
  })

  it("hold events of one key in order, and none whose key is in flight elsewhere", () => {
    const harness = new Harness({ endpoints: [batched()], latencyMs: 500 })
    harness.offer(rows(1, "a", "a", "b", "a", "c", "d"))
    assert.deepStrictEqual(harness.requests.map(({ items }) => items), [[idOf(1), idOf(2), idOf(3)], [idOf(5), idOf(6)]])
    harness.pass(490)
    assert.strictEqual(harness.requests.length, 2)
    harness.pass(300)
    assert.deepStrictEqual(harness.requests[2]?.items, [idOf(4)])
  })

  it("of a total endpoint are runs of the stream, one in flight", () => {
    const harness = new Harness({ endpoints: [batched({ order: "total" })] })
    harness.offer(rows(1, "a", "b", "c", "d", "e", "f"))
    assert.deepStrictEqual(harness.requests.map(({ items }) => items), [[idOf(1), idOf(2), idOf(3)]])
    harness.pass(300)
    assert.deepStrictEqual(harness.requests[1]?.items, [idOf(4), idOf(5), idOf(6)])
  })

  it("that fail are sent again one by one: only what is refused by itself is parked", () => {
    const settings = { refusedScheduleMs: [60_000], parkedScheduleMs: [60_000] }
    const harness = new Harness({
      endpoints: [batched()], settings, script: { [`b-${idOf(1)}-3`]: [{ status: 400 }], [idOf(2)]: [{ status: 400 }] }
    })
    harness.offer(rows(1, "a", "b", "c"))
    harness.pass(1_000)
    assert.deepStrictEqual(harness.requests.map(({ id }) => id), [`b-${idOf(1)}-3`, idOf(1), idOf(2), idOf(3)])
    assert.deepStrictEqual(harness.store.ofEndpoint("e").map(({ id }) => id), [idOf(2)])
    assert.strictEqual(harness.position, 350)
  })

  it("without an answer are tried again after a while, alone and in order", () => {
    const harness = new Harness({ endpoints: [batched({ order: "total" })], script: { [`b-${idOf(1)}-3`]: ["NoAnswer"] } })
    harness.offer(rows(1, "a", "b", "c"))
    harness.pass(5_000)
    assert.deepStrictEqual(harness.requests.map(({ id }) => id), [`b-${idOf(1)}-3`, idOf(1), idOf(2), idOf(3)])
    assert.isAtLeast(harness.requests[1]!.atMs, 200)
  })

  it("end when the endpoint gets single events again", () => {
    const harness = new Harness({ endpoints: [endpoint("e", { batch: { maxEvents: 10, maxDelayMs: 60_000 } })] })
    harness.offer(rows(1, "a", "b"))
    harness.pass(1_000)
    assert.isEmpty(harness.requests)
    harness.change("e", endpoint("e"))
    harness.pass(100)
    assert.deepStrictEqual(harness.requests.map(({ id }) => id), [idOf(1), idOf(2)])
  })

  it("are neither full nor due by events that were withdrawn while they gathered", () => {
    const some = new Harness({ endpoints: [batched()], rows: { e: ["x", "y"] } })
    some.offer([insert(1, 0, "a"), commit(1, { upserted: [], removed: ["y"] }), insert(2, 0, "b"), commit(2, { upserted: [row("y", "e")], removed: [] })])
    some.unsubscribe("x")
    some.offer(rows(3, "c"))
    some.pass(0)
    assert.isEmpty(some.requests)
    some.offer(rows(4, "d"))
    assert.deepStrictEqual(some.requests.map(({ items }) => items), [[idOf(1), idOf(3), idOf(4)]])

    const all = new Harness({ endpoints: [batched()], rows: { e: ["x"] } })
    all.offer([insert(1, 0, "a"), commit(1, { upserted: [row("z", "e")], removed: [] })])
    all.pass(150)
    all.unsubscribe("x")
    all.offer(rows(2, "b"))
    all.pass(190)
    assert.isEmpty(all.requests)
    all.pass(20)
    assert.deepStrictEqual(all.requests.map(({ items }) => items), [[idOf(2)]])
  })
})
