/** The contract of `SequenceRanges`, run once per implementation. */
import { assert, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import type * as Layer from "effect/Layer"
import { randomUUID } from "node:crypto"
import type { StreamId } from "../../src/domain/StreamId.ts"
import { type SequenceRange, SequenceRanges } from "../../src/services/SequenceRanges.ts"

let streams = 0
const newStream = (): StreamId => ({ systemIdentifier: "7000000000000000000", slotName: `ranges_${streams++}` })

const range = (endpointId: string, first: number, last: number, more: Partial<SequenceRange> = {}): SequenceRange => ({
  endpointId, epoch: "e1", state: "withdrawn", first, last, ...more
})
const ends = (ranges: ReadonlyArray<SequenceRange>) => ranges.map(({ first, last }) => [first, last])

export const suite = <E>(name: string, layer: Layer.Layer<SequenceRanges, E>) =>
  it.layer(layer, { timeout: "60 seconds", excludeTestServices: true })(`SequenceRanges (${name})`, (it) => {
    it.effect("ranges that touch or overlap become one, whenever they come", () =>
      Effect.gen(function*() {
        const ranges = yield* SequenceRanges
        const [stream, a] = [newStream(), randomUUID()]
        const added = (...pairs: ReadonlyArray<readonly [number, number]>) =>
          Effect.flatMap(ranges.add(stream, pairs.map(([first, last]) => range(a, first, last))), () => Effect.map(ranges.list(stream, a), ends))
        assert.deepStrictEqual(yield* added([10, 19], [1, 1], [5, 6]), [[1, 1], [5, 6], [10, 19]])
        assert.deepStrictEqual(yield* added([20, 29]), [[1, 1], [5, 6], [10, 29]])
        assert.deepStrictEqual(yield* added([12, 25]), [[1, 1], [5, 6], [10, 29]])
        assert.deepStrictEqual(yield* added([2, 2], [4, 4]), [[1, 2], [4, 6], [10, 29]])
        assert.deepStrictEqual(yield* added([3, 3]), [[1, 6], [10, 29]])
        assert.deepStrictEqual(yield* added([8, 8], [7, 7], [9, 9]), [[1, 29]])
        assert.deepStrictEqual(yield* added([31, 40], [35, 36], [2 ** 40, 2 ** 41]), [[1, 29], [31, 40], [2 ** 40, 2 ** 41]])
        assert.deepStrictEqual(yield* added([0, 2 ** 42]), [[0, 2 ** 42]])
        assert.deepStrictEqual(yield* added(), [[0, 2 ** 42]])
      }))

    it.effect("keeps streams, endpoints, epochs and states apart, and lists them in order", () =>
      Effect.gen(function*() {
        const ranges = yield* SequenceRanges
        const [stream, other, [a = "", b = ""]] = [newStream(), newStream(), [randomUUID(), randomUUID()].sort()]
        const all = [
          range(a, 1, 3, { state: "purged" }), range(a, 4, 6, { state: "suspended" }), range(a, 7, 9), range(a, 10, 12, { epoch: "e2" }), range(b, 13, 15)
        ]
        yield* ranges.add(stream, all.toReversed())
        yield* ranges.add(other, [range(a, 4, 4)])
        assert.deepStrictEqual(yield* ranges.list(stream, undefined), all)
        assert.deepStrictEqual(yield* ranges.list(stream, b), all.slice(4))
        assert.deepStrictEqual(yield* ranges.list(stream, undefined, "purged"), all.slice(0, 1))
        assert.deepStrictEqual(yield* ranges.list(stream, a, "withdrawn"), all.slice(2, 4))
        assert.deepStrictEqual(yield* ranges.list(stream, b, "suspended"), [])
        assert.deepStrictEqual(ends(yield* ranges.list(other, undefined)), [[4, 4]])
        assert.deepStrictEqual(yield* ranges.list(newStream(), undefined), [])
      }))

    it.effect("any order and any overlap come to the same", () =>
      Effect.gen(function*() {
        const ranges = yield* SequenceRanges
        const a = randomUUID()
        let seed = 7
        const random = (below: number) => (seed = (seed * 48_271) % 2_147_483_647) % below
        for (let run = 0; run < 20; run++) {
          const stream = newStream()
          const wanted = new Set<number>()
          for (let step = 0; step < 6; step++) {
            const batch = Array.from({ length: random(5) }, () => {
              const first = random(60)
              return range(a, first, first + random(8))
            })
            for (const { first, last } of batch) for (let n = first; n <= last; n++) wanted.add(n)
            yield* ranges.add(stream, batch)
            const found = yield* ranges.list(stream, a)
            assert.deepStrictEqual(found.flatMap(({ first, last }) => Array.from({ length: last - first + 1 }, (_, i) => first + i)), [...wanted].sort((x, y) => x - y))
            for (let i = 1; i < found.length; i++) assert.isAbove(found[i]!.first, found[i - 1]!.last + 1)
          }
        }
      }))
  })
