/** docs/tutorial.md from its first line to its last, each command as it stands there, with .env and with .yaml. */
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterAll, afterEach, assert, beforeAll, describe, it } from "vitest"
import type { Data } from "../../conformance/Payload.ts"
import { eventually } from "../support/database.ts"
import { freePort, type PostgresServer, startServer } from "../support/PostgresServer.ts"
import { blockOf, comes, events, follows, type Shell, shellIn, succeeds, textOf, timeless } from "../support/tutorial.ts"

const troubleshooting = textOf("Troubleshooting")

const SLOT = "pgstream_tutorial_slot"
const values = (data: Data, side: "columns" | "identity") => data[side]?.map((column) => column.value)

describe("the tutorial", () => {
  let server: PostgresServer
  let shell: Shell
  const folder = mkdtempSync(join(tmpdir(), "pgstream-tutorial-"))
  beforeAll(async () => {
    server = await startServer()
    const ports = { postgres: server.port, api: await freePort(), receiver: await freePort() }
    shell = shellIn(folder, server.bin, ports)
  })
  afterAll(async () => {
    await shell.stopAll()
    await server.stop()
    rmSync(folder, { recursive: true, force: true })
  })

  const inShell = (command: string) => succeeds(shell, command)
  const sql = (text: string) => server.psql(text).trim()

  const initialised = async (n: number) => {
    const { stderr } = await inShell(blockOf("Initialise", "sh", n))
    assert.include(stderr.split("\n"), blockOf("Initialise", ""))
  }
  const configured = () => {
    shell.write("pg2webhook_tutorial.env", shell.here(blockOf("Configuration", "sh")))
    shell.write("pg2webhook_tutorial.yaml", shell.here(blockOf("Configuration", "yaml")))
  }
  const checked = async (file: string) => {
    const command = blockOf("Status", "sh").split("\n").find((line) => line.endsWith(file))!
    // The first line goes to stderr, where the system before has it.
    const { stderr, stdout } = await inShell(command)
    const [first, ...rest] = blockOf("Status", "").split("\n")
    assert.include(stderr.split("\n"), first)
    assert.deepStrictEqual(stdout.trimEnd().split("\n"), rest)
  }
  const receiving = async () => {
    const receiver = shell.start(blockOf("Run", "sh", 1))
    await eventually("the receiver listens", () => receiver.stderr().includes(shell.here(blockOf("Run", "", 0))))
    return receiver
  }
  const subscribed = async (section: string, n: number, types: string) => {
    await inShell(blockOf(section, "sh", n).replace("curl ", "curl --fail-with-body -sS "))
    const { stdout } = await inShell(blockOf("Run", "sh", 4))
    assert.match(stdout, new RegExp(`${shell.here("http://localhost:9910/webhook")} .*\\| +\\| +\\| ${types}`))
  }

  it("with .env: events, more kinds, all old values, metadata", { timeout: 120_000 }, async () => {
    await initialised(0)
    configured()
    await checked("pg2webhook_tutorial.env")
    const run = await follows(shell, shell.start(blockOf("Run", "sh", 0)))
    const receiver = await receiving()
    await subscribed("Run", 2, "\\{I\\}")
    sql(blockOf("Events", "sql", 0))
    const [ids, log] = await comes(receiver, 2)
    assert.deepStrictEqual([ids!.table, log!.table], ["table_ids", "schema_log"])
    sql(blockOf("Events", "sql", 1))
    const rows = (await comes(receiver, 5)).slice(2)
    assert.deepStrictEqual(timeless(rows[0]!), timeless((JSON.parse(blockOf("Events", "json")) as { Data: Data }).Data))
    assert.deepStrictEqual(rows.map((data) => values(data, "columns")), [[1, "alice"], [2, "bob"], [3, "charlie"]])

    sql("UPDATE test SET name = 'nobody is told' WHERE name = 'bob'")
    await subscribed("Events", 0, "\\{I,U,D\\}")
    sql(blockOf("Events", "sql", 2))
    const update = (await comes(receiver, 6))[5]!
    assert.deepStrictEqual([update.action, values(update, "columns"), values(update, "identity")], ["U", [1, "a"], [1]])
    sql(blockOf("Events", "sql", 3))
    assert.strictEqual((await comes(receiver, 7))[6]!.table, "schema_log")
    sql("UPDATE test SET name='alice' WHERE name='a'")
    const full = (await comes(receiver, 8))[7]!
    assert.deepStrictEqual([values(full, "columns"), values(full, "identity")], [[1, "alice"], [1, "a"]])

    assert.strictEqual((await run.stop()).code, 0)
    shell.write("pg2webhook_tutorial.env", shell.here(`${blockOf("Configuration", "sh")}\n${blockOf("Metadata", "sh")}`))
    const again = await follows(shell, shell.start(blockOf("Run", "sh", 0)))
    sql("UPDATE test SET name='again' WHERE name='alice'")
    const { columns, metadata } = (await comes(receiver, 9))[8]!
    const wanted = (JSON.parse(`{${blockOf("Metadata", "json")}}`) as { metadata: Data["metadata"] }).metadata
    assert.deepStrictEqual(Object.keys(metadata), Object.keys(wanted))
    assert.match(metadata.schema_id ?? "", /^[0-9a-v]{20}$/)
    assert.deepStrictEqual(metadata.id_col_pgstream_id, [`${metadata.table_pgstream_id}-1`])
    assert.deepStrictEqual(columns?.map((column) => column.id), [`${metadata.table_pgstream_id}-1`, `${metadata.table_pgstream_id}-2`])
    assert.strictEqual((await again.stop()).code, 0)
    await receiver.stop()
    await inShell(blockOf("Initialise", "sh", 2))
    assert.strictEqual(sql("SELECT count(*) FROM pg_namespace WHERE nspname = 'pgstream'"), "0")
  })

  it("with .yaml, and init by variables: metadata from the first event on", { timeout: 120_000 }, async () => {
    sql("DROP TABLE IF EXISTS test, tutorial_test")
    await initialised(1)
    configured()
    await checked("pg2webhook_tutorial.yaml")
    const run = await follows(shell, shell.start(blockOf("Run", "sh", 0).replace(".env", ".yaml")))
    const receiver = await receiving()
    await inShell(blockOf("Run", "sh", 3).replace("curl ", "curl --fail-with-body -sS "))
    await subscribed("Run", 2, "\\{I\\}")
    sql(blockOf("Events", "sql", 0))
    sql(blockOf("Events", "sql", 1))
    const [log, alice] = await comes(receiver, 4)
    assert.strictEqual(log!.table, "schema_log")
    assert.deepStrictEqual(values(alice!, "columns"), [1, "alice"])
    assert.strictEqual(alice!.metadata.schema_id, log!.columns?.find((column) => column.name === "id")?.value)
    sql("ALTER TABLE test RENAME TO tutorial_test; UPDATE tutorial_test SET name='a' WHERE name='alice'; INSERT INTO tutorial_test(name) VALUES ('dora')")
    const dora = (await comes(receiver, 6))[5]!
    assert.deepStrictEqual([dora.table, dora.metadata.table_pgstream_id], ["tutorial_test", alice!.metadata.table_pgstream_id])
    assert.strictEqual((await run.stop()).code, 0)
    await receiver.stop()
    await inShell(blockOf("Initialise", "sh", 2))
  })

  describe("troubleshooting", () => {
    afterEach(() => shell.stopAll())

    /** What the section says of it. */
    const listed = (code: string) => assert.include(troubleshooting, `\`${code}\``)
    const run = (file = "pg2webhook_tutorial.env") => shell.start(`pgstream run -c ${file}`)
    const env = (text = "") => shell.write("pg2webhook_tutorial.env", `${shell.here(blockOf("Configuration", "sh"))}\n${text}\n`)
    const init = () => inShell("pgstream init -c pg2webhook_tutorial.env")
    const insert = (name: string) => sql(`INSERT INTO trouble(name) VALUES ('${name}')`)

    it("Connection refused: the error says so; with the right port it goes on", async () => {
      listed("ConnectionRefused")
      const nowhere = await freePort()
      shell.write("wrong.env", blockOf("Configuration", "sh").replaceAll("localhost:5432", `localhost:${nowhere}`))
      for (const command of ["status", "init", "run"]) {
        const ended = await shell.run(`pgstream ${command} -c wrong.env`)
        assert.isAbove(ended.code ?? 0, 0, command)
        assert.match(ended.stdout + ended.stderr, /ConnectionRefused/, command)
        assert.include(ended.stdout + ended.stderr, String(nowhere), command)
      }
      env()
      await init()
    })

    it("slot not found: the error names init, and init mends it", async () => {
      sql(`SELECT pg_drop_replication_slot('${SLOT}')`)
      const ended = await shell.run("pgstream run -c pg2webhook_tutorial.env")
      assert.strictEqual(ended.code, 4, ended.stderr)
      listed("SlotMissing")
      assert.match(ended.stderr, /SlotMissing/)
      assert.match(ended.stderr, /pgstream init/)
      const status = await shell.run("pgstream status -c pg2webhook_tutorial.env")
      assert.deepStrictEqual([status.code, /SlotMissing/.test(status.stdout)], [1, true], status.stdout)
      await init()
      assert.strictEqual((await inShell("pgstream status -c pg2webhook_tutorial.env")).code, 0)
    })

    it("no events: the list shows that nothing selects them; a receiver that was away gets what it missed", { timeout: 90_000 }, async () => {
      sql("CREATE TABLE trouble(id serial PRIMARY KEY, name text)")
      const running = await follows(shell, run())
      const list = "curl -sS http://localhost:9900/webhooks/subscriptions"
      assert.notInclude((await inShell(list)).stdout, "http://localhost")
      insert("before")
      await inShell(blockOf("Run", "sh", 2).replace("curl ", "curl --fail-with-body -sS "))
      assert.include((await inShell(list)).stdout, shell.here("http://localhost:9910/webhook"))
      insert("while nobody listens")
      await eventually("the log names the failure", () => /ECONNREFUSED|[Rr]efused/.test(running.stderr()), 30_000)
      assert.notInclude(running.stderr(), "while nobody listens")
      const receiver = await receiving()
      const [missed] = await comes(receiver, 1)
      assert.deepStrictEqual(values(missed!, "columns")?.[1], "while nobody listens")
      await receiver.stop()
      assert.strictEqual((await running.stop()).code, 0)
    })

    it("permission denied: the error names what to grant", async () => {
      sql("CREATE ROLE tutor LOGIN PASSWORD 'secret-of-tutor'")
      sql("CREATE DATABASE tutored")
      const url = shell.here("postgres://tutor:secret-of-tutor@localhost:5432/tutored?sslmode=disable")
      const ended = await shell.run(`pgstream init --postgres-url "${url}" --replication-slot tutor`)
      assert.strictEqual(ended.code, 4, ended.stderr)
      listed("NoPrivilege")
      assert.match(ended.stderr, /NoPrivilege/)
      assert.match(ended.stderr, /GRANT|ALTER ROLE/)
      assert.notInclude(ended.stdout + ended.stderr, "secret-of-tutor")
    })

    it("invalid configuration: all of it, with file, line and key; exit code 3", async () => {
      listed("ConfigInvalid")
      shell.write("typo.env", shell.here(blockOf("Configuration", "sh")).replace("CACHE_ENABLED=true", "CACHE_ENABLED=ture").replace("\"60s\"", "60")
        .replace("PGSTREAM_POSTGRES_REPLICATION_SLOT_NAME", "PGSTREAM_POSTGRES_REPLICATION_SLOT_NMAE"))
      for (const command of ["run", "status"]) {
        const ended = await shell.run(`pgstream ${command} -c typo.env`)
        const said = ended.stdout + ended.stderr
        if (command === "run") assert.strictEqual(ended.code, 3, said)
        for (const name of ["typo.env", "CACHE_ENABLED", "REFRESH_INTERVAL", "REPLICATION_SLOT_NMAE", "REPLICATION_SLOT_NAME", "ConfigInvalid"]) assert.include(said, name, command)
        assert.match(said, /typo\.env:?\s*(line )?\d+/, command)
      }
    })

    it("a store elsewhere: a subscription acts when it is seen", { timeout: 60_000 }, async () => {
      sql("CREATE DATABASE elsewhere")
      const url = shell.here("postgres://postgres:postgres@localhost:5432/elsewhere?sslmode=disable")
      shell.write("elsewhere.env", shell.here(blockOf("Configuration", "sh"))
        .replace(/SUBSCRIPTION_STORE_URL=.*/, `SUBSCRIPTION_STORE_URL="${url}"`).replace("\"60s\"", "\"1s\""))
      await inShell("pgstream init -c elsewhere.env")
      const running = await follows(shell, run("elsewhere.env"))
      const receiver = await receiving()
      await inShell(blockOf("Run", "sh", 2).replace("curl ", "curl --fail-with-body -sS "))
      await eventually("an event after the subscription was seen", () => {
        insert("elsewhere")
        return events(receiver).length > 0
      })
      await receiver.stop()
      assert.strictEqual((await running.stop()).code, 0)
      await inShell("pgstream destroy -c elsewhere.env")
    })
  })
})
