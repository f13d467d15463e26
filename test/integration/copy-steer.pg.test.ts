/** Copies that are paused, resumed, cancelled, that fail in part, that are for one subscription; entries of the schema log. */
import { assert, describe, it } from "vitest"
import type * as Effect from "effect/Effect"
import type { Copy, CopyRequests } from "../../src/services/CopyRequests.ts"
import { atEnd } from "../support/atEnd.ts"
import { applied, differences } from "../support/copyOracle.ts"
import { askFor, copyDone, copyNow, copySource, type CopyPipelineOptions, startCopyPipeline, withRequests } from "../support/copyPipeline.ts"
import { eventually } from "../support/database.ts"
import { startReceiver, valueOf } from "../support/Receiver.ts"

const prepare = async (label: string, sql: string, options: Partial<CopyPipelineOptions> = {}, start = true) => {
  const { database, receiver, where } = await copySource(label, sql)
  const subscribed = (selector: string) => database.psql(`INSERT INTO pgstream.webhook_subscriptions (url, schema_name, table_name, event_types) VALUES ('${receiver.url}', ${selector}) RETURNING id`).trim()
  const run = () => startCopyPipeline({ ...where, ...options })
  if (start) await run()
  return { database, where, receiver, subscribed, run }
}

type Steer = (requests: CopyRequests["Service"]) => Effect.Effect<Copy, unknown>
const over = (where: { readonly url: string; readonly slot: string }, id: string) =>
  eventually("it is over", async () => ["done", "failed", "cancelled"].includes((await copyNow(where, id)).state), 60_000)

