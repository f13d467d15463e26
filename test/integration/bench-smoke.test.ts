/** The harness of `bench/` works: its arithmetic, and some scenarios of it, short. Nothing here says how fast anything is. */
import { spawn } from "node:child_process"
import { once } from "node:events"
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterAll, assert, beforeAll, describe, it } from "vitest"
import { verdict } from "../../bench/parts/Growth.ts"
import type { Machine } from "../../bench/parts/machine.ts"
import { empty, markdown, merge, type Report, warnings } from "../../bench/parts/report.ts"
import { runScenario } from "../../bench/parts/rounds.ts"
import type { Bench, Scenario } from "../../bench/parts/Scenario.ts"
import { Seen } from "../../bench/parts/Seen.ts"
import { median, quantile } from "../../bench/parts/stats.ts"
import { summarise } from "../../bench/profile.ts"
import { cleanEnv } from "../support/cli.ts"

const root = join(import.meta.dirname, "../..")
/** For a machine that does much else: alone it takes half a minute. */
const LIMIT_MS = 600_000
/** The commit's time is the server's, the receipt's is ours: so far may they be apart on one machine, µs. */
const CLOCKS_US = 1_000

describe("the arithmetic of the harness", () => {
  it("finds numbers that came twice, that did not come, and that came late", () => {
    const seen = new Seen()
    for (const number of [100_000, 100_001, 100_005, 100_003, 100_001]) seen.add(number)
    assert.deepStrictEqual([seen.twice, seen.missing, seen.backBy], [1, 2, 2])
  })

  it("knows medians and quantiles", () => {
    assert.deepStrictEqual([median([3, 1, 2]), median([4, 1, 2, 3]), quantile([0, 10], 0.99)], [2, 2.5, 9.9])
  })

  it("calls a curve worse than n log n when the cost of a unit grows by more than the logarithm", () => {
    const of = (cost: (size: number) => number) => verdict([1, 10, 100, 1_000, 10_000].map((size) => ({ size, cost: cost(size) })))
    assert.isTrue(of(() => 5).within)
    assert.isTrue(of((size) => Math.log2(size + 2)).within)
    assert.deepInclude(of(Math.sqrt), { within: false, from: 1, to: 10_000, grew: 100 })
    assert.isFalse(of((size) => size).within)
    // What falls first and grows later is found, too.
    assert.deepInclude(of((size) => Math.abs(size - 100) + 1), { within: false, from: 100, to: 10_000 })
  })

  const order: Array<string> = []
  const scenario = (ours: ReadonlyArray<number>): Scenario => {
    const arm = (name: string, values: ReadonlyArray<number>) => {
      const left = [...values]
      return { name, measure: async () => {
        order.push(name)
        return { eventsPerSecond: left.shift()!, missing: name === "ours" ? 1 : 0 }
      } }
    }
    return {
      name: "made-up", about: "Made up.", control: "bare",
      prepare: async () => ({
        arms: [arm("ours", ours), arm("bare", [100, 100, 100, 100, 100, 50])],
        comparisons: [{ metric: "eventsPerSecond", of: "ours", to: "bare", goal: { atLeast: 0.9 }, warn: { atLeast: 0.6 } }],
        limits: [{ arm: "ours", metric: "missing", atMost: 0 }], end: async () => {}
      })
    }
  }
  const bench: Bench = {
    server: () => Promise.reject(new Error("none is needed")), receiver: () => Promise.reject(new Error("none is needed")), programs: [], quick: true,
    size: (_, quick) => quick, say: () => {}
  }
  const machine: Machine = { cpu: "c", cores: 2, memoryGib: 4, node: "24", postgres: "15", undici: "8", commit: "abc" }

  it("takes arms in turn, compares pair by pair, and warns of what has become worse", async () => {
    const result = await runScenario(bench, scenario([50, 40, 70]), 3, () => {})
    assert.deepStrictEqual(order, ["ours", "bare", "bare", "bare", "bare", "ours", "ours", "bare", "bare"])
    assert.deepInclude(result.compared[0], { ratio: { median: 0.5, least: 0.4, most: 0.7 }, met: false, warning: true })
    // The one against itself: each round, in the order that it was run in.
    assert.deepStrictEqual(result.control, { arm: "bare", metric: "eventsPerSecond", ratio: { median: 1, least: 0.5, most: 1 } })
    const quiet = { ...result, load: [1, 1] as const, machine, arguments: "" }
    const report: Report = { results: [quiet], growth: [] }
    assert.deepStrictEqual(warnings(report), ["made-up: events/s of ours is 0.50 of bare", "made-up: missing of ours is 1, and should be ≤ 0"])
    assert.include(markdown(report), "| made-up | events/s: ours / bare | **0.50** | 0.40 … 0.70 | ≥ 0.90 | **missed** | 3 | 1 |")
    assert.include(markdown(report), "| made-up | missing: ours | **1** |  | ≤ 0 | **missed** | 3 | 1 |")
    assert.include(markdown({ ...report, results: [{ ...quiet, rounds: 2 }] }), "| ≥ 0.90 | (**missed**) | 2 | 1 |")
    assert.include(markdown({ ...report, results: [{ ...quiet, load: [9, 9] }] }), "| ≥ 0.90 | (**missed**) | 3 | 9 |")
    const later = { ...report.results[0]!, rounds: 7 }
    assert.deepStrictEqual(merge(report, { results: [later], growth: [] }, ["made-up"]).results, [later])
    assert.deepStrictEqual(merge(report, empty, ["made-up"]), report)
  })

  it("holds each cost of a curve to n log n", () => {
    const within = { grew: 1, from: 1, to: 10, allowed: 1.5, within: true }
    const growth = {
      name: "made-up", of: "things", about: "Made up.", date: "2026-11-24T12:00:00Z", load: [1, 1] as const, cost: "cpuUs", machine, arguments: "",
      rows: [{ size: 1, metrics: { cpuUs: 5, liveCpuUs: 5 } }], verdict: within, also: [{ cost: "liveCpuUs", verdict: { ...within, grew: 9, within: false } }]
    }
    const report: Report = { results: [], growth: [growth] }
    assert.deepStrictEqual(warnings(report), ["made-up: live: client CPU, µs an event grew 9.00 times from 1 to 10: worse than n log n"])
    assert.include(markdown(report), "Within n log n: client CPU, µs an event grew 1.00 times from 1 to 10 (allowed: 1.50). **Worse than n log n**: live: client CPU")
  })

  it("says of a profile what each part and function took, and when", () => {
    const file = join(mkdtempSync(join(tmpdir(), "pgstream-bench-profile-")), "one.cpuprofile")
    const frame = (functionName: string, url = "", lineNumber = -1) => ({ functionName, url, lineNumber })
    const nodes = [
      { id: 1, callFrame: frame("(root)"), children: [2, 3, 5, 8] },
      { id: 2, callFrame: frame("(idle)") },
      { id: 3, callFrame: frame("send", "file:///p/dist/src/layers/http/Wire.js", 9), children: [4] },
      // Named as what each object has.
      { id: 4, callFrame: frame("valueOf") },
      { id: 5, callFrame: frame("run", "file:///p/dist/src/main.js", 1), children: [6] },
      { id: 6, callFrame: frame("link", "node:internal/modules/esm/module_job", 7), children: [7] },
      { id: 7, callFrame: frame("compile") },
      { id: 8, callFrame: frame("onStreamRead", "node:internal/stream_base_commons", 5) }
    ]
    writeFileSync(file, JSON.stringify({ nodes, samples: [7, 2, 3, 4, 8], timeDeltas: [100_000, 200_000, 30_000, 10_000, 60_000] }))
    const { overTime, short } = summarise(file, 1_000)
    rmSync(join(file, ".."), { recursive: true })
    // Native code counts for who called it; the loader for itself, whoever asked.
    assert.include(short, "| requests | 40 | 20.0 | 40.00 |")
    assert.include(short, "| loading modules | 100 | 50.0 | 100.00 |")
    assert.include(short, "| idle | 200 |  | 200.00 |")
    assert.include(short, "| node | 60 | 30.0 | 60.00 |")
    assert.match(short, /itself[^]*\| valueOf \| 10 \|[^]*with what it calls[^]*\| send layers\/http\/Wire\.js:10 \| 40 \|/)
    assert.strictEqual(overTime.split("\n").slice(2).join("\n"), ["| 0 | 0 | 100 | 0 | 0 | 0 |", "| 250 | 200 | 0 | 60 | 40 | 0 |"].join("\n"))
  })
})

