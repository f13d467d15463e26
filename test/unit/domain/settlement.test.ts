import { assert, describe, it } from "vitest"
import * as Rules from "../../../src/domain/Rules.ts"
import { Settlement } from "../../../src/domain/Settlement.ts"
import type { Subscription } from "../../../src/domain/Subscription.ts"
import type { ShapesDelta } from "../../../src/domain/TableShape.ts"

const noCounts: ReadonlyArray<readonly [string, { readonly count: number; readonly epoch: string }]> = []
const count = (n: number) => [["e", { count: n, epoch: "x" }]] as const
const subscription = (id: string): Subscription => ({
  id, endpointId: "e", url: "", schema: "", table: "", eventTypes: [], createdAtUs: 0
})
const shapes = (entry: string): ShapesDelta => ({
  tables: new Map(), versions: new Map(), newIds: [],
  entries: [{ id: entry, version: 1, schema: "public", json: "{}", createdAt: "", lsn: 0 }]
})

describe("Settlement", () => {
  it("reports a position when everything before it is settled, in whatever order that happens", () => {
    const settlement = new Settlement(0, Rules.all)
    const [first, second] = [settlement.begin(), settlement.begin()]
    settlement.mark(first, 100, count(1), undefined, undefined)
    settlement.mark(second, 200, count(2), undefined, undefined)
    first.open++
    settlement.settle(first)
    assert.isFalse(settlement.settle(second))
    assert.isUndefined(settlement.next())
    assert.isTrue(settlement.settle(first))
    const delta = settlement.next()
    assert.strictEqual(delta?.position, 200)
    assert.strictEqual(delta?.counts.get("e")?.count, 2)
    assert.isUndefined(settlement.next())
  })

  it("says nothing of a chunk without a commit, and reports the next", () => {
    const settlement = new Settlement(0, Rules.all)
    const open = settlement.begin()
    assert.isFalse(settlement.settle(open))
    const end = settlement.begin()
    settlement.mark(end, 300, count(9), undefined, undefined)
    assert.isTrue(settlement.settle(end))
    assert.strictEqual(settlement.next()?.position, 300)
  })

  it("never goes back, and starts above its start", () => {
    const settlement = new Settlement(500, Rules.all)
    const old = settlement.begin()
    settlement.mark(old, 400, noCounts, undefined, undefined)
    assert.isFalse(settlement.settle(old))
    const keepalives = settlement.begin()
    settlement.mark(keepalives, 700, noCounts, undefined, undefined)
    settlement.mark(keepalives, 600, noCounts, undefined, undefined)
    settlement.settle(keepalives)
    assert.strictEqual(settlement.next()?.position, 700)
  })

  it("merges what a checkpoint has to store: the last of each definition, all entries", () => {
    const settlement = new Settlement(0, Rules.all)
    const ticket = settlement.begin()
    settlement.mark(ticket, 10, noCounts, { upserted: [subscription("a"), subscription("b")], removed: [] }, shapes("x1"))
    settlement.mark(ticket, 20, noCounts, { upserted: [], removed: ["a"] }, shapes("x2"))
    settlement.settle(ticket)
    const later = settlement.begin()
    settlement.mark(later, 30, noCounts, { upserted: [subscription("c")], removed: ["b"] }, undefined)
    settlement.settle(later)
    const delta = settlement.next()!
    assert.deepStrictEqual(delta.upserted.map(({ id }) => id), ["c"])
    assert.deepStrictEqual([...delta.removed].sort(), ["a", "b"])
    assert.deepStrictEqual(delta.shapes.entries.map(({ id }) => id), ["x1", "x2"])
  })

  it("says as its last word also what was taken and perhaps not stored, and what was stored no more", () => {
    const settlement = new Settlement(0, Rules.all)
    const settleAt = (position: number, id: string) => {
      const ticket = settlement.begin()
      settlement.mark(ticket, position, [[id, { count: position, epoch: "x" }]], undefined, undefined)
      settlement.settle(ticket)
    }
    settleAt(10, "stored")
    settlement.next()
    settleAt(20, "taken")
    const taken = settlement.next()!
    settleAt(30, "rest")
    const last = settlement.rest()!
    assert.strictEqual(last.position, 30)
    assert.deepStrictEqual([...last.counts.keys()], ["taken", "rest"])
    assert.deepStrictEqual([...taken.counts.keys()], ["taken"])
    assert.isUndefined(settlement.rest())
  })

  it("forgets settled tickets: its memory does not grow with the stream", () => {
    const settlement = new Settlement(0, Rules.all)
    for (let n = 1; n <= 10_000; n++) {
      const ticket = settlement.begin()
      settlement.mark(ticket, n, noCounts, undefined, undefined)
      settlement.settle(ticket)
    }
    const queue = (settlement as unknown as { readonly queue: ReadonlyArray<unknown> }).queue
    assert.isBelow(queue.length, 200)
    assert.strictEqual(settlement.next()?.position, 10_000)
  })
})
