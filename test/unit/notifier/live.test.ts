/** What operators' tools ask of a Notifier that is open. */
import * as Effect from "effect/Effect"
import { assert, describe, it } from "vitest"
import { endpoint, Harness, idOf, rows } from "./Harness.ts"

const slow = { retryInitialMs: 100, retryMaxMs: 400, parkAfterMs: 1_000, parkedScheduleMs: [600_000], refusedScheduleMs: [600_000] }

/** What `DeliveryAdmin` does to a dead row. */
const makeWaiting = (harness: Harness, id: string) =>
  Effect.sync(() => {
    const row = harness.store.get("e", id)!
    harness.store.rows.set(`e ${id}`, { ...row, state: "waiting", dueAtMs: 0, retries: 0 })
  })

describe("Notifier, dead ones that are tried again", () => {
  const withDead = (order: "key" | "total" = "key") => {
    const harness = new Harness({
      endpoints: [endpoint("e", { order })], settings: { ...slow, refusedScheduleMs: [] }, script: { [idOf(1)]: [{ status: 404 }] }
    })
    harness.offer(rows(1, "a"))
    harness.pass(100)
    assert.strictEqual(harness.store.get("e", idOf(1))?.state, "dead")
    return harness
  }

  for (const order of ["key", "total"] as const) {
    it(`are sent at once, before what comes later with their key (${order})`, () => {
      const harness = withDead(order)
      const dead = harness.store.get("e", idOf(1))!
      harness.ask((live) => live.revive("e", [dead], Effect.andThen(harness.time.sleep(50), makeWaiting(harness, idOf(1)))))
      harness.offer(rows(2, "a"))
      harness.pass(3_000)
      assert.deepStrictEqual(harness.ids, [idOf(1), idOf(1), idOf(2)])
      assert.strictEqual(harness.store.rows.size, 0)
      assert.deepStrictEqual(harness.notices, ["first_dead_letter e", "first_dead_letter e is over"])
    })
  }

  it("are not taken for the last ones after a start, which does not count those of before", () => {
    const first = withDead()
    const { position, store } = first
    first.close()
    const counts = new Map([["e", { count: 1, epoch: "00112233aabbccdd" }]])
    const second = new Harness({ settings: { ...slow, refusedScheduleMs: [] }, store, position, counts, script: { [idOf(2)]: [{ status: 404 }] } })
    second.offer(rows(2, "b"))
    second.pass(100)
    second.ask((live) => live.revive("e", [store.get("e", idOf(2))!], makeWaiting(second, idOf(2))))
    second.pass(1_000)
    assert.deepStrictEqual(second.store.ofEndpoint("e").map(({ id, state }) => [id, state]), [[idOf(1), "dead"]])
    assert.deepStrictEqual(second.notices, ["first_dead_letter e"])
  })

  it("hold nothing when the write fails", () => {
    const harness = withDead()
    const dead = harness.store.get("e", idOf(1))!
    harness.ask((live) => Effect.ignore(live.revive("e", [dead], Effect.andThen(harness.time.sleep(50), Effect.fail("no")))))
    harness.pass(1_000)
    harness.offer(rows(2, "a"))
    harness.pass(100)
    assert.deepStrictEqual(harness.ids, [idOf(1), idOf(2)])
  })
})

describe("Notifier, retry now", () => {
  it("makes due what waits for hours, also behind an open breaker", () => {
    let down = true
    const harness = new Harness({
      settings: { ...slow, breakerFailures: 2, breakerPauseMs: 600_000, breakerPauseMaxMs: 600_000 }, otherwise: () => (down ? "NoAnswer" : "Ok")
    })
    harness.offer(rows(1, "a", "b"))
    harness.pass(5_000)
    assert.strictEqual(harness.store.rows.size, 2)
    down = false
    harness.pass(60_000)
    assert.strictEqual(harness.store.rows.size, 2)
    harness.ask((live) => live.retryNow("e"))
    harness.pass(1_000)
    assert.strictEqual(harness.store.rows.size, 0)
  })
})

describe("Notifier, deliveries that are erased", () => {
  it("are in the store alone while they are: nothing of them is sent any more, the rest goes on, and their keys are free", () => {
    const harness = new Harness({
      endpoints: [endpoint("e", { concurrency: 1 })], settings: slow, latencyMs: 300, script: { [idOf(1)]: [{ status: 404 }] }
    })
    harness.offer(rows(1, "a"))
    harness.pass(400)
    harness.offer(rows(2, "a", "b", "c", "d"))
    harness.pass(50)
    assert.deepStrictEqual(harness.ids, [idOf(1), idOf(3)])
    const asked = harness.ask((live) => live.purge("e", Effect.sync(() => {
      assert.strictEqual(harness.flying, 0)
      for (const id of [idOf(1), idOf(2), idOf(4)]) {
        assert.isDefined(harness.store.get("e", id), id)
        harness.store.rows.delete(`e ${id}`)
      }
    })))
    harness.offer(rows(6, "e"))
    assert.isFalse(asked.answered, "a request is in flight")
    harness.pass(3_000)
    assert.isTrue(asked.answered)
    harness.offer(rows(7, "a"))
    harness.pass(3_000)
    assert.deepStrictEqual([...harness.ids].sort(), [idOf(1), idOf(3), idOf(5), idOf(6), idOf(7)])
    assert.strictEqual(harness.store.rows.size, 0)
    harness.offer(rows(8, "a"))
    harness.pass(20)
    assert.strictEqual(harness.ids.at(-1), idOf(8), "live again")
  })
})
