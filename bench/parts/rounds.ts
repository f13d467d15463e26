/**
 * Runs a scenario: its arms in turn, round by round, each second round backwards; the control arm once more in each round.
 */
import { loadavg } from "node:os"
import { type Bench, type Bound, holds, type Metrics, type Scenario } from "./Scenario.ts"
import { median, spread, type Spread } from "./stats.ts"

export interface Compared {
  readonly metric: string
  readonly of: string
  readonly to: string
  readonly ratio: Spread
  readonly goal?: Bound
  /** Absent: there is no goal. */
  readonly met?: boolean
  readonly warning?: boolean
}

export interface Limited extends Bound {
  readonly arm: string
  readonly metric: string
  readonly value: number
  readonly met: boolean
}

export interface Result {
  readonly name: string
  readonly about: string
  /** When it began, ISO. */
  readonly date: string
  /** Load average (1 min) before and after: what else ran on the machine, and we. */
  readonly load: readonly [number, number]
  readonly rounds: number
  /** Medians by arm. */
  readonly arms: Readonly<Record<string, Metrics>>
  readonly compared: ReadonlyArray<Compared>
  readonly limits: ReadonlyArray<Limited>
  /** The ratios of one arm against itself, by its first metric. */
  readonly control?: { readonly arm: string; readonly metric: string; readonly ratio: Spread }
}

const AGAIN = " (again)"
const shown = ["eventsPerSecond", "cpuUs", "cpuUsARequest", "peakMib", "p50Us", "p99Us", "share", "startMs", "stopMs", "flat"]

const inWords = (metrics: Metrics): string =>
  shown.filter((name) => metrics[name] !== undefined).map((name) => `${name} ${metrics[name]!.toPrecision(4)}`).join(", ")

const medians = (runs: ReadonlyArray<Metrics>): Metrics =>
  Object.fromEntries(Object.keys(runs[0] ?? {}).map((name) => [name, median(runs.map((run) => run[name]!))]))

export const runScenario = async (bench: Bench, scenario: Scenario, rounds: number, print: (line: string) => void): Promise<Result> => {
  const date = new Date().toISOString()
  const before = loadavg()[0]!
  const count = Math.min(rounds, scenario.maxRounds ?? rounds)
  const prepared = await scenario.prepare(bench)
  const runs = new Map<string, Array<Metrics>>()
  try {
    const arms = prepared.arms.flatMap((arm) => arm.name === scenario.control && count > 1 ? [arm, { ...arm, name: arm.name + AGAIN }] : [arm])
    for (let round = 0; round < count; round++) {
      for (const { measure, name } of round % 2 === 0 ? arms : arms.toReversed()) {
        bench.say(`${scenario.name}: round ${round + 1} of ${count}, ${name}`)
        bench.profiles?.begin(scenario.name, name)
        const metrics = await measure()
        bench.profiles?.end(metrics["events"])
        runs.set(name, [...runs.get(name) ?? [], metrics])
        print(`${scenario.name}, round ${round + 1} of ${count}, ${name}: ${inWords(metrics)}`)
      }
    }
  } finally {
    await prepared.end()
  }
  const of = (arm: string, metric: string) => runs.get(arm)!.map((run) => run[metric] ?? Number.NaN)
  const ratios = (a: ReadonlyArray<number>, b: ReadonlyArray<number>) => spread(a.map((value, i) => value / b[i]!))
  const compared = prepared.comparisons.map(({ goal, metric, of: arm, to, toMetric = metric, warn }): Compared => {
    const ratio = ratios(of(arm, metric), of(to, toMetric))
    return {
      metric, of: arm, to, ratio, ...(goal === undefined ? {} : { goal, met: holds(ratio.median, goal) }),
      ...(warn === undefined ? {} : { warning: !holds(ratio.median, warn) })
    }
  })
  const limits = (prepared.limits ?? []).map((limit): Limited => {
    const value = median(of(limit.arm, limit.metric))
    return { ...limit, value, met: holds(value, limit) }
  })
  const arm = scenario.control
  const metric = prepared.comparisons[0]?.metric ?? "eventsPerSecond"
  return {
    name: scenario.name, about: scenario.about, date, load: [before, loadavg()[0]!], rounds: count,
    arms: Object.fromEntries([...runs].filter(([name]) => !name.endsWith(AGAIN)).map(([name, list]) => [name, medians(list)])), compared, limits,
    ...(arm === undefined || count < 2 ? {} : { control: { arm, metric, ratio: ratios(of(arm + AGAIN, metric), of(arm, metric)) } })
  }
}
