import * as Ranges from "../../src/domain/Ranges.ts"

/** Any numbers, in any order, as ranges. */
export const fromNumbers = (numbers: Iterable<number>): Ranges.Ranges =>
  Ranges.fromRanges(Array.from(numbers, (n) => ({ first: n, last: n })))