interface Ended {
  readonly code: number | null
  readonly stdout: string
  readonly stderr: string
}

const runWith = async (env: Readonly<Record<string, string>>, ...args: ReadonlyArray<string>): Promise<Ended> => {
  const child = spawn(process.execPath, [join(root, "bench/run.ts"), "--bin", join(root, "src/main.ts"), ...args], { env: { ...cleanEnv(), ...env }, stdio: ["ignore", "pipe", "pipe"] })
  let [stdout, stderr] = ["", ""]
  child.stdout.setEncoding("utf8").on("data", (text: string) => { stdout += text })
  child.stderr.setEncoding("utf8").on("data", (text: string) => { stderr += text })
  // It ends its server and programs when it is asked to end.
  const late = setTimeout(() => child.kill("SIGTERM"), LIMIT_MS - 20_000)
  const [code] = await once(child, "close") as [number | null]
  clearTimeout(late)
  return { code, stdout, stderr }
}
const run = (...args: ReadonlyArray<string>): Promise<Ended> => runWith({}, ...args)
/** Where no server could be started. */
const runWithout = (...args: ReadonlyArray<string>): Promise<Ended> => runWith({ PGSTREAM_TEST_BIN: "/nowhere" }, ...args)

describe("the command", () => {
  it("names what there is when a scenario is unknown, and starts no server for that", async () => {
    const { code, stderr } = await runWithout("--only", "backlog")
    assert.strictEqual(code, 2)
    assert.match(stderr, /^--only backlog: there is no such one\. There are backlog-16, .*injector\.\n$/)
    assert.match((await runWithout("list")).stdout, /^latency +From the commit/m)
    assert.match((await runWithout("--profile", tmpdir(), "--write")).stderr, /^--profile and --write: .*\n$/)
  }, LIMIT_MS)
})

