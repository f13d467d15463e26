/** What was erased above the checkpoint comes again after a start: it is neither sent nor kept, and its number stays as it was. */
import { assert, describe, it } from "vitest"
import { endpoint, Harness, idOf, rows } from "./Harness.ts"

const counts = (count: number) => new Map([["e", { count, epoch: "x" }]])
const purged = (first: number, last: number, epoch = "x") => ({ endpointId: "e", epoch, state: "purged" as const, first, last })
const world = (...ranges: ReadonlyArray<ReturnType<typeof purged>>) => (more: object = {}) => {
  const store = new Harness({ endpoints: [endpoint("e")], counts: counts(2), position: 0, ranges, ...more })
  store.offer(rows(1, "a", "b", "c", "d"))
  store.pass(1_000)
  return store
}

describe("Notifier, erased before a start", () => {
  it("passes what was erased, and settles it; what comes after has its number", () => {
    const harness = world(purged(1, 2), purged(4, 5), purged(6, 6, "of before"))()
    assert.deepStrictEqual(harness.sent.map(({ id, sequence }) => [id, sequence]), [[idOf(1), 3], [idOf(4), 6]])
    assert.strictEqual(harness.position, 450)
  })

  it("keeps it out of segments, too", () => {
    const harness = world(purged(4, 4))({ endpoints: [endpoint("e", { paused: true })] })
    assert.deepStrictEqual(harness.segments.ids("e"), [1, 3, 4].map((n) => idOf(n)))
  })
})
