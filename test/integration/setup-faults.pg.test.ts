/** What stands in the way of `init`, what it waits for, and that nothing is left behind. */
import { assert, describe, it } from "@effect/vitest"
import { type ChildProcess, spawn } from "node:child_process"
import { join } from "node:path"
import { afterAll, inject } from "vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import * as PublicationScan from "../../src/layers/postgres/setup/PublicationScan.ts"
import { make, SourceSql } from "../../src/layers/postgres/Sql.ts"
import { Setup } from "../../src/services/Setup.ts"
import { startServer } from "../support/PostgresServer.ts"
import { eventually, type TestDatabase, testDatabase } from "../support/database.ts"
import { check, checkFails, destroy, init, initDefaults, initFails, setupLayer, status } from "../support/setup.ts"

const children: Array<ChildProcess> = []
afterAll(() => children.forEach((child) => child.kill("SIGKILL")))

/** A psql session of its own that stays open. */
const session = (database: TestDatabase, application: string) => {
  const child = spawn(join(inject("postgresBin"), "psql"), ["-X", "-q", "-h", "127.0.0.1", "-p", String(database.port), "-U", "postgres", "-d", database.name], {
    stdio: ["pipe", "ignore", "ignore"], env: { ...process.env, PGAPPNAME: application }
  })
  children.push(child)
  const closed = new Promise<void>((resolve) => child.once("exit", () => resolve()))
  return {
    send: (sql: string) => void child.stdin.write(`${sql}\n`),
    end: () => {
      child.stdin.end()
      return closed
    }
  }
}

/** Objects that are not the user's; empty = nothing was left. */
const leftovers = (database: TestDatabase): string =>
  database.psql(`
    SELECT 'schema' FROM pg_namespace WHERE nspname = 'pgstream' UNION ALL SELECT 'trigger ' || evtname FROM pg_event_trigger
    UNION ALL SELECT 'publication ' || pubname FROM pg_publication UNION ALL SELECT 'slot ' || slot_name FROM pg_replication_slots WHERE database = current_database()
    UNION ALL SELECT 'identity ' || relname FROM pg_class WHERE relreplident <> 'd' AND relkind = 'r' AND relnamespace = 'public'::regnamespace`).trim()

const openTransaction = async (database: TestDatabase, application: string, sql = "SELECT 1;") => {
  const psql = session(database, application)
  psql.send(`BEGIN; ${sql}`)
  await eventually("the transaction is open", () =>
    database.psql(`SELECT count(*) FROM pg_stat_activity WHERE application_name = '${application}' AND state = 'idle in transaction'`).trim() === "1")
  return psql
}

