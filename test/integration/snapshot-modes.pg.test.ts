/** Copies through the program: each way to ask, each mode of `run`, what is seen meanwhile, and the exit codes. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterAll, assert, describe, it } from "vitest"
import { callApi, makeProgram, type RunningProgram, subscribe } from "../support/binary.ts"
import { pgstream } from "../support/cli.ts"
import { eventually, testDatabase } from "../support/database.ts"
import { type Received, startReceiver } from "../support/Receiver.ts"

const database = testDatabase("snapshot_modes")
const program = await makeProgram({
  url: database.url, slot: `snapshot_modes_${process.pid}`,
  settings: { PGSTREAM_POSTGRES_SNAPSHOT_BATCH_BYTES: "4096", PGSTREAM_WEBHOOK_NOTIFIER_CONCURRENCY: "4" }
})
const receiver = await startReceiver()
afterAll(() => receiver.close())

const of = (table: string): ReadonlyArray<Received> => receiver.requests.filter(({ data }) => data.table === table)
const idsOf = (table: string) => of(table).map(({ data }) => Number(data.columns?.[0]?.value)).toSorted((a, b) => a - b)
const upTo = (count: number, from = 1) => Array.from({ length: count }, (_, n) => from + n)
const api = async (path: string, init: RequestInit = {}) =>
  await (await fetch(`http://127.0.0.1:${program.apiPort}${path}`, init)).json() as Record<string, unknown>
const change = (id: string, state: string) =>
  api(`/webhooks/snapshots/${id}`, { method: "PATCH", headers: { "content-type": "application/json" }, body: JSON.stringify({ state }) })
const stopped = async (running: RunningProgram) => assert.strictEqual((await running.stop()).code, 0, running.stderr())

describe("copies through the program", () => {
  it("nobody follows the slot: the command does, for as long as the copy takes; no row is missing", { timeout: 90_000 }, async () => {
    database.psql(`CREATE TABLE a(id int PRIMARY KEY, pad text); INSERT INTO a SELECT g, repeat('x', 100) FROM generate_series(1, 300) g;
      CREATE TABLE b(id int PRIMARY KEY); INSERT INTO b SELECT generate_series(1, 20)`)
    await program.init()
    const first = await program.run()
    assert.strictEqual((await subscribe(program, { url: receiver.url, event_types: ["I"] })).status, 201)
    await stopped(first)
    const { code, stderr, stdout } = await program.command("snapshot", "--tables", "*", "--json")
    assert.strictEqual(code, 0, stderr)
    assert.deepStrictEqual([idsOf("a"), idsOf("b")], [upTo(300), upTo(20)])
    const last = JSON.parse(stdout.trimEnd().split("\n").at(-1)!) as { readonly event: string; readonly snapshots: ReadonlyArray<{ readonly state: string; readonly rows: number }> }
    assert.deepInclude(last, { event: "end" })
    assert.deepInclude(last.snapshots[0], { state: "done", rows: 320 })
  })

  it("a service follows it: the command watches, for one subscription with a condition, and nobody else sees a row", { timeout: 90_000 }, async () => {
    const running = await program.run()
    const other = await startReceiver()
    try {
      const { body } = await subscribe(program, { url: other.url, schema: "public", table: "a", event_types: ["D"] })
      const before = receiver.requests.length
      const ended = await program.command("snapshot", "--subscription", String(body["id"]), "--tables", "a", "--where", "id <= 7")
      assert.strictEqual(ended.code, 0, ended.stderr)
      assert.match(ended.stderr, /public\.a: done, 7 rows, /)
      assert.match(ended.stderr, /SUCCESS {2}pgstream snapshot complete: 100%, 1 of 1 tables, 7 rows, /)
      const rows = other.requests.filter(({ data }) => data.table === "a")
      assert.deepStrictEqual(rows.map(({ data }) => data.columns?.[0]?.value).toSorted(), upTo(7))
      assert.lengthOf(receiver.requests, before)
    } finally {
      await other.close()
    }
    await stopped(running)
  })

  it("over HTTP: it is paused, seen in status, resumed, and ends with each row; another is cancelled", { timeout: 90_000 }, async () => {
    const running = await program.run()
    const slow = await startReceiver()
    try {
      slow.answer = () => "hang"
      const { body } = await subscribe(program, { url: slow.url, schema: "public", table: "a", snapshot: true })
      const [id] = body["snapshots"] as [string]
      await eventually("rows are under way", () => slow.inFlight > 0)
      assert.strictEqual((await change(id, "paused"))["state"], "paused")
      const status = await program.command("status")
      assert.match(status.stdout, new RegExp(`Snapshots:\n - Copy ${id}, paused: 0%, 0 of 1 tables, 0 rows, 0 B, paused\n`))
      slow.answer = () => ({ status: 200 })
      assert.include(["requested", "running"], (await change(id, "running"))["state"])
      await eventually("it is done", async () => (await api(`/webhooks/snapshots/${id}`))["state"] === "done", 60_000)
      assert.deepStrictEqual([...new Set(slow.requests.filter(({ data }) => data.table === "a").map(({ data }) => Number(data.columns?.[0]?.value)))].toSorted((x, y) => x - y), upTo(300))
      assert.notInclude((await program.command("status")).stdout, "Snapshots:")

      slow.answer = () => "hang"
      const asked = await callApi(program, `/webhooks/subscriptions/${String(body["id"])}/snapshot`, { tables: ["a"] })
      const [again] = asked.body["snapshots"] as [{ readonly id: string }]
      const watching = program.command("snapshot", "watch", again.id)
      await eventually("rows are under way", () => slow.inFlight > 0)
      assert.strictEqual((await change(again.id, "cancelled"))["state"], "cancelled")
      const ended = await watching
      assert.deepStrictEqual([ended.code, ended.stderr.includes(`copy ${again.id}  was cancelled`)], [1, true])
      slow.answer = () => ({ status: 200 })
    } finally {
      await slow.close()
    }
    await stopped(running)
  })

  it("run --snapshot-tables copies beside the stream, and a second start does not; a wrong name ends it", { timeout: 90_000 }, async () => {
    database.psql("CREATE TABLE c(id int PRIMARY KEY); INSERT INTO c SELECT generate_series(1, 20)")
    const running = await program.run("--snapshot-tables", "c")
    await eventually("the copy is over", () => running.stderr().includes("The copy of existing rows is over."), 60_000)
    await eventually("the stream is through", () => new Set(idsOf("c")).size === 20)
    database.psql("INSERT INTO c VALUES (21)")
    await eventually("the stream goes on", () => idsOf("c").includes(21))
    await stopped(running)
    const again = await program.run("--snapshot-tables", "c")
    assert.include(again.stderr(), "NOTE  copied before, and not repeatable: public.c")
    await stopped(again)
    const wrong = await program.start("--snapshot-tables", "cc").ended
    assert.deepStrictEqual([wrong.code, wrong.stderr.includes("cc matches no table; the nearest is public.c")], [3, true], wrong.stderr)
  })

  it("mode schema sends entries of the schema log and no row, mode data rows and no entry", { timeout: 90_000 }, async () => {
    const running = await program.run()
    database.psql("CREATE TABLE e(id int PRIMARY KEY)")
    await eventually("its entry has come", () => of("schema_log").some(({ body }) => body.includes("\\\"name\\\": \\\"e\\\"")))
    database.psql("INSERT INTO e VALUES (1), (2)")
    await eventually("the stream is through", () => of("e").length === 2)
    for (const [mode, entries, rows] of [["schema", 1, 0], ["data", 0, 2]] as const) {
      const before = [of("schema_log").length, of("e").length]
      const { code, stderr } = await program.command("snapshot", "--tables", "e", "--mode", mode)
      assert.strictEqual(code, 0, stderr)
      await eventually(`mode ${mode}`, () => of("schema_log").length === before[0]! + entries)
      assert.deepStrictEqual([of("schema_log").length, of("e").length], [before[0]! + entries, before[1]! + rows])
    }
    await stopped(running)
  })

  it("run in mode snapshot ends with the copy", { timeout: 90_000 }, async () => {
    database.psql("CREATE TABLE d(id int PRIMARY KEY); INSERT INTO d SELECT generate_series(1, 30)")
    const folder = mkdtempSync(join(tmpdir(), "pgstream-mode-"))
    try {
      const file = join(folder, "pg.yaml")
      writeFileSync(file, `source:
  postgres:
    url: "${database.url}"
    mode: snapshot
    replication: {replication_slot: ${program.slot}}
    snapshot: {mode: data, tables: [d]}
target:
  webhooks:
    subscriptions:
      store: {url: "${database.url}"}
      server: {address: "127.0.0.1:0"}
instrumentation: {health: {address: "127.0.0.1:0"}}
`)
      for (const [text, rows] of [["30 rows", 30], ["nothing to copy", 30]] as const) {
        const { code, stderr } = await pgstream(["run", "-c", file])
        assert.strictEqual(code, 0, stderr)
        assert.match(stderr, new RegExp(`SUCCESS  pgstream snapshot complete: .*${text}`))
        assert.lengthOf(new Set(idsOf("d")), rows)
      }
      // A service that follows the slot does the work.
      database.psql("CREATE TABLE watched(id int PRIMARY KEY); INSERT INTO watched SELECT generate_series(1, 30)")
      const running = await program.run()
      writeFileSync(file, readFileSync(file, "utf8").replace("[d]", "[watched]"))
      const { code, stderr } = await pgstream(["run", "-c", file])
      assert.strictEqual(code, 0, stderr)
      assert.lengthOf(new Set(idsOf("watched")), 30)
      await stopped(running)
    } finally {
      rmSync(folder, { recursive: true, force: true })
    }
  })

  it("a table that may not be read fails, the others are copied, and the exit code tells", { timeout: 90_000 }, async () => {
    receiver.requests.length = 0
    database.psql(`CREATE TABLE broken(id int PRIMARY KEY); INSERT INTO broken VALUES (-1);
      CREATE FUNCTION raises() RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'not today: hush-hush'; END $$;`)
    const { code, stderr } = await program.command("snapshot", "--tables", "b,broken", "--where", "CASE WHEN id > 0 THEN true ELSE raises() END")
    assert.strictEqual(code, 1, stderr)
    assert.include(stderr, "1 of 2 tables could not be copied.\n\n  public.broken  ")
    assert.include(stderr, "CopyFailed")
    // What a function raises may hold a value of a row.
    assert.include(stderr, "SQLSTATE P0001")
    assert.notInclude(stderr, "hush-hush")
    assert.deepStrictEqual(idsOf("b"), upTo(20))
  })
})
