/** Ranges of numbers that outlive a simulated process. A write is durable some time before it returns. */
import * as Effect from "effect/Effect"
import { type RangeState, type SequenceRange, SequenceRanges, SequenceRangesError } from "../../src/services/SequenceRanges.ts"
import type { StoreTiming } from "./SimulatedStore.ts"

export class SimulatedRanges {
  readonly ranges: Array<SequenceRange> = []

  has(endpoint: string, number: number, state?: RangeState): boolean {
    return this.ranges.some((range) =>
      range.endpointId === endpoint && range.first <= number && number <= range.last && (state ?? range.state) === range.state)
  }

  /** Of one endpoint, in order, in short; those that follow each other are one. */
  of(endpoint: string): ReadonlyArray<string> {
    const all = this.ranges.filter(({ endpointId }) => endpointId === endpoint).sort((a, b) => a.first - b.first)
    const merged: Array<{ first: number; last: number; state: RangeState }> = []
    for (const { first, last, state } of all) {
      const before = merged.at(-1)
      if (before?.state === state && before.last + 1 >= first) before.last = Math.max(before.last, last)
      else merged.push({ first, last, state })
    }
    return merged.map(({ first, last, state }) => `${state} ${first}-${last}`)
  }

  service(sleep: (ms: number) => Effect.Effect<void>, timing: Pick<StoreTiming, "write" | "fails">): SequenceRanges["Service"] {
    return SequenceRanges.of({
      add: (_stream, ranges) =>
        Effect.suspend(() => {
          const fails = timing.fails()
          const [before, after] = timing.write()
          const failed = Effect.fail(new SequenceRangesError({ operation: "add", cause: "simulated" }))
          if (fails === "before") return Effect.andThen(sleep(before), failed)
          return Effect.flatMap(sleep(before), () => {
            this.ranges.push(...ranges.map((range) => ({ ...range })))
            return Effect.andThen(sleep(after), fails === "after" ? failed : Effect.void)
          })
        }),
      list: (_stream, endpoint, state) =>
        Effect.sync(() => this.ranges.filter((range) =>
          range.endpointId === (endpoint ?? range.endpointId) && range.state === (state ?? range.state)))
    })
  }
}
