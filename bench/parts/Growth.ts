/** How a cost grows: one size after the other, what each unit costs there, and whether that is within n log n. */
import { loadavg } from "node:os"
import type { Bench, Metrics } from "./Scenario.ts"

export interface Growth {
  readonly name: string
  /** What grows: "rows a transaction". */
  readonly of: string
  readonly about: string
  /** Ascending. */
  readonly sizes: ReadonlyArray<number>
  /** The metric of what one unit costs (or `perUnit` of it); within n log n it grows by the logarithm at most. */
  readonly cost: string
  /** Further metrics of which the same is asked. */
  readonly also?: ReadonlyArray<string>
  readonly prepare: (bench: Bench) => Promise<{ readonly measure: (size: number) => Promise<Metrics>; readonly end: () => Promise<void> }>
}

export interface GrowthTable {
  readonly name: string
  readonly of: string
  readonly about: string
  readonly date: string
  readonly load: readonly [number, number]
  readonly cost: string
  readonly rows: ReadonlyArray<{ readonly size: number; readonly metrics: Metrics }>
  readonly verdict: Verdict
  readonly also?: ReadonlyArray<{ readonly cost: string; readonly verdict: Verdict }>
}

export interface Verdict {
  /** By how much the cost of a unit grew from the cheapest size to a larger one, at worst, and between which. */
  readonly grew: number
  readonly from: number
  readonly to: number
  /** What n log n allows there, times `TOLERANCE`. */
  readonly allowed: number
  readonly within: boolean
}

/** For what a shared machine adds. */
const TOLERANCE = 1.5

export const verdict = (rows: ReadonlyArray<{ readonly size: number; readonly cost: number }>): Verdict => {
  let worst: Verdict = { grew: 1, from: rows[0]?.size ?? 0, to: rows[0]?.size ?? 0, allowed: TOLERANCE, within: true }
  for (const [i, from] of rows.entries()) {
    for (const to of rows.slice(i + 1)) {
      const grew = to.cost / from.cost
      const allowed = TOLERANCE * Math.log2(to.size + 2) / Math.log2(from.size + 2)
      if (grew / allowed > worst.grew / worst.allowed) worst = { grew, from: from.size, to: to.size, allowed, within: grew <= allowed }
    }
  }
  return worst
}

export const runGrowth = async (bench: Bench, growth: Growth, most: number, print: (line: string) => void): Promise<GrowthTable> => {
  const date = new Date().toISOString()
  const before = loadavg()[0]!
  const prepared = await growth.prepare(bench)
  const rows: Array<{ readonly size: number; readonly metrics: Metrics }> = []
  try {
    for (const size of growth.sizes.filter((size) => size <= most)) {
      bench.say(`${growth.name}: ${size.toLocaleString("en")} ${growth.of}`)
      bench.profiles?.begin(growth.name, String(size))
      const metrics = await prepared.measure(size)
      bench.profiles?.end(metrics["events"])
      rows.push({ size, metrics })
      print(`${growth.name}, ${size.toLocaleString("en")} ${growth.of}: ${Object.entries(metrics).map(([name, value]) => `${name} ${value.toPrecision(4)}`).join(", ")}`)
    }
  } finally {
    await prepared.end()
  }
  const { about, also = [], cost, name, of } = growth
  const verdictOf = (cost: string) => verdict(rows.map(({ metrics, size }) => ({ size, cost: metrics[cost]! })))
  return {
    name, of, about, date, load: [before, loadavg()[0]!], cost, rows, verdict: verdictOf(cost),
    ...(also.length === 0 ? {} : { also: also.map((cost) => ({ cost, verdict: verdictOf(cost) })) })
  }
}
