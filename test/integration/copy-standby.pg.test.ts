/** A commit that waits for a synchronous standby is in the stream, and not yet visible to the snapshot of a copy. */
import { assert, describe, it } from "vitest"
import * as CopyRules from "../../src/domain/copy/CopyRules.ts"
import { atEnd } from "../support/atEnd.ts"
import { applied, differences } from "../support/copyOracle.ts"
import { askFor, copyDone, startCopyPipeline } from "../support/copyPipeline.ts"
import { eventually } from "../support/database.ts"
import { startServer } from "../support/PostgresServer.ts"
import { startReceiver, valueOf } from "../support/Receiver.ts"
import { OpenSession } from "../support/sessions.ts"
import { init } from "../support/setup.ts"

/** `late`: the pipeline starts when the commit waits already, and has been acknowledged. */
const scene = async (rules: CopyRules.CopyRules, late: boolean, prepared = false) => {
  const server = await startServer()
  atEnd(() => server.stop())
  const where = { url: server.url(), slot: "standby_copy" }
  server.psql("CREATE TABLE t(id int PRIMARY KEY, stamp bigint, pad text); INSERT INTO t SELECT g, 1, 'p' FROM generate_series(1, 20) g")
  await init(where.url, where.slot)
  const receiver = await startReceiver()
  atEnd(() => receiver.close())
  server.psql(`INSERT INTO pgstream.webhook_subscriptions (url) VALUES ('${receiver.url}')`)
  const first = await startCopyPipeline({ ...where, rules })
  if (prepared) server.psql("BEGIN; UPDATE t SET stamp = 2 WHERE id = 7; PREPARE TRANSACTION 'it''s'")
  server.psql("ALTER SYSTEM SET synchronous_standby_names = 'nobody'")
  server.psql("SELECT pg_reload_conf()")
  const user = new OpenSession("postgres", server.port)
  const committed = user.run(prepared ? "COMMIT PREPARED 'it''s';" : "UPDATE t SET stamp = 2 WHERE id = 7;")
  await eventually("the change that nobody sees yet", () => receiver.values("id", "t").includes(7))
  const position = "SELECT confirmed_flush_lsn >= pg_current_wal_flush_lsn() - 8192 FROM pg_replication_slots"
  if (late) {
    await eventually("it is acknowledged", () => server.psql(position).trim() === "t")
    await first.stop()
    await startCopyPipeline({ ...where, rules })
  }
  const copy = await askFor(where, ["t"])
  await eventually("the copy has begun, or is over", () => server.psql("SELECT count(*) FROM pgstream.copy_tables WHERE state <> 'waiting'").trim() === "1")
  const waiting = "SELECT pid FROM pg_stat_activity WHERE wait_event = 'SyncRep'"
  // Long enough for a copy that does not wait: its rows have come then.
  await eventually("rows, or the time they would take", () => receiver.values("id", "t").length > 1 || rules.seeDelivered).then(() => new Promise((resolve) => setTimeout(resolve, 500)))
  const early = receiver.values("id", "t").length
  assert.match(server.psql(waiting).trim(), /^\d+$/)
  server.psql(`SELECT pg_cancel_backend(pid) FROM (${waiting}) w`)
  await committed
  await user.end()
  server.psql("ALTER SYSTEM RESET synchronous_standby_names")
  server.psql("SELECT pg_reload_conf()")
  await copyDone(where, copy.id)
  const oracle = applied(receiver)
  assert.isTrue(receiver.bodies.some((data) => valueOf(data.columns, "id") === 20))
  return { early, wrong: [...oracle.problems, ...differences(oracle, "t", server.psql("SELECT row_to_json(t) FROM t"), ["stamp", "pad"])] }
}

describe("a commit that waits for a synchronous standby", () => {
  it("a copy waits until its snapshot sees what the stream has delivered", async () => {
    assert.deepStrictEqual(await scene(CopyRules.all, false), { early: 1, wrong: [] })
  }, 90_000)

  it("also when it was delivered and acknowledged before the start", async () => {
    assert.deepStrictEqual(await scene(CopyRules.all, true), { early: 1, wrong: [] })
  }, 90_000)

  it("and with COMMIT PREPARED", async () => {
    assert.deepStrictEqual(await scene(CopyRules.all, true, true), { early: 1, wrong: [] })
  }, 90_000)

  it("without seeDelivered an older row comes after the event", async () => {
    assert.notDeepEqual((await scene(CopyRules.without("seeDelivered"), false)).wrong, [])
  }, 90_000)
})