describe("transactions that are older than the triggers", () => {
  const waits = testDatabase("setup_waits")
  const limit = testDatabase("setup_limit")
  const prepared = testDatabase("setup_prepared")
  const interrupted = testDatabase("setup_interrupted")
  const elsewhere = testDatabase("setup_elsewhere")
  const slotless = testDatabase("setup_slotless")

  it("waits for them, and tells who they are", async () => {
    waits.psql(`CREATE TABLE keyless(v int)`)
    const psql = await openTransaction(waits, "old-batch", "INSERT INTO keyless VALUES (1);")
    const lines: Array<string> = []
    const running = init(waits.url, "setup_waits_slot", { progress: (line) => lines.push(line) })
    await eventually("init names the session", () => lines.length > 0)
    assert.match(lines[0]!, /application "old-batch", user postgres, idle in transaction since/)
    assert.strictEqual(waits.psql(`SELECT count(*) FROM pg_publication`).trim(), "0")
    psql.send("CREATE TABLE late(v int); COMMIT;")
    assert.isTrue((await running).slotCreated)
    await psql.end()
    const later = await openTransaction(waits, "later-batch")
    assert.isFalse((await init(waits.url, "setup_waits_slot", { waitMs: 0 })).slotCreated)
    await later.end()
    assert.strictEqual(waits.psql(`UPDATE late SET v = 1; SELECT relreplident FROM pg_class WHERE relname = 'late'`).trim(), "f")
    await destroy(waits.url, "setup_waits_slot")
  })

  it("gives up after the limit, names them, and takes everything back", async () => {
    limit.psql(`CREATE TABLE keyless(v int)`)
    const psql = await openTransaction(limit, "stuck-session")
    const error = await initFails(limit.url, "setup_limit_slot", { waitMs: 300 })
    assert.deepStrictEqual([error.code, error.exitCode], ["OlderTransactions", 1])
    assert.match(error.message, /stuck-session.*What this call made was taken back\./s)
    assert.match(error.mend, /--wait/)
    assert.strictEqual(leftovers(limit), "")
    await psql.end()
  })

  it("takes the publication and the identities back when the slot cannot be made", async () => {
    elsewhere.psql(`CREATE TABLE w(v int)`)
    slotless.psql(`CREATE TABLE keyless(v int)`)
    const psql = await openTransaction(elsewhere, "writer-elsewhere", "INSERT INTO w VALUES (1);")
    const lines: Array<string> = []
    const error = await initFails(slotless.url, "setup_slotless_slot", { waitMs: 3_000, progress: (line) => lines.push(line) })
    assert.match(lines.join("\n"), /The slot waits for transactions that write: .*writer-elsewhere/)
    assert.match(error.summary, new RegExp(`database ${elsewhere.name}, application "writer-elsewhere"`))
    assert.strictEqual(error.code, "OlderTransactions")
    assert.match(error.summary, /Cannot make replication slot .*another database of the server/)
    assert.strictEqual(leftovers(slotless), "")
    await psql.end()
    assert.isTrue((await init(slotless.url, "setup_slotless_slot")).slotCreated)
  })

  it("waits for prepared transactions too", async () => {
    prepared.psql(`CREATE TABLE t(v int)`)
    prepared.psql(`BEGIN; INSERT INTO t VALUES (1); PREPARE TRANSACTION 'two_phase_${prepared.name}'`)
    const error = await initFails(prepared.url, "setup_prepared_slot", { waitMs: 300 })
      .finally(() => prepared.psql(`ROLLBACK PREPARED 'two_phase_${prepared.name}'`))
    assert.include(error.summary, `prepared transaction 'two_phase_${prepared.name}'`)
    assert.strictEqual(leftovers(prepared), "")
  })

  it("takes everything back when it is interrupted", async () => {
    const psql = await openTransaction(interrupted, "patient")
    let told = false
    await Effect.runPromise(Effect.gen(function*() {
      const setup = yield* Setup
      const fiber = yield* Effect.forkChild(setup.init({ ...initDefaults, progress: () => { told = true } }))
      yield* Effect.promise(() => eventually("it waits", () => told))
      const second = yield* Effect.flip(setup.init(initDefaults))
      assert.strictEqual(second.code, "SetupRunning")
      yield* Fiber.interrupt(fiber)
    }).pipe(Effect.provide(setupLayer(interrupted.url, "setup_interrupted_slot"))))
    assert.strictEqual(leftovers(interrupted), "")
    await psql.end()
  })
})

