import { assert, it } from "vitest"
import { isBefore, placeIn } from "../../../src/domain/Segment.ts"

it("a cursor says from which place on a segment waits: all of a later one, none of an earlier one", () => {
  const cursor = { segment: 7, index: 3 }
  assert.deepStrictEqual([6, 7, 8].map((segment) => placeIn(cursor, segment)), [undefined, 3, 0])
  assert.isUndefined(placeIn(undefined, 7))
})

it("cursors are in the order of segments, then of places", () => {
  const at = (segment: number, index: number) => ({ segment, index })
  assert.isTrue(isBefore(at(1, 9), at(2, 0)))
  assert.isTrue(isBefore(at(2, 0), at(2, 1)))
  for (const other of [at(2, 1), at(2, 0), at(1, 9)]) assert.isFalse(isBefore(at(2, 1), other))
})
