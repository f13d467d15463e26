/** `pgstream snapshot` against a real database: what is requested, shown, steered and refused. Nobody works on the copies here. */
import { afterAll, assert, beforeAll, describe, it } from "vitest"
import { freePort, type PostgresServer, startServer } from "../support/PostgresServer.ts"
import { launch, pgstream } from "../support/cli.ts"
import { eventually } from "../support/database.ts"

const SLOT = "cli_snapshot"

describe("pgstream snapshot", () => {
  let server: PostgresServer
  let url: string
  let subscription: string
  beforeAll(async () => {
    server = await startServer()
    url = `postgres://postgres@127.0.0.1:${server.port}/postgres?sslmode=disable`
    server.psql(`CREATE SCHEMA sales; CREATE TABLE orders (id int PRIMARY KEY, name text); CREATE TABLE sales."My Table" (id int PRIMARY KEY);
      CREATE TABLE secret (id int PRIMARY KEY); INSERT INTO orders SELECT g, 'hush-hush' FROM generate_series(1, 10) g; ANALYZE orders`)
    const { code, stderr } = await pgstream(["init", "--postgres-url", url, "--replication-slot", SLOT])
    assert.strictEqual(code, 0, stderr)
    server.psql("INSERT INTO pgstream.webhook_subscriptions (url, schema_name, table_name) VALUES ('http://localhost:1/x', '', '')")
    subscription = server.psql("SELECT id FROM pgstream.webhook_subscriptions").trim()
  }, 60_000)
  afterAll(async () => {
    await server.stop()
  })

  const snapshot = (...args: ReadonlyArray<string>) => pgstream(["snapshot", ...args, "--postgres-url", url, "--replication-slot", SLOT])
  interface View {
    readonly id: string
    readonly state: string
    readonly where: string | null
    readonly tables: ReadonlyArray<{ readonly schema: string; readonly table: string }>
  }
  const listed = async () => {
    const { code, stderr, stdout } = await snapshot("list", "--json")
    assert.strictEqual(code, 0, stderr)
    return (JSON.parse(stdout) as { readonly snapshots: ReadonlyArray<View> }).snapshots
  }

  it("requests a copy for one subscription and leaves it to the service", async () => {
    const { code, stderr } = await snapshot("--subscription", subscription, "--tables", 'orders,sales."My Table",s*', "--excluded-tables", "secret", "--where", "id > 3", "--no-wait")
    assert.strictEqual(code, 0, stderr)
    assert.include(stderr, `no service follows slot "${SLOT}" now; the copy begins when one does:   pgstream run\n`)
    assert.include(stderr, "SUCCESS  copy 1 requested.")
    assert.match(stderr, new RegExp(`Audit\\. audit=snapshot\\.request who=local copyId=1 subscriptionId=${subscription} condition=true\\n`))
    assert.notInclude(stderr, "id > 3")
    const [copy] = await listed()
    assert.deepInclude(copy, { id: "1", state: "requested", where: "id > 3" })
    assert.deepStrictEqual(copy!.tables.map(({ schema, table }) => `${schema}.${table}`), ["public.orders", "sales.My Table"])
    const shown = await snapshot("show", "1")
    assert.include(shown.stdout, "copy 1: requested, 0%, 0 of 2 tables")
    assert.include(shown.stdout, "where: id > 3")
    const table = await snapshot("list")
    assert.match(table.stdout, /^ID +STATE +DONE +ROWS +BYTES +SINCE +FOR +TABLES\n1 +requested +0% +0 +0 B +\S+ +\w{8} +2 tables\n$/)
  })

  it("is in status, with the same numbers", async () => {
    const text = await pgstream(["status", "--postgres-url", url, "--replication-slot", SLOT])
    assert.include(text.stdout, "\nSnapshots:\n - Copy 1, requested: 0%, 0 of 2 tables, 0 rows, 0 B\n")
    const { stdout } = await pgstream(["status", "--json", "--postgres-url", url, "--replication-slot", SLOT])
    assert.deepStrictEqual((JSON.parse(stdout) as { readonly Snapshots: ReadonlyArray<View> }).Snapshots, await listed())
  })

  it("pauses, resumes and cancels it; then it is over", async () => {
    for (const [wish, state] of [["pause", "paused"], ["resume", "requested"], ["cancel", "cancelled"]] as const) {
      const { code, stderr, stdout } = await snapshot(wish, "1", "--json")
      assert.match(stderr, /Audit\. audit=snapshot\.change who=local copyId=1 state=(paused|running|cancelled)\n/)
      assert.deepStrictEqual([code, (JSON.parse(stdout) as View).state], [0, state])
    }
    const over = await snapshot("pause", "1")
    assert.deepStrictEqual([over.code, over.stderr.includes("CopyIsOver")], [1, true])
    const none = await snapshot("show", "99")
    assert.deepStrictEqual([none.code, none.stderr.includes("NoSuchCopy")], [1, true])
  })

  it("a watched copy that failed for one table is exit code 1 and names it; JSON lines for a script", async () => {
    await snapshot("--subscription", subscription, "--tables", "*", "--no-wait")
    const [{ id }] = await listed() as [View]
    const running = launch(["snapshot", "watch", id, "--json", "--postgres-url", url, "--replication-slot", SLOT])
    await eventually("it is watched", () => running.stdout().includes("\"event\":\"progress\""))
    server.psql(`UPDATE pgstream.copies SET state = 'failed', error = '1 table failed' WHERE id = ${id};
      INSERT INTO pgstream.copy_tables (copy_id, oid, schema_name, table_name, state, filenode, rows, bytes, error)
      VALUES (${id}, 1, 'public', 'orders', 'done', 1, 10, 100, NULL), (${id}, 2, 'public', 'secret', 'failed', 2, 0, 0, 'permission denied for table secret')`)
    const { code, stderr, stdout } = await running.ended
    assert.strictEqual(code, 1)
    assert.include(stderr, "1 of 2 tables could not be copied.\n\n  public.secret  permission denied for table secret\n")
    assert.include(stderr, "CopyFailed")
    const last = JSON.parse(stdout.trimEnd().split("\n").at(-1)!) as { readonly event: string; readonly snapshots: ReadonlyArray<View> }
    assert.deepStrictEqual([last.event, last.snapshots[0]!.state], ["end", "failed"])
  })

  it.each([
    ["a table that is not there, with the nearest", ["--tables", "ordres"], "ordres matches no table; the nearest is public.orders"],
    ["a condition that Postgres refuses, in its words", ["--tables", "orders", "--where", "colour = 1"], "column \"colour\" does not exist"],
    ["a condition that is more than one", ["--tables", "orders", "--where", "true) OR (true"], "closes a parenthesis"],
    ["a subscription that is not there", ["--subscription", "7d1c9d3a-0000-4000-8000-000000000000"], "is none of the subscriptions"],
    ["a pattern that is none", ["--tables", "a.b.c"], "has more than one dot"]
  ])("%s: exit code 3", async (_, args, text) => {
    const before = (await listed()).length
    const { code, stderr } = await snapshot(...args)
    assert.strictEqual(code, 3, stderr)
    assert.include(stderr, text)
    assert.notInclude(stderr, "hush-hush")
    assert.lengthOf(await listed(), before)
  })

  it.each([
    ["no tables", []], ["a number that is none", ["show", "x"]], ["another target", ["--tables", "a", "--target", "postgres"]],
    ["a flag of a Postgres target", ["--tables", "a", "--reset"]], ["an unknown mode", ["--mode", "all"]]
  ])("%s: exit code 2", async (_, args) => {
    const { code, stderr } = await snapshot(...args)
    assert.strictEqual(code, 2, stderr)
  })

  it("a database without init, and a server that is not there: exit code 4 and 1", async () => {
    server.psql("CREATE DATABASE bare")
    const bare = await pgstream(["snapshot", "--tables", "*", "--postgres-url", url.replace("/postgres?", "/bare?")])
    assert.strictEqual(bare.code, 4, bare.stderr)
    assert.include(bare.stderr, "pgstream init")
    const away = await pgstream(["snapshot", "list", "--postgres-url", `postgres://u:hush@127.0.0.1:${await freePort()}/x?sslmode=disable`])
    assert.include([1, 4], away.code)
    assert.notInclude(away.stderr, "hush")
  })
})
