/** Results as JSON, and as the tables of docs/benchmarks.md. Results of earlier runs stay until their scenario is run again. */
import { existsSync, readFileSync } from "node:fs"
import type { GrowthTable } from "./Growth.ts"
import type { Machine } from "./machine.ts"
import type { Compared, Limited, Result } from "./rounds.ts"
import type { Bound } from "./Scenario.ts"

type With<A> = A & { readonly machine: Machine; readonly arguments: string }

export interface Report {
  readonly results: ReadonlyArray<With<Result>>
  readonly growth: ReadonlyArray<With<GrowthTable>>
}

export const empty: Report = { results: [], growth: [] }

export const read = (file: string): Report => existsSync(file) ? JSON.parse(readFileSync(file, "utf8")) as Report : empty

const merged = <A extends { readonly name: string }>(before: ReadonlyArray<A>, now: ReadonlyArray<A>, order: ReadonlyArray<string>): ReadonlyArray<A> =>
  [...before.filter(({ name }) => now.every((each) => each.name !== name)), ...now].toSorted((a, b) => order.indexOf(a.name) - order.indexOf(b.name))

/** `order`: the names of all scenarios and curves, as the tables have them. */
export const merge = (before: Report, now: Report, order: ReadonlyArray<string>): Report => ({
  results: merged(before.results, now.results, order), growth: merged(before.growth, now.growth, order)
})

const NAMES: Readonly<Record<string, string>> = {
  eventsPerSecond: "events/s", requestsPerSecond: "requests/s", cpuUs: "client CPU, µs an event", cpuUsARequest: "client CPU, µs a request", peakMib: "peak RSS, MiB",
  bodyBytes: "body, bytes", twice: "twice", missing: "missing", p50Us: "p50, µs", p99Us: "p99, µs", wrongOrder: "wrong order", share: "share", offeredPerSecond: "offered, events/s", eventsARequest: "events a request", storeBytesAnEvent: "store, bytes an event", walBytesAnEvent: "WAL, bytes an event", events: "events", stopMs: "stop, ms",
  cpuNsAByte: "client CPU, ns a byte", mibPerSecond: "MiB/s", startMs: "start to first delivery, ms", rssMib: "RSS, MiB", flat: "RSS late / early", liveEventsPerSecond: "live: events/s", liveCpuUs: "live: client CPU, µs an event"
}
const nameOf = (metric: string): string => NAMES[metric] ?? metric

const number = (value: number): string =>
  !Number.isFinite(value) ? "–" : Math.abs(value) >= 1_000 ? Math.round(value).toLocaleString("en") : Math.abs(value) >= 100 ? value.toFixed(0)
    : Number.isInteger(value) ? String(value) : value.toFixed(Math.abs(value) >= 10 ? 1 : 2)

const bound = ({ atLeast, atMost }: Bound): string => atLeast === undefined ? atMost === undefined ? "" : `≤ ${number(atMost)}` : `≥ ${number(atLeast)}`

const table = (head: ReadonlyArray<string>, rows: ReadonlyArray<ReadonlyArray<string>>): ReadonlyArray<string> =>
  [`| ${head.join(" | ")} |`, `|${head.map(() => "---").join("|")}|`, ...rows.map((row) => `| ${row.join(" | ")} |`)]

/** With fewer rounds, or more load a core when it began, a ratio of rates is little more than chance. */
const CERTAIN = { rounds: 3, loadACore: 1.5 }

const certain = ({ load, machine, rounds }: With<Result>): boolean => rounds >= CERTAIN.rounds && load[0] <= CERTAIN.loadACore * machine.cores

/** In parentheses: not certain. */
const verdictOf = (met: boolean | undefined, sure: boolean): string => {
  if (met === undefined) return ""
  const text = met ? "met" : "**missed**"
  return sure ? text : `(${text})`
}

const comparedRow = (name: string, sure: boolean, { goal, metric, met, of, ratio, to }: Compared): ReadonlyArray<string> =>
  [name, `${nameOf(metric)}: ${of} / ${to}`, `**${ratio.median.toFixed(2)}**`, `${ratio.least.toFixed(2)} … ${ratio.most.toFixed(2)}`, goal === undefined ? "" : bound(goal), verdictOf(met, sure)]

const limitRow = (name: string, sure: boolean, limit: Limited): ReadonlyArray<string> =>
  [name, `${nameOf(limit.metric)}: ${limit.arm}`, `**${number(limit.value)}**`, "", bound(limit), verdictOf(limit.met, sure)]

/** Numbers at the receiver are in the table only when one is wrong. */
const told = ({ met, metric }: Limited): boolean => !met || metric !== "twice" && metric !== "missing"

