/** Pages of two lists, each looked through a few places at a time: all of both, once, in order. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { compare, merge, type Part, type Position } from "../../../src/domain/Merge.ts"

interface Event {
  readonly endpointId: string
  readonly id: string
}

const between = (minimum: number, maximum: number) => Schema.Int.pipe(Schema.check(Schema.isBetween({ minimum, maximum })))
const numbers = Schema.Array(between(1, 60))
const position = (n: number): Position => ({ commitLsn: n, ordinal: 0, endpointId: "e", id: `id-${n}` })

/** Looks at `step` places from `start` on (its index in the list); every third number does not match. */
const partOf = (list: ReadonlyArray<number>, start: number, step: number, limit: number): Part<Event, number> => {
  const found: Array<Part<Event, number>["found"][number]> = []
  for (let at = start; at < list.length; at++) {
    const n = list[at]!
    if (n % 3 !== 0) found.push({ item: { endpointId: "e", id: `id-${n}` }, position: position(n), place: at + 1 })
    if (found.length === limit || at + 1 === start + step) return { found, start, looked: { position: position(n), place: at + 1 } }
  }
  return { found, start, looked: undefined }
}

describe("pages of two lists", () => {
  const inputs = { a: numbers, b: numbers, stepA: between(1, 9), stepB: between(1, 9), limit: between(1, 7), newest: Schema.Boolean }
  it.effect.prop("have all of both, in order, each once", inputs, ({ a, b, limit, newest, stepA, stepB }) =>
    Effect.sync(() => {
      const sorted = (list: ReadonlyArray<number>) => [...new Set(list)].sort((x, y) => (newest ? y - x : x - y))
      // In both: on its way. Only of one: the second list has those that the first has not.
      const [first, second] = [sorted(a), sorted(b.filter((n) => !a.includes(n)))]
      const seen: Array<number> = []
      let places: readonly [number, number] = [0, 0]
      for (let pages = 0; ; pages++) {
        assert.isBelow(pages, 200)
        const { items, next } = merge(partOf(first, places[0], stepA, limit), partOf(second, places[1], stepB, limit), limit, newest)
        assert.isAtMost(items.length, limit)
        seen.push(...items.map(({ id }) => Number(id.slice(3))))
        if (next === undefined) break
        places = next
      }
      assert.deepStrictEqual(seen, sorted([...first, ...second]).filter((n) => n % 3 !== 0))
    }), { arbitrary: { runs: 400 } })

  it("takes what is in both once, as the first has it", () => {
    const both = partOf([1, 2], 0, 9, 9)
    assert.deepStrictEqual(merge(both, both, 9, false).items.map(({ id }) => id), ["id-1", "id-2"])
    assert.isAbove(compare(position(2), position(1)), 0)
  })
})
