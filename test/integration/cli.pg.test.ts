/** The commands as a person calls them, on a real Postgres: texts, streams, exit codes. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { createServer } from "node:http"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterAll, assert, describe, it } from "vitest"
import { launch, pgstream } from "../support/cli.ts"
import { eventually, testDatabase } from "../support/database.ts"
import { freePort } from "../support/PostgresServer.ts"

const database = testDatabase("cli")
const folder = mkdtempSync(join(tmpdir(), "pgstream-cli-"))
afterAll(() => rmSync(folder, { recursive: true, force: true }))

const slot = `cli_${process.pid}`
const file = (name: string, text: string): string => {
  const path = join(folder, name)
  writeFileSync(path, text)
  return path
}
const [api, health] = [await freePort(), await freePort()]
const envFile = file("tutorial.env", `
PGSTREAM_POSTGRES_LISTENER_URL="${database.url}"
PGSTREAM_POSTGRES_REPLICATION_SLOT_NAME=${slot}
PGSTREAM_WEBHOOK_SUBSCRIPTION_STORE_URL="${database.url}"
PGSTREAM_WEBHOOK_SUBSCRIPTION_STORE_CACHE_ENABLED=true
PGSTREAM_WEBHOOK_SUBSCRIPTION_STORE_CACHE_REFRESH_INTERVAL="60s"
PGSTREAM_WEBHOOK_SUBSCRIPTION_SERVER_ADDRESS=127.0.0.1:${api}
PGSTREAM_HEALTH_CHECK_ADDRESS=127.0.0.1:${health}
`)
const yamlFile = file("tutorial.yaml", `
source:
  postgres:
    url: "${database.url}"
    mode: replication
    replication: {replication_slot: ${slot}}
target:
  webhooks:
    subscriptions:
      store: {url: "${database.url}", cache: {enabled: true, refresh_interval: 60}}
      server: {address: "127.0.0.1:${api}"}
modifiers:
  injector: {enabled: true}
instrumentation:
  health: {address: "127.0.0.1:${health}"}
`)
const flags = ["--postgres-url", database.url, "--replication-slot", slot]
const slotActive = () => database.psql(`SELECT active FROM pg_replication_slots WHERE slot_name = '${slot}'`).trim() === "t"

describe("before init", () => {
  it("status finds what is missing, names the command, exits 1", async () => {
    const { code, stderr, stdout } = await pgstream(["status", ...flags])
    assert.strictEqual(code, 1)
    assert.include(stderr, "WARNING  pgstream status check identified issues with init")
    assert.include(stdout, " - Pgstream schema exists: false\n")
    assert.include(stdout, `replication slot ${slot} does not exist`)
    assert.include(stdout, "pgstream init")
  })
  it("run refuses with exit code 4 and names init", async () => {
    const { code, stderr } = await pgstream(["run", "-c", envFile])
    assert.strictEqual(code, 4)
    assert.include(stderr, "pgstream init")
  })
})

describe("init, status, run, destroy", () => {
  it("init says the tutorial's line, and may be repeated", async () => {
    for (const made of ["made", "already there"]) {
      const { code, stderr, stdout } = await pgstream(["init", ...flags])
      assert.strictEqual(stdout, "")
      assert.include(stderr, "SUCCESS  pgstream initialisation complete\n")
      assert.include(stderr, `Replication slot ${slot}: ${made}, plugin pgoutput. Next:   pgstream run --postgres-url URL --replication-slot ${slot}\n`)
      assert.strictEqual(code, 0)
    }
  })

  it.each([["env", envFile], ["yaml", yamlFile]])("status -c prints the tutorial's block (%s), and --json nothing but JSON", async (_, path) => {
    const { code, stderr, stdout } = await pgstream(["status", "-c", path])
    assert.strictEqual(stderr, `using config file: ${path}\nSUCCESS  pgstream status check encountered no issues\n`)
    assert.deepStrictEqual(stdout.replace(/version: \d+/, "version: N").split("\n"), [
      "Initialisation status:", " - Pgstream schema exists: true", " - Pgstream schema_log table exists: true",
      " - Migration current version: N", " - Migration status: success", ` - Replication slot name: ${slot}`,
      " - Replication slot plugin: pgoutput", ` - Replication slot database: ${database.name}`, "Config status:", " - Valid: true",
      "Transformation rules status:", " - Valid: true", "Source status:", " - Reachable: true", ""
    ])
    assert.strictEqual(code, 0)
    const json = JSON.parse((await pgstream(["status", "-c", path, "--json"])).stdout)
    assert.strictEqual(json.Init.ReplicationSlot.Name, slot)
    assert.deepStrictEqual(json.Findings, [])
  })

  it("run --replication-slot reads that slot, and SIGTERM ends it with 0", async () => {
    const running = launch(["run", "-c", envFile, "--replication-slot", slot, "--log-format", "json"], {
      PGSTREAM_POSTGRES_REPLICATION_SLOT_NAME: "another_slot"
    })
    await eventually("the slot is read", () => {
      if (running.child.exitCode !== null) throw new Error(running.stderr())
      return slotActive()
    })
    running.child.kill("SIGTERM")
    const { code, stderr } = await running.ended
    assert.strictEqual(code, 0, stderr)
    assert.isFalse(slotActive())
    for (const line of stderr.split("\n").filter((text) => text.startsWith("{"))) JSON.parse(line)
    assert.notInclude(stderr, "postgres:postgres")
  })

  it("a second signal ends run at once, while the first one still waits for a request in flight", async () => {
    let requests = 0
    const silent = createServer(() => { requests++ })
    await new Promise<void>((resolve) => silent.listen(0, "127.0.0.1", resolve))
    const address = silent.address()
    const port = typeof address === "object" && address !== null ? address.port : 0
    database.psql(`INSERT INTO pgstream.webhook_subscriptions (url, schema_name, table_name) VALUES ('http://127.0.0.1:${port}/', 'public', 'held')`)
    const running = launch(["run", "-c", envFile], {
      PGSTREAM_WEBHOOK_NOTIFIER_GRACE_PERIOD: "1h", PGSTREAM_WEBHOOK_NOTIFIER_CLIENT_TIMEOUT: "1h"
    })
    await eventually("the slot is read", slotActive)
    database.psql("CREATE TABLE held (id int PRIMARY KEY); INSERT INTO held VALUES (1)")
    await eventually("a request is in flight", () => requests > 0)
    running.child.kill("SIGTERM")
    // Two signals at one moment are one to the process: the second is sent until it has come.
    await eventually("the process has ended", () => {
      running.child.kill("SIGTERM")
      return running.child.exitCode !== null
    })
    const { code } = await running.ended
    silent.closeAllConnections()
    silent.close()
    assert.strictEqual(code, 143)
    database.psql("DELETE FROM pgstream.webhook_subscriptions")
    await eventually("the slot is free", () => !slotActive())
  }, 60_000)

  it("destroy says so; again it exits 1 because the slot was not there; then nothing of ours is left", async () => {
    const first = await pgstream(["destroy", ...flags])
    assert.include(first.stderr, "SUCCESS  pgstream destroy complete\n")
    assert.strictEqual(first.code, 0)
    const second = await pgstream(["tear-down", ...flags])
    assert.include(second.stderr, "tear-down is deprecated, please use destroy")
    assert.include(second.stderr, "SlotMissing")
    assert.strictEqual(second.code, 1)
    assert.strictEqual(database.psql("SELECT count(*) FROM pg_namespace WHERE nspname = 'pgstream'").trim(), "0")
    assert.strictEqual(database.psql("SELECT count(*) FROM pg_publication").trim(), "0")
  })
})

describe("what goes wrong", () => {
  it("configuration: every problem with its place, exit code 3", async () => {
    const path = file("bad.yaml", `source:\n  postgres:\n    url: "${database.url}"\n    replication:\n      replication_slt: x\ntarget:\n  webhooks:\n    notifier:\n      client_timeout: soon\n`)
    const { code, stderr } = await pgstream(["run", "-c", path])
    assert.strictEqual(code, 3)
    assert.include(stderr, `${path}:5  source.postgres.replication.replication_slt`)
    assert.include(stderr, `${path}:9  target.webhooks.notifier.client_timeout`)
    assert.include(stderr, "need at least one processor configured")
    // Also where the source is not known: a program that reads the JSON gets some.
    const nothing = await pgstream(["status", "--json"])
    assert.strictEqual(nothing.code, 3)
    assert.isFalse((JSON.parse(nothing.stdout) as { readonly Config: { readonly Valid: boolean } }).Config.Valid)
    const status = await pgstream(["status", "-c", path])
    assert.strictEqual(status.code, 3)
    assert.include(status.stdout, "Config status:\n - Valid: false\n - Errors: [")
  })
  it("a server that is not there: exit code 4 for init, a finding for status", async () => {
    const port = await freePort()
    const url = `postgres://postgres:hush@127.0.0.1:${port}/x?sslmode=disable`
    const init = await pgstream(["init", "--postgres-url", url])
    assert.strictEqual(init.code, 4)
    assert.notInclude(init.stderr, "hush")
    const status = await pgstream(["status", "--postgres-url", url])
    assert.strictEqual(status.code, 1)
    assert.include(status.stdout, " - Reachable: false\n")
  })
  it.each([[["nope"]], [["init", "--nope"]], [["run", "--profile"]], [["run", "--reset"]], [["run", "--source", "kafka"]], [["init", "--wait", "5"]]])(
    "usage: %j exits 2 and changes nothing", async (args) => {
      const { code, stderr, stdout } = await pgstream(args)
      assert.strictEqual(code, 2)
      assert.strictEqual(stdout, "")
      assert.notStrictEqual(stderr, "")
    })
})