describe("tables that cannot be covered", () => {
  const locked = testDatabase("setup_locked")
  const kept = testDatabase("setup_kept")
  const poor = testDatabase("setup_poor")

  it("names tables that stay locked, and gives the others back", async () => {
    locked.psql(`CREATE TABLE free(v int); CREATE TABLE busy(v int)`)
    const older = await openTransaction(locked, "older")
    const lines: Array<string> = []
    const running = initFails(locked.url, "setup_locked_slot", { waitMs: 5_000, progress: (line) => lines.push(line) })
    await eventually("init waits", () => lines.length > 0)
    const psql = await openTransaction(locked, "locker", "LOCK TABLE busy IN SHARE MODE;")
    await older.end()
    const error = await running
    assert.strictEqual(error.code, "TablesLocked")
    assert.match(error.summary, /public\.busy\. What this call made was taken back\./)
    assert.match(lines.join("\n"), /Waiting for tables that are in use: public\.busy/)
    assert.strictEqual(leftovers(locked), "")
    await psql.end()
  })

  it("leaves identities alone when asked to, and publishes keyless tables for INSERT and TRUNCATE only", async () => {
    kept.psql(`CREATE TABLE keyed(id int PRIMARY KEY); CREATE TABLE keyless(v int)`)
    const report = await init(kept.url, "setup_kept_slot", { keepIdentities: true })
    assert.match(report.notes.join("\n"), /INSERT and TRUNCATE only.*public\.keyless/)
    kept.psql(`INSERT INTO keyless VALUES (1); UPDATE keyless SET v = 2; DELETE FROM keyless; CREATE TABLE later(v int); UPDATE later SET v = 1`)
    assert.strictEqual(kept.psql(`SELECT string_agg(relreplident::text, '') FROM pg_class WHERE relname IN ('keyed', 'keyless', 'later')`).trim(), "ddd")
    assert.strictEqual(
      kept.psql(`SELECT pubname, tablename FROM pg_publication_tables WHERE schemaname = 'public' ORDER BY 1, 2`).trim(),
      "pgstream|keyed\npgstream_inserts|keyless")
    assert.match((await status(kept.url, "setup_kept_slot")).findings.map((finding) => finding.summary).join(), /not published: public\.later/)
    await Effect.runPromise(Effect.promise(() => eventually("the scan adds the new table", () =>
      kept.psql(`SELECT pubname FROM pg_publication_tables WHERE tablename = 'later'`).trim() === "pgstream_inserts")).pipe(
      Effect.provide(PublicationScan.layer(50).pipe(Layer.provide(Layer.effect(SourceSql, make(Redacted.make(kept.url), "scan")))))))
    kept.psql(`ALTER TABLE later ADD PRIMARY KEY (v); CREATE TABLE another(v int)`)
    await init(kept.url, "setup_kept_slot", { keepIdentities: true })
    assert.strictEqual(kept.psql(`SELECT pubname FROM pg_publication_tables WHERE tablename IN ('later', 'another') ORDER BY tablename`).trim(), "pgstream_inserts\npgstream")
    assert.deepStrictEqual((await status(kept.url, "setup_kept_slot")).findings, [])
    await destroy(kept.url, "setup_kept_slot")
    assert.strictEqual(leftovers(kept), "")
  })

  it("does what a role without superuser may do, and says what is missing", async () => {
    const role = `poor_${poor.name}`
    poor.psql(`CREATE ROLE ${role} LOGIN REPLICATION; GRANT CREATE ON DATABASE "${poor.name}" TO ${role}; GRANT ALL ON SCHEMA public TO ${role};
      CREATE TABLE others(id int PRIMARY KEY); SET ROLE ${role}; CREATE TABLE keyed(id int PRIMARY KEY); CREATE TABLE keyless(v int)`)
    const url = poor.url.replace("postgres:postgres@", `${role}@`)
    const report = await init(url, "setup_poor_slot")
    const notes = report.notes.join("\n")
    assert.match(notes, /may make no event triggers/)
    assert.match(notes, /Not published, because role .* does not own them: public\.others/)
    assert.strictEqual(
      poor.psql(`SELECT pubname, string_agg(tablename, ' ' ORDER BY tablename) FROM pg_publication_tables WHERE schemaname = 'public' GROUP BY 1`).trim(),
      "pgstream|keyed keyless")
    assert.strictEqual(poor.psql(`SELECT count(*) FROM pg_publication_tables WHERE pubname = 'pgstream' AND tablename IN ('ddl', 'webhook_subscriptions', 'marks')`).trim(), "3")
    await check(url, "setup_poor_slot")
    assert.deepStrictEqual((await status(url, "setup_poor_slot")).findings.map((finding) => finding.code), ["TablesUncovered"])
    await destroy(url, "setup_poor_slot")
    assert.strictEqual(leftovers(poor), "")
    poor.psql(`DROP TABLE keyed, keyless; REVOKE ALL ON SCHEMA public FROM ${role}; REVOKE ALL ON DATABASE "${poor.name}" FROM ${role}; DROP ROLE ${role}`)
  })
})