describe.skipIf(process.env["PGSTREAM_TEST_NO_POSTGRES"] === "1")("some scenarios, short", () => {
  let folder: string
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), "pgstream-bench-smoke-"))
  })
  afterAll(() => rmSync(folder, { recursive: true }))

  const reported = async (name: string, ...args: ReadonlyArray<string>): Promise<Report & Ended> => {
    const file = join(folder, name)
    const ended = await run("--quick", "--json", file, ...args)
    assert.strictEqual(ended.code, 0, ended.stderr)
    return { ...JSON.parse(readFileSync(file, "utf8")) as Report, ...ended }
  }

  it("measures, with ground truth at the receiver", async () => {
    const only = ["backlog-16-signed", "latency"]
    const { results, stderr, stdout } = await reported("scenarios.json", "--only", only.join(","))
    assert.deepStrictEqual(results.map(({ name }) => name), only)
    for (const { arms, limits, name } of results) {
      for (const [arm, metrics] of Object.entries(arms)) {
        for (const [metric, value] of Object.entries(metrics)) assert.isTrue(Number.isFinite(value) && value >= -CLOCKS_US, `${name}, ${arm}: ${metric} ${value}`)
      }
      for (const { met, metric, value } of limits) {
        if (["twice", "missing", "wrongOrder"].includes(metric)) assert.isTrue(met, `${name}: ${metric} ${value}`)
      }
    }
    assert.include(stdout, "| backlog-16-signed | events/s: ours / bare |")
    assert.match(stderr, /^\[backlog-16-signed\] .* \(\d+ s\)$/m)
  }, LIMIT_MS)

  it("profiles the programs of any scenario", async () => {
    const profiles = join(folder, "profiles")
    const { results, stdout } = await reported("profiled.json", "--only", "fairness-backlog,memory", "--profile", profiles)
    assert.deepStrictEqual(results.map(({ rounds }) => rounds), [1, 1])
    const names = ["fairness-backlog.alone.1", "fairness-backlog.beside.1", "memory.ours.1"]
    assert.deepStrictEqual(readdirSync(profiles).toSorted(), names.flatMap((name) => [`${name}.cpuprofile`, `${name}.md`]))
    for (const name of names) {
      assert.match(readFileSync(join(profiles, `${name}.md`), "utf8"), /\| decode, body, keys \| \d+ \|[^]*\| from, ms \| idle \|[^]*\n\| 250 \|/)
      assert.include(stdout, `## ${name}, 2,000 events\n`)
    }
  }, LIMIT_MS)

  it("makes a curve", async () => {
    const { growth, stdout } = await reported("growth.json", "growth", "--only", "transaction")
    assert.deepStrictEqual(growth.map(({ rows }) => rows.map(({ size }) => size)), [[1, 10, 100]])
    assert.match(stdout, /^### transaction$/m)
    assert.match(stdout, /n log n\**: client CPU, µs an event grew/)
  }, LIMIT_MS)

  it("keeps events for an endpoint that is dead, and measures another beside them", async () => {
    const { growth } = await reported("parked.json", "growth", "--only", "parked,parked-row", "--most", "1000")
    assert.deepStrictEqual(growth.map(({ also, rows }) => [rows.length, also?.map(({ cost }) => cost)]), [[1, ["liveCpuUs"]], [2, undefined]])
    for (const [metric, value] of growth.flatMap(({ rows }) => rows.flatMap(({ metrics }) => Object.entries(metrics)))) assert.isTrue(Number.isFinite(value) && value > 0, `${metric} ${value}`)
  }, LIMIT_MS)
})
