/**
 * Sets of whole numbers as ranges: sorted, disjoint, not touching, both ends in them. A set of a billion numbers that
 * follow each other is one object.
 */
export interface Range {
  readonly first: number
  readonly last: number
}

export type Ranges = ReadonlyArray<Range>

export const empty: Ranges = []

const inOrder = (a: Range, b: Range): number => a.first - b.first

/** Any ranges, in any order, overlapping or not; those without a number in them are left out. */
export const fromRanges = (ranges: Iterable<Range>): Ranges => {
  const result: Array<{ first: number; last: number }> = []
  for (const { first, last } of [...ranges].filter((range) => range.first <= range.last).sort(inOrder)) {
    const before = result.at(-1)
    if (before !== undefined && first <= before.last + 1) before.last = Math.max(before.last, last)
    else result.push({ first, last })
  }
  return result
}

/** What is in `a` and not in `b`. */
export const subtract = (a: Ranges, b: Ranges): Ranges => {
  const result: Array<Range> = []
  let at = 0
  for (const range of a) {
    let { first } = range
    while (at < b.length && b[at]!.last < first) at++
    for (let i = at; i < b.length && b[i]!.first <= range.last; i++) {
      if (b[i]!.first > first) result.push({ first, last: b[i]!.first - 1 })
      first = Math.max(first, b[i]!.last + 1)
    }
    if (first <= range.last) result.push({ first, last: range.last })
  }
  return result
}

/** What is in both. */
export const intersect = (a: Ranges, b: Ranges): Ranges => subtract(a, subtract(a, b))

/** The numbers from `first` to `last`. */
export const between = (first: number, last: number): Ranges => (first <= last ? [{ first, last }] : [])

/** How many numbers. */
export const size = (ranges: Ranges): number => ranges.reduce((sum, { first, last }) => sum + last - first + 1, 0)

export const has = (ranges: Ranges, n: number): boolean => {
  let [low, high] = [0, ranges.length - 1]
  while (low <= high) {
    const middle = (low + high) >> 1
    if (ranges[middle]!.last < n) low = middle + 1
    else if (ranges[middle]!.first > n) high = middle - 1
    else return true
  }
  return false
}

/** `1-3, 7`; of more than `limit` ranges, how many more there are. */
export const format = (ranges: Ranges, limit = Infinity): string => {
  const shown = ranges.slice(0, limit).map(({ first, last }) => (first === last ? `${first}` : `${first}-${last}`))
  return ranges.length > limit ? `${shown.join(", ")} and ${ranges.length - limit} more ranges` : shown.join(", ")
}
