/** Same contract as `SequenceRangesPg`; `test/suites/SequenceRangesSuite.ts` runs against both. Lives as long as the layer. */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { format } from "../../domain/StreamId.ts"
import { type SequenceRange, SequenceRanges } from "../../services/SequenceRanges.ts"

const text = (a: string, b: string): number => (a === b ? 0 : a < b ? -1 : 1)

const inOrder = (a: SequenceRange, b: SequenceRange): number =>
  text(a.endpointId, b.endpointId) || text(a.epoch, b.epoch) || text(a.state, b.state) || a.first - b.first

/** Sorted in; in order and merged out. */
const merged = (ranges: ReadonlyArray<SequenceRange>): Array<SequenceRange> => {
  const result: Array<SequenceRange> = []
  for (const range of ranges) {
    const before = result.at(-1)
    const joins = before !== undefined && before.endpointId === range.endpointId && before.epoch === range.epoch &&
      before.state === range.state && range.first <= before.last + 1
    if (joins) result[result.length - 1] = { ...before, last: Math.max(before.last, range.last) }
    else result.push(range)
  }
  return result
}

export const layer: Layer.Layer<SequenceRanges> = Layer.sync(SequenceRanges, () => {
  const streams = new Map<string, Array<SequenceRange>>()
  return SequenceRanges.of({
    add: (stream, ranges) =>
      Effect.sync(() => {
        const there = streams.get(format(stream)) ?? []
        streams.set(format(stream), merged([...there, ...ranges].sort(inOrder)))
      }),
    list: (stream, endpoint, state) =>
      Effect.sync(() =>
        (streams.get(format(stream)) ?? []).filter((range) =>
          range.endpointId === (endpoint ?? range.endpointId) && range.state === (state ?? range.state))
      )
  })
})
