import { assert, describe, it } from "vitest"
import { commit, endpoint, Harness, idOf, insert, row, rows, undecodable } from "./Harness.ts"
import { Withdrawn } from "../../../src/layers/pipeline/notifier/Withdrawn.ts"
import { SimulatedSegments } from "../../support/SimulatedSegments.ts"
import { SimulatedStore } from "../../support/SimulatedStore.ts"

const slow = { retryInitialMs: 100, retryMaxMs: 400, parkAfterMs: 1_000, parkedScheduleMs: [60_000, 60_000], refusedScheduleMs: [60_000, 60_000] }
const one = [endpoint("e", { concurrency: 1 })]
const two = { e: ["x", "y"] }

describe("Notifier, a subscription that is removed", () => {
  it("starts no request after the answer, and settles what it had numbered", () => {
    const harness = new Harness({ endpoints: one, rows: { e: ["x"] } })
    harness.offer(rows(1, "a", "b", "c"))
    assert.isTrue(harness.unsubscribe("x").answered)
    harness.offer(rows(4, "d"))
    harness.pass(1_000)
    assert.deepStrictEqual(harness.ids, [idOf(1)])
    assert.strictEqual(harness.position, 450)
    assert.strictEqual(harness.updates.at(-1)?.counts.get("e")?.count, 4)
  })

  it("goes on with what another row selects, too", () => {
    const harness = new Harness({ endpoints: one, rows: two })
    harness.offer(rows(1, "a", "b"))
    harness.unsubscribe("x")
    harness.offer(rows(3, "c"))
    harness.pass(100)
    assert.deepStrictEqual(harness.ids, [idOf(1), idOf(2), idOf(3)])
    harness.unsubscribe("y")
    harness.offer(rows(4, "d"))
    harness.pass(100)
    assert.deepStrictEqual(harness.ids, [idOf(1), idOf(2), idOf(3)])
    assert.strictEqual(harness.position, 450)
  })

  it("does not try again what fails after the answer", () => {
    const harness = new Harness({ settings: slow, rows: { e: ["x"] }, otherwise: () => "NoAnswer" })
    harness.offer(rows(1, "a"))
    harness.unsubscribe("x")
    harness.pass(200_000)
    assert.deepStrictEqual(harness.ids, [idOf(1)])
    assert.strictEqual(harness.store.rows.size, 0)
    assert.strictEqual(harness.position, 150)
  })

  it("ends a pause between two attempts", () => {
    const harness = new Harness({ settings: slow, rows: { e: ["x"] }, otherwise: () => ({ status: 500 }) })
    harness.offer(rows(1, "a"))
    harness.pass(50)
    harness.unsubscribe("x")
    harness.pass(200_000)
    assert.deepStrictEqual(harness.ids, [idOf(1)])
    assert.strictEqual(harness.position, 150)
  })

  it("takes what is parked from the table long before it is due, and frees its keys", () => {
    const harness = new Harness({ settings: slow, rows: two, script: { [idOf(1)]: [{ status: 404 }] } })
    harness.offer(rows(1, "a"))
    harness.pass(100)
    harness.offer([insert(2, 0, "a"), commit(2, { upserted: [], removed: ["x"] })])
    harness.pass(100)
    assert.strictEqual(harness.store.rows.size, 2)
    harness.unsubscribe("y")
    harness.pass(100)
    assert.strictEqual(harness.store.rows.size, 0)
    harness.offer([commit(3, { upserted: [row("z", "e")], removed: ["y"] })])
    harness.offer(rows(4, "a"))
    assert.deepStrictEqual(harness.ids, [idOf(1), idOf(4)])
  })

  it("leaves in the table what another row selects, and its order", () => {
    const harness = new Harness({ settings: slow, rows: two, script: { [idOf(1)]: [{ status: 404 }] } })
    harness.offer(rows(1, "a", "a"))
    harness.pass(100)
    harness.unsubscribe("x")
    harness.pass(100)
    assert.strictEqual(harness.store.rows.size, 2)
    harness.pass(61_000)
    assert.deepStrictEqual(harness.ids, [idOf(1), idOf(1), idOf(2)])
  })

  it("drops what was on its way to the table", () => {
    const paused = endpoint("e", { paused: true })
    const harness = new Harness({ endpoints: [paused], rows: { e: ["x"] }, writeMs: 1_000 })
    harness.pass(2_000)
    harness.offer(rows(1, "a", "b"))
    harness.unsubscribe("x")
    harness.pass(3_000)
    assert.strictEqual(harness.position, 250)
    harness.change("e", { ...paused, paused: false })
    harness.pass(5_000)
    assert.isEmpty(harness.sent)
    assert.strictEqual(harness.store.rows.size, 0)
  })

  it("takes from the table what the feeder has in the lanes", () => {
    const paused = endpoint("e", { paused: true, concurrency: 1 })
    const harness = new Harness({ endpoints: [paused], rows: { e: ["x"] } })
    harness.offer(rows(1, "a", "b", "c"))
    harness.pass(100)
    harness.change("e", { ...paused, paused: false })
    harness.pass(5)
    assert.deepStrictEqual(harness.ids, [idOf(1)])
    harness.unsubscribe("x")
    harness.pass(1_000)
    assert.deepStrictEqual(harness.ids, [idOf(1)])
    assert.strictEqual(harness.store.rows.size, 0)
  })

  it("costs the hot path nothing once the stream has passed its removal", () => {
    const inForce = new Set(["x", "y"])
    const withdrawn = new Withdrawn(inForce)
    withdrawn.add(["x", "never there"])
    assert.strictEqual(withdrawn.size, 1)
    inForce.delete("x")
    withdrawn.forget(["x"])
    assert.strictEqual(withdrawn.size, 0)
    assert.deepStrictEqual([["x"], ["x", "y"], []].map((rows) => withdrawn.isGone(rows)), [true, false, false])
  })

  it("lets what waited behind it go", () => {
    const harness = new Harness({
      settings: slow, endpoints: one, rows: { e: ["x"] }, script: { [idOf(1)]: [{ status: 500 }] }
    })
    harness.offer([insert(1, 0, "a"), commit(1, { upserted: [row("y", "e")], removed: [] })])
    harness.offer(rows(2, "a", "b"))
    harness.pass(50)
    harness.unsubscribe("x")
    assert.deepStrictEqual(harness.ids, [idOf(1), idOf(3), idOf(2)])
    harness.pass(1_000)
    assert.strictEqual(harness.sent.length, 3)
    assert.strictEqual(harness.position, 350)
  })

  it("is withdrawn when its removal arrives in the stream, without anybody who asked", () => {
    const harness = new Harness({ endpoints: one, rows: { e: ["x"] } })
    harness.offer([...rows(1, "a", "b"), commit(3, { upserted: [], removed: ["x"] })])
    harness.pass(100)
    assert.deepStrictEqual(harness.ids, [idOf(1)])
    assert.strictEqual(harness.position, 350)
  })

  it("that comes back with the same key counts from its place in the stream", () => {
    const harness = new Harness({ rows: { e: ["x"] } })
    harness.unsubscribe("x")
    harness.offer(rows(1, "a"))
    harness.offer([commit(2, { upserted: [{ ...row("x2", "e"), url: "x" }], removed: ["x"] }), ...rows(3, "b")])
    harness.pass(100)
    assert.deepStrictEqual(harness.sent.map(({ id, sequence }) => [id, sequence]), [[idOf(3), 2]])
  })

  it("before the stream has brought it is never in force", () => {
    const harness = new Harness({ rows: { e: ["x"] } })
    harness.unsubscribe("late")
    harness.offer([commit(1, { upserted: [row("late", "e")], removed: ["x"] }), ...rows(2, "a")])
    harness.pass(100)
    assert.isEmpty(harness.sent)
    assert.strictEqual(harness.position, 250)
  })

  it("withdraws what cannot be decoded, too", () => {
    const harness = new Harness({ rows: { e: ["x"] } })
    harness.unsubscribe("x")
    harness.offer([undecodable(1, "public.orders"), commit(1)])
    harness.pass(100)
    assert.strictEqual(harness.store.rows.size, 0)
    assert.strictEqual(harness.position, 150)
  })

  it("reads on in segments when all that its lanes held was withdrawn", () => {
    const segments = new SimulatedSegments()
    const first = new Harness({ segments, endpoints: [endpoint("e", { paused: true })], rows: { e: ["x"] } })
    first.offer(rows(1, "a", "b", "c", "d"))
    first.offer([commit(5, { upserted: [row("y", "e")], removed: [] })])
    first.offer(rows(6, "e"))
    first.pass(100)
    first.close()
    const harness = new Harness({
      segments, position: 650, counts: new Map([["e", { count: 5, epoch: "before" }]]), endpoints: one, rows: two,
      settings: { ...slow, parkAfterMs: 60_000, maxEndpointBytes: 30 }, script: Object.fromEntries([1, 2, 3, 4].map((n) => [idOf(n), Array.from({ length: 100 }, () => ({ status: 500 }))]))
    })
    harness.pass(50)
    assert.notInclude(harness.ids, idOf(6))
    harness.unsubscribe("x")
    harness.pass(1_000)
    assert.include(harness.ids, idOf(6))
  })
})