const ratios = (results: ReadonlyArray<With<Result>>): ReadonlyArray<string> => table(
  ["scenario", "what", "median", "least … most", "goal", "", "rounds", "load"],
  results.flatMap((result) => {
    const { compared, limits, load, name, rounds } = result
    const sure = certain(result)
    const rows = [...compared.map((each) => comparedRow(name, sure, each)), ...limits.filter(told).map((each) => limitRow(name, sure, each))]
    return rows.map((row) => [...row, String(rounds), load[0].toFixed(0)])
  }))

const made = ({ arguments: given, date, load, machine }: With<{ readonly date: string; readonly load: readonly [number, number] }>): string =>
  `${date.slice(0, 16).replace("T", " ")} UTC, ${machine.cpu}, ${machine.cores} cores, ${machine.memoryGib} GiB, Node ${machine.node}, Postgres ${machine.postgres}, undici ${machine.undici}, commit ${machine.commit}${given === "" ? "" : `, \`${given}\``}, load ${load[0].toFixed(1)} before and ${load[1].toFixed(1)} after.`

const arms = (result: With<Result>): ReadonlyArray<string> => {
  const metrics = [...new Set(Object.values(result.arms).flatMap(Object.keys))]
  const { control } = result
  return [
    `### ${result.name}`, "", result.about, "",
    ...table(["arm", ...metrics.map(nameOf)], Object.entries(result.arms).map(([arm, values]) => [arm, ...metrics.map((metric) => values[metric] === undefined ? "" : number(values[metric]))])), "",
    `Medians of ${result.rounds}. ${made(result)}` + (control === undefined ? ""
      : ` Control, ${control.arm} against itself (${nameOf(control.metric)}): ${control.ratio.median.toFixed(2)} (${control.ratio.least.toFixed(2)} … ${control.ratio.most.toFixed(2)}).`), ""
  ]
}

const verdictsOf = ({ also = [], cost, verdict }: GrowthTable) => [{ cost, verdict }, ...also]

const grown = ({ cost, verdict: { allowed, from, grew, to, within } }: ReturnType<typeof verdictsOf>[number]): string =>
  `${within ? "Within n log n" : "**Worse than n log n**"}: ${nameOf(cost)} grew ${grew.toFixed(2)} times from ${from.toLocaleString("en")} to ${to.toLocaleString("en")} (allowed: ${allowed.toFixed(2)}).`

const growth = (result: With<GrowthTable>): ReadonlyArray<string> => {
  const metrics = [...new Set(result.rows.flatMap(({ metrics }) => Object.keys(metrics)))]
  return [
    `### ${result.name}`, "", result.about, "",
    ...table([result.of, ...metrics.map(nameOf)], result.rows.map(({ metrics: values, size }) => [size.toLocaleString("en"), ...metrics.map((metric) => number(values[metric] ?? Number.NaN))])), "",
    `${verdictsOf(result).map(grown).join(" ")} ${made(result)}`, ""
  ]
}

export const markdown = ({ growth: curves, results }: Report): string => [
  "# Benchmarks", "",
  "Written by `npm run bench -- --write` from `docs/benchmarks.json`; [bench/README.md](../bench/README.md) says how each figure is made.", "",
  "Postgres, receiver and client share the machine, so absolute figures say little: compare ratios, each of pairs in one run. *least … most* are those of",
  "single pairs. *Control* is one arm against itself: a ratio nearer to 1 than that is chance. The load (before each scenario) says what else ran;",
  `a verdict in parentheses is of fewer than ${CERTAIN.rounds} rounds or of a load above ${CERTAIN.loadACore} a core, and says little. CPU an event depends less on it. \`--scale\` in the`,
  "line below a table: so much of the rows that its sentence names.", "",
  ...(results.length === 0 ? [] : ["## Ratios and limits", "", ...ratios(results), "", "No number came twice or was missing at the receiver, where no row says so.", "", "## Scenarios", "", ...results.flatMap(arms)]),
  ...(curves.length === 0 ? [] : ["## How the cost grows", "", ...curves.flatMap(growth)])
].join("\n").trimEnd() + "\n"

/** What `--write` and the terminal say of what has become worse. */
export const warnings = ({ growth: curves, results }: Report): ReadonlyArray<string> => [
  ...results.flatMap(({ compared, limits, name }) => [
    ...compared.filter(({ warning }) => warning === true).map(({ metric, of, ratio, to }) => `${name}: ${nameOf(metric)} of ${of} is ${ratio.median.toFixed(2)} of ${to}`),
    ...limits.filter(({ met }) => !met).map(({ arm, metric, value, ...limit }) => `${name}: ${nameOf(metric)} of ${arm} is ${number(value)}, and should be ${bound(limit)}`)
  ]),
  ...curves.flatMap((curve) => verdictsOf(curve).filter(({ verdict }) => !verdict.within)
    .map(({ cost, verdict }) => `${curve.name}: ${nameOf(cost)} grew ${verdict.grew.toFixed(2)} times from ${verdict.from} to ${verdict.to}: worse than n log n`))
]

export const summary = ({ results }: Report): string => ratios(results).join("\n")