describe("a copy", () => {
  it("can be paused, resumed in another process, and cancelled", async () => {
    const { database, receiver, run, subscribed, where } = await prepare("copy_pause", `
      CREATE TABLE t(id int PRIMARY KEY, stamp bigint DEFAULT 1, pad text); INSERT INTO t SELECT g, 1, repeat('x', 500) FROM generate_series(1, 4000) g`,
    { env: { PGSTREAM_WEBHOOK_NOTIFIER_CONCURRENCY: "4" } }, false)
    subscribed("'', '', '{}'")
    receiver.answer = () => ({ status: 200, delayMs: 15 })
    const first = await run()
    const steer = (use: Steer) => withRequests(where, use)
    const copy = await askFor(where, ["t"])
    const came = () => receiver.values("id", "t").length
    await eventually("some rows", () => came() > 100)
    await steer((requests) => requests.pause(copy.id))
    // What is read already still comes: at most a few ranges. Then nothing does.
    let before = -1
    await eventually("it stands still", async () => {
      const now = came()
      const still = now === before
      before = now
      await new Promise((resolve) => setTimeout(resolve, 1_500))
      return still
    })
    assert.isBelow(came(), 4_000)
    database.psql("UPDATE t SET stamp = 2 WHERE id IN (1, 3999); UPDATE t SET id = -7, stamp = 2 WHERE id = 3998")
    await first.stop()
    await steer((requests) => requests.resume(copy.id))
    receiver.answer = () => ({ status: 200 })
    await run()
    await copyDone(where, copy.id)
    receiver.answer = () => ({ status: 200, delayMs: 15 })
    await eventually("the events", () => receiver.values("id", "t").includes(-7))
    const oracle = applied(receiver)
    assert.deepStrictEqual([...oracle.problems, ...differences(oracle, "t", database.psql("SELECT row_to_json(t) FROM t"), ["stamp", "pad"])], [])
    const again = await askFor(where, ["t"])
    await eventually("it runs", async () => (await copyNow(where, again.id)).progress.length > 0)
    const rows = came()
    await steer((requests) => requests.cancel(again.id))
    await over(where, again.id)
    assert.strictEqual((await copyNow(where, again.id)).state, "cancelled")
    assert.isBelow(came() - rows, 4_000)
  }, 120_000)

  it("a table that fails does not stop the others, and says why", async () => {
    const { receiver, subscribed, where } = await prepare("copy_fails", `
      CREATE TABLE good(id int PRIMARY KEY, v text); INSERT INTO good VALUES (1, '7'); CREATE TABLE bad(id int PRIMARY KEY, v text); INSERT INTO bad VALUES (1, 'secret')`)
    subscribed("'', '', '{}'")
    const copy = await askFor(where, ["missing", "bad", "good"], { where: "v::int > 0" })
    await over(where, copy.id)
    const { error, progress, state } = await copyNow(where, copy.id)
    assert.strictEqual(state, "failed")
    assert.strictEqual(error, "public.missing: there is no such table; public.bad: the server refuses: SQLSTATE 22P02")
    assert.deepStrictEqual(progress.map((table) => [table.table, table.state, table.rows]), [["bad", "failed", 0], ["good", "done", 1]])
    assert.deepStrictEqual(receiver.values("id", "good"), [1])
  }, 60_000)

  it("for one subscription: the newest entry goes first, to it alone, with the metadata of events; nothing is logged", async () => {
    const { database, receiver, subscribed, where } = await prepare("copy_entry", `
      CREATE TABLE before(id int PRIMARY KEY)`, {}, false)
    const other = await startReceiver()
    atEnd(() => other.close())
    await startCopyPipeline({ ...where, env: { PGSTREAM_INJECTOR_STORE_POSTGRES_URL: where.url } })
    database.psql("CREATE TABLE t(id int PRIMARY KEY, v text); INSERT INTO t SELECT g, 'v' FROM generate_series(1, 300) g")
    const log = () => database.psql("SELECT max(version) FROM pgstream.schema_log WHERE schema_name = 'public'").trim()
    await eventually("the entry of CREATE TABLE", () => log() !== "")
    const version = log()
    const id = subscribed("'', '', '{U}'")
    database.psql(`INSERT INTO pgstream.webhook_subscriptions (url) VALUES ('${other.url}')`)
    const copy = await askFor(where, ["t"], { subscription: id })
    await copyDone(where, copy.id)
    assert.strictEqual(log(), version)
    const [entry, ...rows] = [...receiver.accepted.values()]
    assert.deepStrictEqual([entry?.data.schema, entry?.data.table, String(valueOf(entry?.data.columns ?? null, "version"))], ["pgstream", "schema_log", version])
    assert.deepStrictEqual(rows.map(({ data }) => valueOf(data.columns, "id") as number).toSorted((a, b) => a - b), Array.from({ length: 300 }, (_, n) => n + 1))
    assert.deepStrictEqual([entry, ...rows].map((received) => [received?.sequence, received?.id.startsWith("s-")].join()).filter((each) => each !== "0,true"), [])
    database.psql("UPDATE t SET v = v WHERE id = 7; UPDATE t SET v = 'last' WHERE id = 300")
    await eventually("the events", () => receiver.values("v", "t").includes("last"))
    const dataOf = (action: string) => JSON.parse([...receiver.accepted.values()].find(({ data }) => data.action === action && valueOf(data.columns, "id") === 7)!.body).Data as { metadata: unknown; columns: unknown; lsn: string }
    assert.deepStrictEqual([dataOf("I").metadata, dataOf("I").columns], [dataOf("U").metadata, dataOf("U").columns])
    assert.notInclude(JSON.stringify(dataOf("I").metadata), "\"table_pgstream_id\":\"\"")
    assert.match(dataOf("I").lsn, /^[0-9A-F]+\/[0-9A-F]+$/)
    assert.deepStrictEqual([...other.accepted.keys()].filter((each) => each.startsWith("s-")), [])
  }, 60_000)

  it("with a pipeline that is far behind, the rows come where their marks are, and none is older than what came", async () => {
    const { database, receiver, run, subscribed, where } = await prepare("copy_behind", `
      CREATE SEQUENCE stamps; CREATE TABLE t(id int PRIMARY KEY, stamp bigint, pad text); INSERT INTO t SELECT g, nextval('stamps'), 'p' FROM generate_series(1, 200) g`, {}, false)
    subscribed("'', '', '{}'")
    for (let n = 0; n < 10; n++) database.psql("UPDATE t SET stamp = nextval('stamps') WHERE id % 10 = 3; DELETE FROM t WHERE id = 5; INSERT INTO t VALUES (5, nextval('stamps'), 'again')")
    const copy = await askFor(where, ["t"])
    receiver.answer = () => ({ status: 200, delayMs: 2 })
    await run()
    await copyDone(where, copy.id)
    const oracle = applied(receiver)
    assert.deepStrictEqual([...oracle.problems, ...differences(oracle, "t", database.psql("SELECT row_to_json(t) FROM t"), ["stamp", "pad"])], [])
  }, 60_000)

  it("an endpoint that is down holds its copy; the rows come when it answers", async () => {
    const { database, receiver, subscribed, where } = await prepare("copy_down", `
      CREATE TABLE t(id int PRIMARY KEY, stamp bigint DEFAULT 1, pad text); INSERT INTO t SELECT g, 1, repeat('x', 500) FROM generate_series(1, 2000) g`)
    const id = subscribed("'', '', '{}'")
    receiver.answer = () => ({ status: 503 })
    const copy = await askFor(where, ["t"], { subscription: id })
    await eventually("some were parked", () => Number(database.psql("SELECT count(*) FROM pgstream.webhook_deliveries").trim()) > 0, 60_000)
    await new Promise((resolve) => setTimeout(resolve, 3_000))
    const { progress, state } = await copyNow(where, copy.id)
    assert.strictEqual(state, "running")
    assert.isBelow(progress[0]?.rows ?? 0, 2_000)
    receiver.answer = () => ({ status: 200 })
    await copyDone(where, copy.id, 120_000)
    await eventually("every row", () => new Set(receiver.values("id", "t")).size === 2_000, 120_000)
  }, 240_000)
})
