import { assert, describe, it } from "vitest"
import type { SegmentPart } from "../../../../src/domain/Segment.ts"
import { defaultLimits, SegmentLog } from "../../../../src/layers/postgres/store/SegmentLog.ts"

const limits = { ...defaultLimits, tableSegments: 3, tableBytes: 1000, idleBytes: 500, idleMs: 100 }
const part = (endpointId: string, events: number): SegmentPart => ({ endpointId, events, bytes: 1, epoch: "e", first: 0, last: 0 })
const logOf = () => new SegmentLog("1/s", "l", [{ number: 7, first: 1, end: undefined, segments: 0, bytes: 0 }], 1, 0)
const append = (log: SegmentLog, parts: ReadonlyArray<SegmentPart>, bytes = 10, nowMs = 0) => {
  const number = log.numberFor(`batch ${log.next}`)
  log.appended(number, parts, bytes, nowMs)
  return number
}

describe("what the writer of segments remembers", () => {
  it("a batch that failed keeps its number; another one gets the next", () => {
    const log = logOf()
    assert.strictEqual(log.numberFor("a"), 1)
    assert.strictEqual(log.numberFor("a"), 1)
    assert.strictEqual(log.numberFor("b"), 2)
  })

  it("a table is full by segments or bytes, or where there is none", () => {
    const log = logOf()
    assert.isFalse(log.isFull(limits))
    append(log, [part("a", 1)], 999)
    assert.isFalse(log.isFull(limits))
    append(log, [part("a", 1)], 1)
    assert.isTrue(log.isFull(limits))
    assert.isTrue(new SegmentLog("1/s", "l", [{ number: 7, first: 1, end: 5, segments: 0, bytes: 0 }], 5, 0).isFull(limits))
  })

  it("cursors move forward only, and end past the last event", () => {
    const log = logOf()
    append(log, [part("a", 2), part("b", 1)])
    append(log, [part("a", 3)])
    const to = (segment: number, index: number) => log.moves(new Map([["a", { segment, index }]]))
    assert.deepStrictEqual(to(1, 0), { moved: new Map(), finished: [] })
    assert.deepStrictEqual(to(2, 2), { moved: new Map([["a", { segment: 2, index: 2 }]]), finished: [] })
    assert.deepStrictEqual(to(2, 3), { moved: new Map(), finished: ["a"] })
    assert.deepStrictEqual(to(3, 0), { moved: new Map(), finished: ["a"] })
    assert.deepStrictEqual(log.moves(new Map([["c", { segment: 9, index: 0 }]])), { moved: new Map(), finished: [] })
    assert.deepStrictEqual([log.isPast("b", { segment: 1, index: 0 }), log.isPast("b", { segment: 1, index: 1 }), log.isPast("c", { segment: 0, index: 0 })], [false, true, true])
  })

  it("a table goes when the slowest has passed it; the last one when nothing waits and nothing comes, or it is large", () => {
    const log = logOf()
    append(log, [part("a", 1), part("b", 1)])
    log.tables[0]!.end = 2
    log.tables.push({ number: 8, first: 2, end: undefined, segments: 0, bytes: 0 })
    append(log, [part("a", 1)], 10, 50)
    assert.deepStrictEqual(log.passedTables, [])
    log.passed(new Map([["a", { segment: 2, index: 0 }]]), [])
    assert.deepStrictEqual(log.passedTables, [])
    log.passed(new Map(), ["b"])
    assert.deepStrictEqual(log.passedTables.map(({ number }) => number), [7])
    assert.isUndefined(log.idleTable(limits, 10_000))
    log.passed(new Map(), ["a"])
    assert.isUndefined(log.idleTable(limits, 149))
    assert.strictEqual(log.idleTable(limits, 150)?.number, 8)
    log.tables[1]!.bytes = 500
    assert.strictEqual(log.idleTable(limits, 50)?.number, 8)
  })
})