describe("faults that SQL shows", () => {
  const versions = testDatabase("setup_versions")
  const privilege = testDatabase("setup_privilege")
  const held = testDatabase("setup_held")
  const deliveries = testDatabase("setup_deliveries")

  it("tells an older schema from a newer one", async () => {
    const slot = "setup_versions_slot"
    await init(versions.url, slot)
    versions.psql(`DELETE FROM pgstream.migrations_source WHERE migration_id = (SELECT max(migration_id) FROM pgstream.migrations_source)`)
    const older = await checkFails(versions.url, slot)
    assert.deepStrictEqual([older.code, older.exitCode], ["SchemaOutdated", 4])
    assert.match(older.mend, /pgstream init/)
    assert.deepStrictEqual((await status(versions.url, slot)).findings.map((finding) => [finding.part, finding.code]), [["migration", "SchemaOutdated"]])
    versions.psql(`INSERT INTO pgstream.migrations_source(migration_id, name) VALUES (999, 'later')`)
    assert.strictEqual((await checkFails(versions.url, slot)).code, "SchemaNewer")
    const error = await initFails(versions.url, slot)
    assert.deepStrictEqual([error.code, error.exitCode], ["SchemaNewer", 4])
    versions.psql(`ALTER EVENT TRIGGER pgstream_ddl DISABLE; DELETE FROM pgstream.migrations_source WHERE migration_id = 999;
      INSERT INTO pgstream.migrations_source(migration_id, name) SELECT max(migration_id) + 1, 'again' FROM pgstream.migrations_source`)
    assert.deepStrictEqual((await status(versions.url, slot)).findings.map((finding) => finding.code), ["TriggersMissing"])
    await init(versions.url, slot)
    assert.deepStrictEqual((await status(versions.url, slot)).findings, [])
  })

  it("names the grant that is missing", async () => {
    const role = `nobody_${privilege.name}`
    privilege.psql(`CREATE ROLE ${role} LOGIN`)
    const url = privilege.url.replace("postgres:postgres@", `${role}@`)
    const error = await initFails(url, "setup_privilege_slot")
    assert.deepStrictEqual([error.code, error.exitCode], ["NoPrivilege", 4])
    assert.include(error.mend, `ALTER ROLE "${role}" REPLICATION;`)
    privilege.psql(`ALTER ROLE ${role} REPLICATION`)
    assert.include((await initFails(url, "setup_privilege_slot")).mend, `GRANT CREATE ON DATABASE "${privilege.name}" TO "${role}";`)
    await init(privilege.url, "setup_privilege_slot")
    const report = await status(url, "setup_privilege_slot")
    assert.deepStrictEqual([report.reachable, report.findings.map((finding) => finding.code)], [true, ["NoPrivilege"]])
    assert.include(report.findings[0]!.mend, `GRANT USAGE ON SCHEMA pgstream TO "${role}"`)
    privilege.psql(`REVOKE ALL ON DATABASE "${privilege.name}" FROM ${role}; DROP ROLE ${role}`)
  })

  it("leaves everything when somebody reads the slot, and names the reader", async () => {
    const slot = "setup_held_slot"
    await init(held.url, slot)
    const reader = spawn(join(inject("postgresBin"), "pg_recvlogical"), ["-h", "127.0.0.1", "-p", String(held.port), "-U", "postgres", "-d", held.name, "-S", slot,
      "--start", "-f", "/dev/null", "-o", "proto_version=1", "-o", "publication_names=pgstream"], { stdio: "ignore" })
    children.push(reader)
    const ended = new Promise<void>((resolve) => reader.once("exit", () => resolve()))
    await eventually("it reads", () => held.psql(`SELECT active FROM pg_replication_slots WHERE slot_name = '${slot}'`).trim() === "t")
    assert.deepStrictEqual((await status(held.url, slot)).findings.map((finding) => finding.code), ["SlotInUse"])
    const error = await destroy(held.url, slot).then(() => assert.fail("destroyed"), (cause: unknown) => cause)
    assert.match(String(error), /application "pg_recvlogical".*Nothing was changed/s)
    assert.deepStrictEqual((await init(held.url, slot)).slotCreated, false)
    reader.kill()
    await ended
    await eventually("it is free", () => held.psql(`SELECT active FROM pg_replication_slots WHERE slot_name = '${slot}'`).trim() === "f")
    await destroy(held.url, slot)
    assert.strictEqual(leftovers(held), "")
  })

  it("counts what is parked and dead, without a word of the bodies", async () => {
    const slot = "setup_deliveries_slot"
    await init(deliveries.url, slot)
    deliveries.psql(`
      INSERT INTO pgstream.webhook_subscriptions(url, schema_name, table_name) VALUES ('http://user:secret@127.0.0.1:1/x?token=secret', '', '');
      INSERT INTO pgstream.webhook_deliveries(stream, endpoint_id, event_id, commit_lsn, ordinal, state, due_at, attempts, retries, sequence, last_error, table_name, kind, selected_by, keys, body)
      SELECT c.stream, e.id, 'e' || n, '0/1', n, CASE WHEN n < 3 THEN 'waiting' ELSE 'dead' END, now(), 1, 0, n, 'status 500', 'public.t', 'I', '', '', 'secret'
        FROM pgstream.checkpoint c, pgstream.webhook_endpoints e, generate_series(1, 3) n`)
    const report = await status(deliveries.url, slot)
    assert.deepStrictEqual(
      report.findings.map((finding) => [finding.area, finding.code, finding.summary]),
      [["delivery", "DeliveriesParked", "2 deliveries are parked: 2 for http://127.0.0.1:1/x (status 500)"],
        ["delivery", "DeliveriesDead", "1 deliveries are not tried any more: 1 for http://127.0.0.1:1/x (status 500)"]])
    assert.notInclude(JSON.stringify(report), "secret")
  })

  it("says that the server cannot be reached, and exits with 4", async () => {
    const report = await status("postgres://postgres:secret@127.0.0.1:1/x?sslmode=disable", "s")
    assert.isFalse(report.reachable)
    assert.deepStrictEqual(
      report.findings.map((finding) => [finding.area, finding.part, finding.code]),
      [["source", undefined, "ConnectionRefused"], ["init", "schema", "ConnectionRefused"], ["init", "migration", "ConnectionRefused"], ["init", "slot", "ConnectionRefused"]])
    assert.notInclude(JSON.stringify(report), "secret")
    const error = await initFails("postgres://postgres:secret@127.0.0.1:1/x?sslmode=disable", "s")
    assert.deepStrictEqual([error.code, error.exitCode], ["ConnectionRefused", 4])
  })
})

