/**
 * A `.cpuprofile` in words: where the time went by part of the program and by function, and the parts over time.
 *
 * A sample counts for the part of the nearest function of ours above it, so what Node and native code do for a part is in it.
 * Those with none of ours above them are undici, effect or node; what Node's loader does is loading, whoever asked for it.
 */
import { readFileSync } from "node:fs"

interface Frame {
  readonly functionName: string
  readonly url: string
  /** From 0. */
  readonly lineNumber: number
}

interface Profile {
  readonly nodes: ReadonlyArray<{ readonly id: number; readonly callFrame: Frame; readonly children?: ReadonlyArray<number> }>
  readonly samples: ReadonlyArray<number>
  /** µs before each sample. */
  readonly timeDeltas: ReadonlyArray<number>
}

const IDLE = "idle"

const OURS: ReadonlyArray<readonly [part: string, pattern: RegExp]> = [
  ["reading, framing", /layers\/postgres\/replication\//],
  ["order, settlement", /(?:src|dist)\/domain\/(?:Order|Settlement|Parked|Known|ByValue)/],
  ["segments", /(?:src|dist)\/domain\/Segment|layers\/postgres\/store\/Segment|layers\/pipeline\/notifier\/Segment/],
  ["decode, body, keys", /(?:src|dist)\/domain\//],
  ["rows in the store", /layers\/pipeline\/notifier\/(?:ParkWriter|Feed|TableSide|LoadWaiting)|layers\/postgres\/store\/(?:Parked|Dead)/],
  ["notifier", /layers\/pipeline\/notifier\//],
  ["pipeline", /layers\/pipeline\//],
  ["connecting", /layers\/http\/connecting/],
  ["requests", /layers\/http\//],
  ["Postgres clients", /layers\/postgres\/|sql-pg/],
  ["the rest of ours", /^(?:file:|\/)(?!.*\/node_modules\/)/]
]
const LOADER: readonly [part: string, pattern: RegExp] = ["loading modules", /^node:internal\/modules\//]
const OTHERS: ReadonlyArray<readonly [part: string, pattern: RegExp]> = [
  ["undici", /\/undici\//], ["effect", /\/(?:effect|@effect)\//], ["node", /^node:/]
]
const NATIVE = "native, system calls"
const BY_NAME: ReadonlyMap<string, string> = new Map([["(garbage collector)", "garbage collector"], ["(idle)", IDLE], ["(program)", NATIVE]])
/** What is in files, ours or installed: Node's own functions and native ones do not say for whom they work. */
const MODULE = /^(?:file:|\/)(?!.*\/node_modules\/effect\/)/
/** Functions in a table; ms of a row of the table over time. */
const TOP = 25
const STEP_MS = 250
/** Parts with less of the busy time have no column over time. */
const SHOWN_SHARE = 0.01

/** From the sample up to the root. */
const partOf = (chain: ReadonlyArray<Frame>): string => {
  const named = BY_NAME.get(chain[0]?.functionName ?? "")
  if (named !== undefined) return named
  for (const { url } of chain) {
    const found = url === "" ? undefined : [LOADER, ...OURS].find(([, pattern]) => pattern.test(url))
    if (found !== undefined) return found[0]
  }
  const other = OTHERS.find(([, pattern]) => chain.some(({ url }) => pattern.test(url)))
  return other?.[0] ?? NATIVE
}

const nameOf = ({ functionName, lineNumber, url }: Frame): string =>
  `${functionName || "(anonymous)"} ${url.replace(/^.*\/(?:node_modules|dist|src)\//, "")}${url === "" ? "" : `:${lineNumber + 1}`}`.trim()

const add = (map: Map<string, number>, key: string, us: number): void => void map.set(key, (map.get(key) ?? 0) + us)

interface Sums {
  readonly parts: ReadonlyMap<string, number>
  readonly self: ReadonlyMap<string, number>
  readonly total: ReadonlyMap<string, number>
  /** Of each step. */
  readonly steps: ReadonlyArray<ReadonlyMap<string, number>>
}

const sumsOf = ({ nodes, samples, timeDeltas }: Profile): Sums => {
  const frames = new Map(nodes.map((node) => [node.id, node.callFrame]))
  const parents = new Map(nodes.flatMap(({ children = [], id }) => children.map((child): [number, number] => [child, id])))
  const chains = new Map(nodes.map(({ id }) => {
    const chain: Array<Frame> = []
    for (let at: number | undefined = id; at !== undefined; at = parents.get(at)) chain.push(frames.get(at)!)
    return [id, { part: partOf(chain), self: nameOf(chain[0]!), ours: new Set(chain.filter(({ url }) => MODULE.test(url)).map(nameOf)) }]
  }))
  const [parts, self, total] = [new Map<string, number>(), new Map<string, number>(), new Map<string, number>()]
  const steps: Array<Map<string, number>> = []
  let at = 0
  samples.forEach((id, i) => {
    const us = timeDeltas[i]!
    const chain = chains.get(id)!
    at += us
    const step = Math.max(0, Math.floor(at / 1_000 / STEP_MS))
    while (steps.length <= step) steps.push(new Map())
    add(steps[step]!, chain.part, us)
    add(parts, chain.part, us)
    if (chain.part === IDLE) return
    add(self, chain.self, us)
    for (const name of chain.ours) add(total, name, us)
  })
  return { parts, self, total, steps }
}

const table = (head: ReadonlyArray<string>, rows: ReadonlyArray<ReadonlyArray<string>>): string =>
  [head, head.map(() => "---"), ...rows].map((cells) => `| ${cells.join(" | ")} |`).join("\n")

const largest = (map: ReadonlyMap<string, number>): ReadonlyArray<readonly [string, number]> => [...map].toSorted((a, b) => b[1] - a[1])

export interface Summary {
  /** Parts, and the functions with the most time of their own, and in all (those of ours and of libraries). */
  readonly short: string
  /** Parts in steps of `STEP_MS`. */
  readonly overTime: string
}

/** `events`: what the µs an event are divided by. All that the process did is in them, its start, too. */
export const summarise = (file: string, events?: number): Summary => {
  const { parts, self, steps, total } = sumsOf(JSON.parse(readFileSync(file, "utf8")) as Profile)
  const busy = [...parts].reduce((sum, [part, us]) => part === IDLE ? sum : sum + us, 0)
  const times = (of: string, map: ReadonlyMap<string, number>, most: number) => table(
    [of, "ms", "% of busy", ...(events === undefined ? [] : ["µs an event"])],
    largest(map).slice(0, most).map(([name, us]) => [
      name, (us / 1_000).toFixed(0), name === IDLE ? "" : (us / busy * 100).toFixed(1), ...(events === undefined ? [] : [(us / events).toFixed(2)])
    ]))
  const columns = largest(parts).filter(([part, us]) => part !== IDLE && us >= busy * SHOWN_SHARE).map(([part]) => part)
  const cells = (step: ReadonlyMap<string, number>) => {
    const shown = [IDLE, ...columns].map((part) => step.get(part) ?? 0)
    const rest = [...step.values()].reduce((sum, us) => sum + us, 0) - shown.reduce((sum, us) => sum + us, 0)
    return [...shown, rest].map((us) => (us / 1_000).toFixed(0))
  }
  return {
    short: [times("part", parts, parts.size), times("function: itself", self, TOP), times("function: with what it calls", total, TOP)].join("\n\n"),
    overTime: table(["from, ms", IDLE, ...columns, "others"], steps.map((step, n) => [String(n * STEP_MS), ...cells(step)]))
  }
}
