/**
 * `npm run conformance -- [DIR …] [--plugin pgoutput|wal2json] [--injector on|off] [--only NAME …] [--jobs N]`
 *
 * Replays directories in golden's format (scenarios/*.sql, payloads/NAME.{plain,inj}.norm.txt) through the binary and
 * compares `Data`. Without DIR: golden (PGSTREAM_GOLDEN, or ../shared/golden) and our own, conformance/. What no rule of
 * conformance/rules.ts explains fails, and so does a rule that no scenario needs: for rules that DIR does not need, our
 * own scenarios are replayed after it. Exit code 1 if anything failed.
 */
import { existsSync, readdirSync, readFileSync } from "node:fs"
import { basename, join, resolve } from "node:path"
import { parseArgs } from "node:util"
import { applies, compare, type Verdict } from "../conformance/Compare.ts"
import { ofBody, ofGolden, readable } from "../conformance/Payload.ts"
import { replay } from "../conformance/Replay.ts"
import type { InjectorSetting, Plugin, Rule } from "../conformance/Rule.ts"
import { rules } from "../conformance/rules.ts"
import { type Server, startServers } from "../conformance/Server.ts"

const usage = "Usage: npm run conformance -- [DIR …] [--plugin pgoutput|wal2json] [--injector on|off] [--only NAME …] [--jobs N]"
const own = join(import.meta.dirname, "../conformance")
const golden = process.env["PGSTREAM_GOLDEN"] ?? join(import.meta.dirname, "../../shared/golden")
/** Lines of differences shown of one run. */
const MAX_SHOWN = 20

interface Setting {
  readonly plugin: Plugin
  readonly injector: InjectorSetting
}

interface Scenario {
  readonly dir: string
  readonly name: string
}

const out = (line: string) => void process.stdout.write(`${line}\n`)
const say = (line: string) => out(line.length > 1500 ? `${line.slice(0, 1500)} … (${line.length} characters)` : line)

const scenariosOf = (dir: string): ReadonlyArray<Scenario> =>
  readdirSync(join(dir, "scenarios")).filter((file) => file.endsWith(".sql")).toSorted()
    .map((file) => ({ dir, name: file.slice(0, -4) }))

const payloads = ({ dir, name }: Scenario, injector: InjectorSetting): string =>
  join(dir, "payloads", `${name}.${injector === "on" ? "inj" : "plain"}.norm.txt`)

const print = (title: string, verdict: Verdict | undefined, problems: ReadonlyArray<string>): boolean => {
  const lines = [...problems, ...verdict?.clashes ?? []]
  for (const { expected, got } of verdict?.differences ?? []) {
    if (expected !== undefined) lines.push(`- ${readable(expected)}`)
    if (got !== undefined) lines.push(`+ ${readable(got)}`)
  }
  say(`${lines.length === 0 ? "ok  " : "FAIL"} ${title}`)
  for (const line of lines.slice(0, MAX_SHOWN)) say(`     ${line}`)
  if (lines.length > MAX_SHOWN) say(`     … and ${lines.length - MAX_SHOWN} more lines`)
  return lines.length === 0
}

const args = () => {
  try {
    return parseArgs({
      allowPositionals: true,
      options: {
        plugin: { type: "string" }, injector: { type: "string" }, only: { type: "string", multiple: true }, jobs: { type: "string" }
      }
    })
  } catch (error) {
    say(`${error instanceof Error ? error.message : String(error)}\n${usage}`)
    return process.exit(2)
  }
}

const oneOf = <A extends string>(name: string, given: string | undefined, all: ReadonlyArray<A>): ReadonlyArray<A> => {
  if (given === undefined) return all
  const found = all.filter((one) => one === given)
  if (found.length === 1) return found
  say(`--${name} ${given}: one of ${all.join(", ")}.\n${usage}`)
  return process.exit(2)
}

const { positionals, values } = args()
const plugins = oneOf<Plugin>("plugin", values.plugin, ["pgoutput", "wal2json"])
const injectors = oneOf<InjectorSetting>("injector", values.injector, ["off", "on"])
const dirs = positionals.length > 0
  ? positionals.map((dir) => resolve(dir))
  : [golden, own].filter((dir) => existsSync(join(dir, "scenarios")))
for (const dir of dirs) {
  if (existsSync(join(dir, "scenarios"))) continue
  say(`${dir} has no folder scenarios/ (golden's format: scenarios/NAME.sql, payloads/NAME.plain.norm.txt).\n${usage}`)
  process.exit(2)
}
const asked = dirs.flatMap(scenariosOf)
  .filter(({ name }) => values.only === undefined || values.only.some((only) => name.startsWith(only)))
const settings = plugins.flatMap((plugin) => injectors.map((injector): Setting => ({ plugin, injector })))

const used = new Set<string>()
const counts = { passed: 0, failed: 0, skipped: 0 }

const one = async (server: Server, scenario: Scenario, setting: Setting): Promise<void> => {
  const title = `${basename(scenario.dir)}/${scenario.name} ${setting.plugin} injector ${setting.injector}`
  const file = payloads(scenario, setting.injector)
  if (!existsSync(file) || !server.plugins.includes(setting.plugin)) {
    counts.skipped++
    return say(`skip ${title}: ${existsSync(file) ? `this server has no ${setting.plugin}` : "it has no payloads"}`)
  }
  const started = Date.now()
  const sql = readFileSync(join(scenario.dir, "scenarios", `${scenario.name}.sql`), "utf8")
  const { bodies, facts, problems } = await replay(server, sql, setting.plugin, setting.injector)
  const expected = readFileSync(file, "utf8").split("\n").filter((line) => line !== "").map(ofGolden)
  const verdict = compare({ ...setting, facts, expected, got: bodies.map(ofBody) })
  for (const id of verdict.used) used.add(id)
  const passed = print(`${title} (${bodies.length} events, ${((Date.now() - started) / 1000).toFixed(1)} s)`, verdict, problems)
  counts[passed ? "passed" : "failed"]++
}

/** A scenario's settings one after another, on one server; scenarios side by side. */
const all = async (servers: ReadonlyArray<Server>, scenarios: ReadonlyArray<Scenario>): Promise<void> => {
  const queue = [...scenarios]
  await Promise.all(servers.map(async (server) => {
    for (let next = queue.shift(); next !== undefined; next = queue.shift()) {
      for (const setting of settings) await one(server, next, setting)
    }
  }))
}

const unused = (): ReadonlyArray<Rule> =>
  rules.filter((rule) => !used.has(rule.id) && settings.some((setting) => applies(rule, setting)))

const servers = await startServers(Number(values.jobs ?? "2"))
const stopAll = () => Promise.all(servers.map((server) => server.stop()))
for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, () => void stopAll().finally(() => process.exit(1)))
try {
  await all(servers, asked)
  if (values.only === undefined) {
    if (unused().length > 0 && !dirs.includes(own) && existsSync(join(own, "scenarios"))) {
      say(`Rules that ${dirs.join(", ")} did not need: ${unused().map((rule) => rule.id).join(", ")}. Our own scenarios:`)
      await all(servers, scenariosOf(own))
    }
    for (const rule of unused()) {
      counts.failed++
      say(`FAIL rule ${rule.id}: no scenario needs it`)
    }
  }
} finally {
  await stopAll()
}
if (counts.skipped > 0) say(`${counts.skipped} skipped`)
say(`${counts.passed} passed, ${counts.failed} failed`)
process.exitCode = counts.failed === 0 ? 0 : 1