describe("Notifier, what was removed while it was away", () => {
  const parkedOnce = () => {
    const store = new SimulatedStore()
    const first = new Harness({ store, settings: slow, rows: { e: ["x"] }, script: { [idOf(1)]: [{ status: 404 }] } })
    first.offer(rows(1, "a"))
    first.pass(100)
    first.close()
    assert.strictEqual(store.rows.size, 1)
    return store
  }

  it("is withdrawn at once: in the stream, and in the table", () => {
    const store = parkedOnce()
    const harness = new Harness({ store, position: 150, settings: slow, rows: { e: ["x"] }, gone: ["x"] })
    harness.offer(rows(2, "a", "b"))
    harness.pass(200)
    assert.isEmpty(harness.sent)
    assert.strictEqual(store.rows.size, 0)
    assert.strictEqual(harness.position, 350)
  })

  it("is withdrawn also when the stream brings its event again", () => {
    const store = parkedOnce()
    const harness = new Harness({ store, settings: slow, rows: { e: ["x"] }, gone: ["x"] })
    harness.offer(rows(1, "a", "b"))
    harness.pass(200)
    assert.isEmpty(harness.sent)
    assert.strictEqual(store.rows.size, 0)
    assert.strictEqual(harness.updates.at(-1)?.counts.get("e")?.count, 2)
  })

  it("is withdrawn from the table when not even the definitions have it any more", () => {
    const store = parkedOnce()
    const harness = new Harness({ store, position: 150, settings: slow, rows: { e: ["y"] } })
    harness.pass(200)
    assert.strictEqual(store.rows.size, 0)
    harness.offer(rows(2, "a"))
    assert.deepStrictEqual(harness.ids, [idOf(2)])
  })
})

