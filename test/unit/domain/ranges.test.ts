import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import * as Ranges from "../../../src/domain/Ranges.ts"
import { SeenNumbers } from "../../../src/domain/SeenNumbers.ts"
import { fromNumbers } from "../../support/numbers.ts"

const small = Schema.Int.pipe(Schema.check(Schema.isBetween({ minimum: 1, maximum: 60 })))
const numbers = Schema.Array(small)

const all = (ranges: Ranges.Ranges) => ranges.flatMap(({ first, last }) => Array.from({ length: last - first + 1 }, (_, i) => first + i))
const sorted = (set: Iterable<number>) => [...set].sort((a, b) => a - b)

describe("ranges", () => {
  it.effect.prop("are sets: union, difference, intersection, size, has", { a: numbers, b: numbers }, ({ a, b }) =>
    Effect.sync(() => {
      const [x, y] = [new Set(a), new Set(b)]
      const [p, q] = [fromNumbers(a), fromNumbers(b)]
      assert.deepStrictEqual(all(p), sorted(x))
      assert.deepStrictEqual(all(Ranges.fromRanges([...p, ...q])), sorted(new Set([...x, ...y])))
      assert.deepStrictEqual(all(Ranges.subtract(p, q)), sorted(x).filter((n) => !y.has(n)))
      assert.deepStrictEqual(all(Ranges.intersect(p, q)), sorted(x).filter((n) => y.has(n)))
      assert.strictEqual(Ranges.size(p), x.size)
      for (let n = 0; n <= 61; n++) assert.strictEqual(Ranges.has(p, n), x.has(n))
      for (const result of [p, Ranges.fromRanges([...p, ...q]), Ranges.subtract(p, q)]) {
        for (let i = 1; i < result.length; i++) assert.isAbove(result[i]!.first, result[i - 1]!.last + 1)
      }
    }), { arbitrary: { runs: 500 } })

  it("are written as a person would", () => {
    const ranges = fromNumbers([1, 2, 3, 7, 9, 10])
    assert.strictEqual(Ranges.format(ranges), "1-3, 7, 9-10")
    assert.strictEqual(Ranges.format(ranges, 1), "1-3 and 2 more ranges")
    assert.deepStrictEqual(Ranges.between(3, 2), [])
  })

  it("a range of a billion is one object", () => {
    const ranges = Ranges.subtract(Ranges.between(1, 1e9), fromNumbers([5e8]))
    assert.strictEqual(Ranges.size(ranges), 1e9 - 1)
    assert.strictEqual(ranges.length, 2)
  })
})

describe("numbers seen", () => {
  it.effect.prop("once and twice, in any order", { list: numbers }, ({ list }) =>
    Effect.sync(() => {
      const seen = new SeenNumbers()
      for (const n of list) assert.isTrue(seen.add(n))
      assert.deepStrictEqual(all(seen.seen(1)), sorted(new Set(list)))
      const twice = [...new Set(list)].filter((n) => list.filter((m) => m === n).length > 1)
      assert.deepStrictEqual(all(seen.seen(2)), sorted(twice))
      assert.strictEqual(seen.count, list.length)
    }), { arbitrary: { runs: 300 } })

  it("ranges go on over pages, and what is no number is not taken", () => {
    const seen = new SeenNumbers()
    for (let n = 65_000; n <= 140_000; n++) seen.add(n)
    assert.deepStrictEqual(seen.seen(1), [{ first: 65_000, last: 140_000 }])
    assert.deepStrictEqual([0, -1, 1.5, Number.NaN, 2 ** 60].map((n) => seen.add(n)), [false, false, false, false, false])
  })
})
