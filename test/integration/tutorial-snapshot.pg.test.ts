/** The tutorial's chapter on rows that are there already, each command as it stands there, with .env and with .yaml. */
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterAll, afterEach, assert, beforeAll, describe, it } from "vitest"
import type { Data } from "../../conformance/Payload.ts"
import { eventually } from "../support/database.ts"
import { freePort, type PostgresServer, startServer } from "../support/PostgresServer.ts"
import { type Background, blockOf, comes, events, follows, type Shell, shellIn, succeeds, timeless } from "../support/tutorial.ts"

const CHAPTER = "Rows that are there already"

const values = (data: Data) => data.columns?.map((column) => column.value)

describe("the tutorial's chapter on snapshots", () => {
  let server: PostgresServer
  let shell: Shell
  const folder = mkdtempSync(join(tmpdir(), "pgstream-tutorial-snapshot-"))
  beforeAll(async () => {
    server = await startServer()
    shell = shellIn(folder, server.bin, { postgres: server.port, api: await freePort(), receiver: await freePort() })
  })
  afterEach(() => shell.stopAll())
  afterAll(async () => {
    await server.stop()
    rmSync(folder, { recursive: true, force: true })
  })

  const inShell = (command: string) => succeeds(shell, command)
  const sql = (text: string) => server.psql(text).trim()
  const copied = (running: Background) =>
    eventually("the copy is over", () => {
      assert.isNull(running.child.exitCode, running.stderr())
      return running.stderr().includes("The copy of existing rows is over.")
    }, 60_000)
  const receiving = async () => {
    const receiver = shell.start(blockOf("Run", "sh", 1))
    await eventually("the receiver listens", () => receiver.stderr().includes(shell.here(blockOf("Run", "", 0))))
    return receiver
  }
  const runs = (file: "env" | "yaml") => shell.start(blockOf(CHAPTER, "sh", 1).replace(".env", `.${file}`))

  it("with .env: the schema's entry and the rows, once; then for one subscription, with a condition", { timeout: 180_000 }, async () => {
    sql(blockOf("Events", "sql", 0))
    sql(blockOf("Events", "sql", 1))
    await inShell(blockOf("Initialise", "sh", 0))
    shell.write("pg2webhook_tutorial.env", shell.here(blockOf("Configuration", "sh")))
    shell.write("pg2webhook_snapshot.env", shell.here(blockOf(CHAPTER, "sh", 0)))
    shell.write("pg2webhook_snapshot.yaml", shell.here(blockOf(CHAPTER, "yaml")))
    const first = await follows(shell, shell.start(blockOf("Run", "sh", 0)))
    const receiver = await receiving()
    await inShell(blockOf("Run", "sh", 2).replace("curl ", "curl --fail-with-body -sS "))
    assert.strictEqual((await first.stop()).code, 0)
    assert.lengthOf(events(receiver), 0)

    const run = await follows(shell, runs("env"))
    await copied(run)
    const [ids, entry, ...rows] = await comes(receiver, 5)
    assert.deepStrictEqual([ids!.table, entry!.table], ["table_ids", "schema_log"])
    assert.deepStrictEqual(rows.map(values), [[1, "alice"], [2, "bob"], [3, "charlie"]])
    assert.deepStrictEqual(timeless(rows[0]!), timeless((JSON.parse(blockOf(CHAPTER, "json")) as { Data: Data }).Data))
    // While the stream runs on.
    sql("INSERT INTO test(name) VALUES ('dora')")
    assert.deepStrictEqual(values((await comes(receiver, 6))[5]!), [4, "dora"])

    const { stderr } = await inShell(blockOf(CHAPTER, "sh", 2))
    assert.include(stderr, blockOf(CHAPTER, "", 0).replace(", 1 rows", ", 2 rows"))
    const more = (await comes(receiver, 9)).slice(6)
    assert.deepStrictEqual(more.map(({ table }) => table), ["schema_log", "test", "test"])
    assert.deepStrictEqual(more.slice(1).map(values), [[3, "charlie"], [4, "dora"]])

    // Not repeatable: a second start copies nothing.
    assert.strictEqual((await run.stop()).code, 0)
    const again = await follows(shell, runs("env"))
    assert.include(again.stderr(), "NOTE  copied before, and not repeatable: public.test")
    sql("INSERT INTO test(name) VALUES ('emil')")
    assert.deepStrictEqual(values((await comes(receiver, 10))[9]!), [5, "emil"])
    assert.strictEqual((await again.stop()).code, 0)
    await receiver.stop()
  })

  it("with .yaml: repeatable, and with metadata", { timeout: 120_000 }, async () => {
    const receiver = await receiving()
    const run = await follows(shell, runs("yaml"))
    await copied(run)
    const [entry, ...rows] = await comes(receiver, 6)
    assert.strictEqual(entry!.table, "schema_log")
    assert.deepStrictEqual(rows.map(values), [[1, "alice"], [2, "bob"], [3, "charlie"], [4, "dora"], [5, "emil"]])
    for (const row of rows) assert.strictEqual(row.metadata.schema_id, entry!.columns?.find((column) => column.name === "id")?.value)
    assert.strictEqual((await run.stop()).code, 0)
    await receiver.stop()
  })

  it("the original's YAML as written starts, copies nothing, and says so", { timeout: 60_000 }, async () => {
    const text = blockOf(CHAPTER, "yaml").replace("mode: snapshot_and_replication #", "mode: replication #").replace("mode: schemalog", "mode: pgdump_pgrestore")
    shell.write("pg2webhook_snapshot.yaml", shell.here(text))
    const run = await follows(shell, runs("yaml"))
    assert.include(run.stderr(), "more of copies are not used in mode `replication`")
    assert.strictEqual((await run.stop()).code, 0)
  })
})