describe("Notifier, an endpoint that ends", () => {
  it("leaves no row in the table, dead ones neither", () => {
    const harness = new Harness({ settings: { ...slow, refusedScheduleMs: [] }, otherwise: () => ({ status: 404 }) })
    harness.offer(rows(1, "a"))
    harness.pass(100)
    assert.deepStrictEqual(harness.store.ofEndpoint("e").map(({ state }) => state), ["dead"])
    harness.change("e", undefined)
    harness.pass(100)
    assert.strictEqual(harness.store.rows.size, 0)
  })

  it("leaves no row that was on its way to the table", () => {
    const harness = new Harness({ endpoints: [endpoint("e", { paused: true })], writeMs: 500 })
    harness.pass(2_000)
    harness.offer(rows(1, "a"))
    harness.offer(rows(2, "b"))
    harness.change("e", undefined)
    harness.pass(5_000)
    assert.strictEqual(harness.store.rows.size, 0)
    assert.strictEqual(harness.position, 250)
  })

  it("before a start leaves none either, nor anything in segments", () => {
    const store = new SimulatedStore()
    const segments = new SimulatedSegments()
    const first = new Harness({ store, segments, settings: slow, script: { [idOf(1)]: [{ status: 404 }] } })
    first.offer(rows(1, "a"))
    first.pass(100)
    first.change("e", endpoint("e", { paused: true }))
    first.offer(rows(2, "b"))
    first.pass(100)
    first.close()
    assert.strictEqual(store.rows.size, 1)
    assert.strictEqual(segments.ids("e").length, 1)
    const harness = new Harness({ store, segments, position: 250, endpoints: [endpoint("f")] })
    harness.offer(rows(3, "b"))
    harness.pass(1_000)
    assert.strictEqual(store.rows.size, 0)
    assert.isTrue(segments.isEmpty)
    assert.strictEqual(harness.position, 350)
  })
})
