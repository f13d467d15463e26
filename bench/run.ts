/**
 * `npm run bench`: scenarios that measure what a user gets, beside the limits of the machine in the same run.
 *
 *   npm run bench                                     all scenarios, five rounds
 *   npm run bench -- --only backlog-64,latency --rounds 7
 *   npm run bench -- --against /path/to/pgstream      the same for another program with our commands and API
 *   npm run bench -- growth [--only rows] [--most 1000000]
 *   npm run bench -- list
 *
 * --write: into docs/benchmarks.json and docs/benchmarks.md · --json FILE: elsewhere · --quick: short, for the smoke test ·
 * --scale 0.1: so much of each number of rows · --profile DIR: one round, with a CPU profile of each program that is
 * measured, and what it says in words · --bin FILE: ours (default bin/pgstream.cjs). Progress on stderr, the result on stdout. What has become worse is a warning, not a failure.
 */
import { writeFileSync } from "node:fs"
import { join, resolve } from "node:path"
import { parseArgs } from "node:util"
import { type PostgresServer, startServer } from "../test/support/PostgresServer.ts"
import { curves } from "./growth/all.ts"
import { runGrowth } from "./parts/Growth.ts"
import { machine } from "./parts/machine.ts"
import { Profiles } from "./parts/Profiles.ts"
import { progress } from "./parts/progress.ts"
import { empty, markdown, merge, read, type Report, summary, warnings } from "./parts/report.ts"
import { runScenario } from "./parts/rounds.ts"
import type { Bench } from "./parts/Scenario.ts"
import { endPrograms, type Receiver, startReceiver } from "./processes.ts"
import { scenarios } from "./scenarios/all.ts"

const { positionals, values } = parseArgs({
  allowPositionals: true,
  options: {
    only: { type: "string" }, rounds: { type: "string" }, against: { type: "string" }, bin: { type: "string" }, write: { type: "boolean", default: false },
    json: { type: "string" }, quick: { type: "boolean", default: false }, scale: { type: "string", default: "1" }, most: { type: "string" }, profile: { type: "string" }
  }
})
const mode = positionals[0] ?? "scenarios"
const root = join(import.meta.dirname, "..")
const files = { json: join(root, "docs/benchmarks.json"), markdown: join(root, "docs/benchmarks.md") }

/** Bad usage: one line, exit code 2. */
const refuse = (line: string): never => {
  process.stderr.write(`${line}\n`)
  process.exit(2)
}

const positive = (name: string, text: string): number => {
  const value = Number(text)
  return value > 0 && Number.isFinite(value) ? value : refuse(`--${name} must be a number above 0, and is "${text}".`)
}

const chosen = <A extends { readonly name: string }>(all: ReadonlyArray<A>): ReadonlyArray<A> => {
  if (values.only === undefined) return all
  return values.only.split(",").map((name) =>
    all.find((each) => each.name === name) ?? refuse(`--only ${name}: there is no such one. There are ${all.map((each) => each.name).join(", ")}.`))
}

if (!["scenarios", "growth", "list"].includes(mode)) refuse(`"${mode}" is unknown: it is nothing, growth or list.`)
if (values.profile !== undefined && values.write) refuse("--profile and --write: what is measured with the profiler on is no result.")
const rounds = Math.ceil(positive("rounds", values.rounds ?? (values.quick || values.profile !== undefined ? "1" : "5")))
const scale = positive("scale", values.scale)
const most = positive("most", values.most ?? (values.quick ? "100" : "1e12"))
/** Before a server is started: a refusal leaves none behind. */
const chosenCurves = mode === "growth" ? chosen(curves) : []
const chosenScenarios = mode === "scenarios" ? chosen(scenarios) : []
const line = progress()

let server: Promise<PostgresServer> | undefined
let receivers: Array<Receiver> = []
const endReceivers = () => {
  for (const receiver of receivers) receiver.stop()
  receivers = []
}
const bench: Bench = {
  server: () => server ??= startServer(),
  receiver: async (delayMs) => {
    const receiver = await startReceiver(delayMs)
    receivers.push(receiver)
    return receiver
  },
  programs: [
    { name: "ours", file: resolve(values.bin ?? process.env["PGSTREAM_BIN"] ?? join(root, "bin/pgstream.cjs")) },
    ...(values.against === undefined ? [] : [{ name: "against", file: resolve(values.against) }])
  ],
  quick: values.quick,
  size: (normal, quick) => values.quick ? quick : Math.max(1, Math.round(normal * scale)),
  say: line.say,
  ...(values.profile === undefined ? {} : { profiles: new Profiles(resolve(values.profile), (text) => void process.stdout.write(`${text}\n`)) })
}

const measured = async (): Promise<Report> => {
  let report = empty
  const where = { machine: machine(String((await bench.server()).version)), arguments: process.argv.slice(2).join(" ") }
  const keep = () => {
    if (values.json !== undefined) writeFileSync(values.json, `${JSON.stringify(report, undefined, 1)}\n`)
    if (!values.write) return
    const all = merge(read(files.json), report, [...scenarios, ...curves].map(({ name }) => name))
    writeFileSync(files.json, `${JSON.stringify(all, undefined, 1)}\n`)
    writeFileSync(files.markdown, markdown(all))
  }
  for (const each of chosenCurves) {
    line.scenario(each.name)
    const table = await runGrowth(bench, each, most, line.print)
    report = { ...report, growth: [...report.growth, { ...table, ...where }] }
    endReceivers()
    keep()
  }
  for (const each of chosenScenarios) {
    line.scenario(each.name)
    const result = await runScenario(bench, each, rounds, line.print)
    report = { ...report, results: [...report.results, { ...result, ...where }] }
    endReceivers()
    keep()
  }
  return report
}

/** An interrupted run leaves neither a server nor programs behind. */
let stopping = false
const interrupted = () => {
  stopping = true
  endPrograms()
  void Promise.resolve(server).then((started) => started?.stop()).finally(() => process.exit(130))
}
process.once("SIGINT", interrupted)
process.once("SIGTERM", interrupted)

if (mode === "list") {
  for (const { about, name } of [...scenarios, ...curves.map((curve) => ({ ...curve, name: `growth: ${curve.name}` }))]) process.stdout.write(`${name.padEnd(24)} ${about}\n`)
} else {
  try {
    const report = await measured()
    process.stdout.write(mode === "growth" ? markdown(report) : `\n${summary(report)}\n`)
    for (const warning of warnings(report)) process.stderr.write(`warning: ${warning}\n`)
  } catch (error) {
    // What was interrupted fails, of course.
    if (!stopping) throw error
    process.exitCode = 130
  } finally {
    endReceivers()
    endPrograms()
    await (await server)?.stop()
  }
}