describe("servers that are set up otherwise", () => {
  const servers: Array<Awaited<ReturnType<typeof startServer>>> = []
  const start = async (conf: ReadonlyArray<string>) => {
    const server = await startServer({ conf })
    servers.push(server)
    return server
  }
  afterAll(() => Promise.all(servers.map((server) => server.stop())))

  it("names wal_level, the libraries and a synchronous standby", async () => {
    const server = await start(["wal_level = replica", "max_wal_senders = 3"])
    const error = await initFails(server.url(), "pgstream_postgres_slot")
    assert.deepStrictEqual([error.code, error.exitCode], ["WalLevel", 4])
    assert.include((await status(server.url(), "pgstream_postgres_slot")).findings.map((finding) => finding.code), "WalLevel")
    assert.strictEqual(server.psql("SELECT count(*) FROM pg_namespace WHERE nspname = 'pgstream'").trim(), "0")
    server.psql("ALTER SYSTEM SET wal_level = 'logical'")
    server.psql("ALTER SYSTEM SET output_plugin_libraries = 'pgoutput, test_decoding'")
    server.psql("ALTER SYSTEM SET max_replication_slots = 1")
    server.psql("ALTER SYSTEM SET synchronous_standby_names = '*'")
    await server.restart()
    server.psql("SET synchronous_commit = local; CREATE ROLE app LOGIN REPLICATION; GRANT CREATE ON DATABASE postgres TO app")
    const notAllowed = await initFails(server.url().replace("postgres:postgres@", "app@"), "app_slot", { plugin: "wal2json" })
    assert.deepStrictEqual([notAllowed.code, notAllowed.exitCode], ["PluginNotAllowed", 4])
    assert.match(notAllowed.mend, /output_plugin_libraries = 'pgoutput', 'test_decoding', 'wal2json'/)
    const report = await init(server.url(), "pgstream_postgres_slot", { plugin: "wal2json" })
    assert.match(report.notes.join("\n"), /synchronous standby/)
    assert.deepStrictEqual((await status(server.url(), "pgstream_postgres_slot")).findings.map((finding) => finding.code), ["SynchronousStandby"])
    assert.strictEqual((await initFails(server.url(), "another_slot")).code, "TooManySlots")
  })

  it("makes an invalidated slot again, and warns before it is", async () => {
    const server = await start(["max_slot_wal_keep_size = '16MB'", "max_wal_size = '32MB'", "min_wal_size = '32MB'", "wal_keep_size = 0"])
    const slot = "pgstream_postgres_slot"
    await init(server.url(), slot)
    server.psql("CREATE TABLE fill(v text)")
    assert.deepStrictEqual((await status(server.url(), slot)).findings, [])
    await eventually("less than a tenth of the limit is left", () => {
      server.psql("SELECT pg_logical_emit_message(false, 'noise', repeat('x', 500000))")
      return Number(server.psql("SELECT safe_wal_size FROM pg_replication_slots")) < 1.6 * 1024 * 1024
    }, 60_000)
    const [risk, ...more] = (await status(server.url(), slot)).findings
    assert.deepStrictEqual([risk?.code, more], ["SlotAtRisk", []])
    assert.match(`${risk?.summary} ${risk?.mend}`, /may be lost: [01] MiB of WAL are left of max_slot_wal_keep_size \(16 MB\).*ALTER SYSTEM SET max_slot_wal_keep_size/)
    await eventually("the slot is lost", () => {
      server.psql("INSERT INTO fill SELECT repeat(md5(n::text), 100) FROM generate_series(1, 5000) n; SELECT pg_switch_wal(); CHECKPOINT")
      return server.psql("SELECT wal_status FROM pg_replication_slots").trim() === "lost"
    }, 60_000)
    assert.deepStrictEqual((await status(server.url(), slot)).findings.map((finding) => finding.code), ["SlotInvalidated"])
    assert.strictEqual((await checkFails(server.url(), slot)).code, "SlotInvalidated")
    const again = await init(server.url(), slot)
    assert.isTrue(again.slotCreated)
    assert.match(again.notes.join("\n"), /SlotInvalidated.*the stretch from .* to .* is not delivered/)
    await check(server.url(), slot)
  })
})
