/**
 * Which event of golden's is which of ours: the longest common subsequence of their patterns (an event that may be
 * left over is left over rather than one that may not), and whether what differs from run to run maps one to one.
 */
import { pattern, tokens, type Data } from "./Payload.ts"

/** A place where the two sides differ: an event of one side, or one of each that stand for the same change. */
export interface Difference {
  readonly expected: Data | undefined
  readonly got: Data | undefined
  /** Events of each side before it. */
  readonly at: { readonly expected: number; readonly got: number }
}

export interface Alignment {
  readonly matched: ReadonlyArray<readonly [expected: Data, got: Data]>
  readonly differences: ReadonlyArray<Difference>
}

const SKIP = 1
/** Leaving over an event that may be costs less; matching always costs nothing. */
const CHEAP_SKIP = 0.001

type Step = readonly [expected: number, got: number]

/** Places of matched events on the cheapest way through both lists. */
const cheapest = (
  a: ReadonlyArray<string>, b: ReadonlyArray<string>, skipA: ReadonlyArray<number>, skipB: ReadonlyArray<number>
): ReadonlyArray<Step> => {
  const width = b.length + 1
  const cost = new Float64Array((a.length + 1) * width)
  for (let i = a.length; i >= 0; i--) {
    for (let j = b.length; j >= 0; j--) {
      if (i === a.length && j === b.length) continue
      let best = Infinity
      if (i < a.length) best = cost[(i + 1) * width + j]! + skipA[i]!
      if (j < b.length) best = Math.min(best, cost[i * width + j + 1]! + skipB[j]!)
      if (i < a.length && j < b.length && a[i] === b[j]) best = Math.min(best, cost[(i + 1) * width + j + 1]!)
      cost[i * width + j] = best
    }
  }
  const steps: Array<Step> = []
  let i = 0
  let j = 0
  while (i < a.length && j < b.length) {
    const here = cost[i * width + j]!
    if (a[i] === b[j] && here === cost[(i + 1) * width + j + 1]!) steps.push([i++, j++])
    else if (here === cost[(i + 1) * width + j]! + skipA[i]!) i++
    else j++
  }
  return steps
}

const standsFor = (a: Data, b: Data) => a.action === b.action && a.schema === b.schema && a.table === b.table

/** Left-over events between two matches, those that stand for the same change together. */
const between = (expected: ReadonlyArray<Data>, got: ReadonlyArray<Data>, at: Step): ReadonlyArray<Difference> => {
  const rest = got.map((data, n) => ({ data, n }))
  const found: Array<Difference> = expected.map((data, n) => {
    const other = rest.findIndex((one) => standsFor(one.data, data))
    const pair = other < 0 ? undefined : rest.splice(other, 1)[0]
    return { expected: data, got: pair?.data, at: { expected: at[0] + n, got: at[1] + (pair?.n ?? 0) } }
  })
  for (const { data, n } of rest) {
    found.push({ expected: undefined, got: data, at: { expected: at[0] + expected.length, got: at[1] + n } })
  }
  return found
}

/** `explained` says of an event that only one side has whether a rule would take it. */
export const align = (
  expected: ReadonlyArray<Data>, got: ReadonlyArray<Data>, explained: (difference: Difference) => boolean
): Alignment => {
  const none = { expected: 0, got: 0 }
  const steps = cheapest(
    expected.map(pattern), got.map(pattern),
    expected.map((data) => explained({ expected: data, got: undefined, at: none }) ? CHEAP_SKIP : SKIP),
    got.map((data) => explained({ expected: undefined, got: data, at: none }) ? CHEAP_SKIP : SKIP)
  )
  const differences: Array<Difference> = []
  let [i, j] = [0, 0]
  for (const [toI, toJ] of [...steps, [expected.length, got.length] as const]) {
    differences.push(...between(expected.slice(i, toI), got.slice(j, toJ), [i, j]))
    i = toI + 1
    j = toJ + 1
  }
  return { matched: steps.map(([a, b]) => [expected[a]!, got[b]!] as const), differences }
}

/** Bytes of a page of WAL, of a segment of it, and of the headers that begin them (xlog_internal.h). */
const PAGE = 8_192
const SEGMENT = 16 * 1_024 * 1_024
const [PAGE_HEADER, SEGMENT_HEADER] = [24, 40]

/** Where a record ends at the end of a page, the next one begins behind the header of the next page: the same place. */
const place = (lsn: string): string => {
  const [high, low] = lsn.split("/")
  const at = parseInt(low!, 16)
  if (at % PAGE !== 0) return lsn
  return `${high}/${(at + (at % SEGMENT === 0 ? SEGMENT_HEADER : PAGE_HEADER)).toString(16).toUpperCase()}`
}

/** Values of golden's that stand for two of ours, or two for one of ours; versions that are not the same. */
export const clashes = (matched: Alignment["matched"]): ReadonlyArray<string> => {
  const forward = new Map<string, string>()
  const backward = new Map<string, string>()
  const found = new Set<string>()
  for (const [expected, got] of matched) {
    const theirs = tokens(got)
    tokens(expected).forEach(({ kind, text }, n) => {
      const other = kind === "L" ? place(theirs[n]!.text) : theirs[n]!.text
      if (kind === "V") {
        if (text !== other) found.add(`version ${text} is ${other}`)
        return
      }
      const [a, b] = [`${kind} ${text}`, `${kind} ${other}`]
      const [b0, a0] = [forward.get(a), backward.get(b)]
      if (b0 !== undefined && b0 !== b) found.add(`golden's ${text} is ${other} here and ${b0.slice(2)} before`)
      if (a0 !== undefined && a0 !== a) found.add(`${other} is golden's ${text} here and ${a0.slice(2)} before`)
      forward.set(a, b)
      backward.set(b, a)
    })
  }
  return [...found]
}
