/** The database of the system that we replace, taken over in place. */
import { assert, describe, it } from "@effect/vitest"
import { spawn } from "node:child_process"
import { join } from "node:path"
import { inject } from "vitest"
import { eventually, testDatabase } from "../support/database.ts"
import { seed, type SeedIds } from "../support/seedDatabase.ts"
import { acknowledgeBeyond, check, checkFails, destroy, init, initFails, status } from "../support/setup.ts"

/** Ids of the tables, entries and rows of the seed, as they are now. */
const kept = (psql: (sql: string) => string): SeedIds & { readonly subscriptions: string } => {
  const id = (sql: string) => psql(sql).trim()
  return {
    users: id(`SELECT id FROM pgstream.table_ids WHERE oid = 'public.users'::regclass::oid`),
    logs: id(`SELECT id FROM pgstream.table_ids WHERE oid = 'public.logs'::regclass::oid`),
    first: id(`SELECT id FROM pgstream.schema_log WHERE schema_name = 'public' AND version = 1`),
    second: id(`SELECT id FROM pgstream.schema_log WHERE schema_name = 'public' AND version = 2`),
    subscriptions: id(`SELECT count(*) FROM pgstream.webhook_subscriptions`)
  }
}

describe("takeover", () => {
  const seven = testDatabase("takeover_seven")
  const eight = testDatabase("takeover_eight")
  const ahead = testDatabase("takeover_ahead")
  const running = testDatabase("takeover_running")
  const halted = testDatabase("takeover_halted")
  const later = testDatabase("takeover_later")
  const copy = testDatabase("takeover_copy")

  for (const [database, version] of [[seven, 7], [eight, 8]] as const) {
    it(`keeps ids, versions, subscriptions, slot and plugin of migration ${version}`, async () => {
      const { url, name, psql } = database
      const slot = `${name}_slot`
      const ids = seed(database, version)
      psql(`SELECT pg_create_logical_replication_slot('${slot}', 'wal2json')`)
      const position = psql(`SELECT confirmed_flush_lsn FROM pg_replication_slots WHERE slot_name = '${slot}'`).trim()
      const before = await status(url, slot)
      assert.deepStrictEqual([before.migrationVersion, before.findings.map((finding) => finding.code)], [version, ["TakeoverPending"]])
      assert.strictEqual((await checkFails(url, slot)).code, "TakeoverPending")

      const report = await init(url, slot)
      assert.deepStrictEqual([report.slotCreated, report.plugin], [false, "wal2json"])
      assert.deepStrictEqual(kept(psql), { ...ids, subscriptions: "4" })
      assert.strictEqual(psql(`SELECT plugin, confirmed_flush_lsn FROM pg_replication_slots WHERE slot_name = '${slot}'`), `wal2json|${position}\n`)
      assert.strictEqual(psql(`SELECT string_agg(evtname, ' ' ORDER BY 1) FROM pg_event_trigger`), "pgstream_ddl pgstream_drop\n")
      assert.strictEqual(psql(`SELECT DISTINCT order_mode, concurrency FROM pgstream.webhook_endpoints`), "total|1\n")
      assert.strictEqual(psql(`SELECT count(*) FROM pgstream.endpoint_streams WHERE paused`), "0\n")
      assert.strictEqual(
        psql(`SELECT s.shape ->> 'name', s.shape ->> 'tableId' FROM pgstream.checkpoint_shapes s ORDER BY 1`),
        `logs|${ids.logs}\nusers|${ids.users}\n`)
      assert.strictEqual(psql(`SELECT v.entry ->> 'version', v.entry ->> 'entryId' FROM pgstream.checkpoint_versions v WHERE schema_name = 'public'`), `2|${ids.second}\n`)
      assert.strictEqual(psql(`SELECT count(*) FROM pgstream.checkpoint_definitions`), "4\n")

      const notes = report.notes.join("\n")
      assert.match(notes, new RegExp(`Taken over: .*migration ${version}`))
      assert.match(notes, new RegExp(`position \\(${position}\\) is not to be trusted.*goes on from ${position}; the WAL ends at`, "s"))
      assert.match(notes, /one request at a time \(order total\).*pgstream subscriptions update URL --order key --concurrency default/)
      assert.match(notes, /nothing can be sent to.*it is empty.*its scheme is "ftp:"/)
      assert.notInclude(notes, "secret")

      await check(url, slot)
      const after = await status(url, slot)
      assert.deepStrictEqual(after.findings, [])
      assert.match(after.notes.join(), /order total/)
      const again = await init(url, slot)
      assert.notMatch(again.notes.join("\n"), /Taken over|order total/)
      await destroy(url, slot)
      assert.strictEqual(psql(`SELECT (SELECT count(*) FROM pg_namespace WHERE nspname = 'pgstream'), (SELECT count(*) FROM pg_event_trigger)`), "0|0\n")
    })
  }

  it("makes a slot again that the old program left beyond the end of the WAL", async () => {
    const { url, name, psql } = ahead
    const slot = `${name}_slot`
    const ids = seed(ahead, 8)
    psql(`SELECT pg_create_logical_replication_slot('${slot}', 'wal2json')`)
    await acknowledgeBeyond(url, slot)
    await eventually("the reader is gone", () => psql(`SELECT active FROM pg_replication_slots WHERE slot_name = '${slot}'`).trim() === "f")
    const report = await init(url, slot)
    assert.deepStrictEqual([report.slotCreated, report.plugin], [true, "wal2json"])
    assert.match(report.notes.join("\n"), /not to be trusted.*Made again: .*PositionAheadOfWal/s)
    assert.deepStrictEqual(kept(psql), { ...ids, subscriptions: "4" })
    assert.strictEqual(psql(`SELECT count(*) FROM pgstream.endpoint_streams WHERE paused`), "0\n")
    psql(`INSERT INTO users VALUES (1)`)
    assert.strictEqual(psql(`SELECT count(*) > 0 FROM pg_logical_slot_peek_changes('${slot}', NULL, NULL)`), "t\n")
  })

  it("says it again when the first attempt did not come to its end", async () => {
    const { url, name, psql } = halted
    const slot = `${name}_slot`
    const ids = seed(halted, 8)
    psql(`SELECT pg_create_logical_replication_slot('${slot}', 'wal2json')`)
    psql(`BEGIN; INSERT INTO users VALUES (1); PREPARE TRANSACTION '${name}'`)
    const error = await initFails(url, slot, { waitMs: 200 }).finally(() => psql(`ROLLBACK PREPARED '${name}'`))
    assert.match(error.summary, /was taken back, but not: the upgrade of schema pgstream\./)
    assert.strictEqual((await checkFails(url, slot)).code, "TakeoverPending")
    const report = await init(url, slot)
    assert.match(report.notes.join("\n"), /Taken over.*not to be trusted.*4 endpoints taken over with the old order/s)
    assert.deepStrictEqual(kept(psql), { ...ids, subscriptions: "4" })
  })

  it("refuses while the old process holds the slot, and names it", async () => {
    const { url, name, port, psql } = running
    const slot = `${name}_slot`
    seed(running, 8)
    psql(`SELECT pg_create_logical_replication_slot('${slot}', 'wal2json')`)
    const old = spawn(join(inject("postgresBin"), "pg_recvlogical"), ["-h", "127.0.0.1", "-p", String(port), "-U", "postgres", "-d", name, "-S", slot, "--start", "-f", "/dev/null"],
      { stdio: "ignore", env: { ...process.env, PGAPPNAME: "old-program" } })
    const ended = new Promise<void>((resolve) => old.once("exit", () => resolve()))
    try {
      await eventually("it reads", () => psql(`SELECT active FROM pg_replication_slots WHERE slot_name = '${slot}'`).trim() === "t")
      const error = await initFails(url, slot)
      assert.deepStrictEqual([error.code, error.exitCode], ["SlotInUse", 4])
      assert.match(error.summary, /the old program still runs: .*pid \d+, application "(old-program|pg_recvlogical)".*Nothing was changed/)
      assert.strictEqual(psql(`SELECT string_agg(evtname, ' ' ORDER BY 1) FROM pg_event_trigger`).trim(), "pgstream_log_schema_create_alter_table pgstream_log_schema_drop_schema_table")
    } finally {
      old.kill()
      await ended
    }
  })

  it("refuses what came after migration 8 with the way that works, and what was left half done", async () => {
    const { url, name, psql } = later
    seed(later, 8)
    psql(`UPDATE pgstream.schema_migrations SET dirty = true`)
    assert.strictEqual((await initFails(url, `${name}_slot`)).code, "TakeoverUnfinished")
    psql(`UPDATE pgstream.schema_migrations SET version = 14, dirty = false; DROP TABLE pgstream.schema_log`)
    const error = await initFails(url, `${name}_slot`)
    assert.deepStrictEqual([error.code, error.exitCode], ["TakeoverUnknownVersion", 4])
    assert.match(error.mend, /CREATE TABLE public\.kept.*destroy.*init.*INSERT INTO pgstream\.webhook_subscriptions/)
    assert.strictEqual((await status(url, `${name}_slot`)).findings[0]?.code, "TakeoverUnknownVersion")
    assert.strictEqual(psql(`SELECT count(*) FROM pgstream.webhook_subscriptions`), "4\n")

    psql(`CREATE TABLE public.kept AS TABLE pgstream.webhook_subscriptions`)
    await destroy(url, `${name}_slot`)
    await init(url, `${name}_slot`)
    psql(`INSERT INTO pgstream.webhook_subscriptions (url, schema_name, table_name, event_types) SELECT url, schema_name, table_name, event_types FROM public.kept`)
    assert.strictEqual(psql(`SELECT count(*) FROM pgstream.webhook_subscriptions WHERE endpoint_id IS NOT NULL`), "4\n")
  })

  it("starts a restored copy of it paused, with the ids of the tables by name", async () => {
    const { url, name, psql } = copy
    const ids = seed(copy, 8)
    psql(`SET pgstream.skip_log = 'TRUE'; CREATE TABLE moved AS TABLE users; DROP TABLE users; ALTER TABLE moved RENAME TO users; ALTER TABLE users ADD PRIMARY KEY (id)`)
    const report = await init(url, `${name}_slot`)
    assert.match(report.notes.join("\n"), /restored copy.*4 endpoints start paused.*init --adopt/s)
    assert.strictEqual(psql(`SELECT count(*) FROM pgstream.endpoint_streams WHERE paused`), "4\n")
    assert.strictEqual(psql(`SELECT id FROM pgstream.table_ids WHERE oid = 'users'::regclass::oid`).trim(), ids.users)
  })
})
