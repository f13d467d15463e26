import { assert, describe, it } from "vitest"
import * as Rules from "../../../src/domain/Rules.ts"
import { Entry } from "../../../src/layers/pipeline/notifier/Entry.ts"
import { LaneList } from "../../../src/layers/pipeline/notifier/LaneList.ts"

const entry = (n: number): Entry =>
  new Entry("e", "", {
    id: `${n}`, body: Buffer.from("{}"), shared: undefined, slab: undefined, commitLsn: n, ordinal: 0, table: "public.orders", kind: "I"
  }, [], n, [], undefined, false)

describe("LaneList", () => {
  it("keeps nothing of what left it before it was sent", () => {
    const lanes = new LaneList(Rules.all)
    const entries = [1, 2, 3, 4].map(entry)
    for (const each of entries) lanes.enter(each)
    const first = lanes.nextReady()!
    first.where = "flying"
    for (const each of lanes.notFlying()) lanes.leave(each)
    lanes.leave(first)
    assert.deepStrictEqual([first.id, lanes.size, lanes.readyCount, lanes.hasReady], ["1", 0, 0, false])
    const next = entry(5)
    lanes.enter(next)
    assert.deepStrictEqual([lanes.readyCount, lanes.nextReady(), lanes.hasReady], [1, next, false])
  })
})
