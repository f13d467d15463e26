/** A `.cpuprofile` in words: self time by part of the program, and the functions with the most of it, µs an event. */
import { readFileSync } from "node:fs"

interface Profile {
  readonly nodes: ReadonlyArray<{
    readonly id: number
    readonly callFrame: { readonly functionName: string; readonly url: string; readonly lineNumber: number }
  }>
  readonly samples: ReadonlyArray<number>
  readonly timeDeltas: ReadonlyArray<number>
}

const PARTS: ReadonlyArray<readonly [part: string, pattern: RegExp]> = [
  ["reading, framing (layers/postgres/replication)", /layers\/postgres\/replication\//],
  ["order, settlement (domain)", /src\/domain\/(?:Order|Settlement|Parked|Known)/],
  ["decode, body, keys (domain)", /src\/domain\//],
  ["notifier (layers/pipeline)", /layers\/pipeline\//],
  ["lanes, headers (layers/http)", /layers\/http\//],
  ["Postgres clients (layers/postgres)", /layers\/postgres\/|sql-pg/],
  ["undici", /\/undici\//],
  ["effect", /\/effect\//],
  ["node", /^node:/]
]
const TOP = 15

const partOf = (name: string, url: string): string => {
  if (name === "(garbage collector)") return "garbage collector"
  if (name === "(idle)") return "idle"
  if (name === "(program)") return "(program): native, system calls"
  return PARTS.find(([, pattern]) => pattern.test(url))?.[0] ?? "native and the rest"
}

/** `events`: what the figures are divided by. Start-up is in them. */
export const summarise = (file: string, events: number): string => {
  const { nodes, samples, timeDeltas } = JSON.parse(readFileSync(file, "utf8")) as Profile
  const frames = new Map(nodes.map((node) => [node.id, node.callFrame]))
  const parts = new Map<string, number>()
  const functions = new Map<string, number>()
  samples.forEach((id, i) => {
    const { functionName, lineNumber, url } = frames.get(id)!
    const part = partOf(functionName, url)
    const us = timeDeltas[i]!
    parts.set(part, (parts.get(part) ?? 0) + us)
    if (part === "idle") return
    const name = `${functionName || "(anonymous)"} ${url.replace(/^.*\/(?:node_modules|dist)\//, "")}:${lineNumber + 1}`
    functions.set(name, (functions.get(name) ?? 0) + us)
  })
  const rows = (map: ReadonlyMap<string, number>) =>
    [...map].toSorted((a, b) => b[1] - a[1]).map(([name, us]) => `| ${name} | ${(us / events).toFixed(2)} |`)
  const table = (of: string, lines: ReadonlyArray<string>) => [`| ${of} | µs an event |`, "|---|---|", ...lines]
  return [...table("part", rows(parts)), "", ...table("function", rows(functions).slice(0, TOP))].join("\n")
}
