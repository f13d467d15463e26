/** What only somebody's action mends: exit code 4 and the command, from the binary. DESIGN.md "Failure table", rows 7 to 10. */
import { afterAll, assert, describe, inject, it } from "vitest"
import { atEnd } from "../support/atEnd.ts"
import { makeProgram } from "../support/binary.ts"
import type { Ended } from "../support/cli.ts"
import { eventually, testDatabase } from "../support/database.ts"
import { type PostgresServer, startServer } from "../support/PostgresServer.ts"
import { startReceiver } from "../support/Receiver.ts"
import { acknowledgeBeyond } from "../support/setup.ts"

const servers: Array<PostgresServer> = []
const server = async (conf: ReadonlyArray<string>) => {
  const started = await startServer({ conf })
  servers.push(started)
  return started
}
afterAll(() => Promise.all(servers.map((one) => one.stop())))

const receiver = await startReceiver()
afterAll(() => receiver.close())

/** The last line is the code: a heading of docs/errors.md. */
const assertRefused = ({ code, stderr }: Ended, errorCode: string, mend: RegExp | string) => {
  assert.strictEqual(code, 4, stderr)
  assert.include(stderr, errorCode)
  if (typeof mend === "string") assert.include(stderr, mend)
  else assert.match(stderr, mend)
  assert.notMatch(stderr, /postgres:postgres|\n {4}at /)
}

const subscribeAll = (url: string) => `INSERT INTO pgstream.webhook_subscriptions(url, schema_name, table_name) VALUES ('${url}', 'public', 't')`

describe("run", () => {
  it("refuses an older schema and names init; run --init migrates and goes on", async () => {
    const database = testDatabase("pre_schema")
    const program = await makeProgram({ url: database.url, slot: `${database.name}_s` })
    await program.init()
    database.psql(`CREATE TABLE t(id int PRIMARY KEY); ${subscribeAll(receiver.url)};
      DROP TABLE pgstream.streams, pgstream.copies, pgstream.copy_tables, pgstream.copy_keys CASCADE;
      DELETE FROM pgstream.migrations_source WHERE migration_id >= 4`)
    assertRefused(await program.start().ended, "SchemaOutdated", "pgstream init")
    const running = await program.run("--init")
    database.psql(`INSERT INTO t VALUES (1)`)
    await eventually("it delivers", () => receiver.values("id", "t").map(Number).includes(1))
    assert.strictEqual((await running.stop()).code, 0)
  })

  it("refuses without a slot, and ends when the slot is dropped under it", async () => {
    const database = testDatabase("pre_slot")
    const slot = `${database.name}_s`
    const program = await makeProgram({ url: database.url, slot, settings: { PGSTREAM_POSTGRES_LISTENER_EXP_BACKOFF_INITIAL_INTERVAL: "50ms", PGSTREAM_POSTGRES_LISTENER_EXP_BACKOFF_MAX_INTERVAL: "100ms" } })
    await program.init()
    const running = await program.run()
    await eventually("the slot is dropped between two connections", () => {
      try {
        database.psql(`SELECT pg_terminate_backend(active_pid) FROM pg_replication_slots WHERE slot_name = '${slot}' AND active; SELECT pg_drop_replication_slot('${slot}')`)
        return true
      } catch {
        return false
      }
    })
    assertRefused(await running.ended, "SlotMissing", "pgstream init")
    assertRefused(await program.start().ended, "SlotMissing", "pgstream init")
  })

  it("refuses without its publication, before anything is acknowledged", async () => {
    const database = testDatabase("pre_publication")
    const slot = `${database.name}_s`
    const program = await makeProgram({ url: database.url, slot })
    await program.init()
    const confirmed = () => database.psql(`SELECT confirmed_flush_lsn FROM pg_replication_slots WHERE slot_name = '${slot}'`).trim()
    const before = confirmed()
    database.psql(`CREATE TABLE t(id int PRIMARY KEY); DROP PUBLICATION pgstream; INSERT INTO t VALUES (1)`)
    assertRefused(await program.start().ended, "PublicationMissing", "pgstream init")
    assert.strictEqual(confirmed(), before)
  })

  it("refuses a slot beyond the end of the WAL; init makes it again and names the stretch", async () => {
    // A server of its own: on a shared one the WAL of others passes the position.
    const source = await server([])
    const program = await makeProgram({ url: source.url(), slot: "pre_ahead" })
    await program.init()
    await acknowledgeBeyond(source.url(), "pre_ahead", "pgoutput")
    await eventually("the reader is gone", () => source.psql(`SELECT active FROM pg_replication_slots`).trim() === "f")
    assertRefused(await program.start().ended, "PositionAheadOfWal", "pgstream init")
    assert.match((await program.init()).stderr, /NOTE {2}.*PositionAheadOfWal/s)
    source.psql(`CREATE TABLE t(id int PRIMARY KEY)`)
    source.psql(subscribeAll(receiver.url))
    const running = await program.run()
    source.psql(`INSERT INTO t VALUES (4)`)
    await eventually("it delivers", () => receiver.values("id", "t").map(Number).includes(4))
    assert.strictEqual((await running.stop()).code, 0)
  })
})

describe("servers that are set up otherwise", () => {
  it("wal_level: init and run say what to set, and that it needs a restart", async () => {
    const source = await server([])
    const program = await makeProgram({ url: source.url(), slot: "pre_wal" })
    await program.init()
    source.psql("SELECT pg_drop_replication_slot('pre_wal')")
    source.psql("ALTER SYSTEM SET wal_level = 'replica'")
    await source.restart()
    assertRefused(await program.command("init"), "WalLevel", /wal_level.*logical.*restart/is)
    assertRefused(await program.start().ended, "WalLevel", /wal_level.*logical.*restart/is)
  })

  it("an invalidated slot: run names init, and does not go on behind the gap by itself", async () => {
    const source = await server(["max_slot_wal_keep_size = '16MB'", "max_wal_size = '32MB'", "min_wal_size = '32MB'", "wal_keep_size = 0"])
    const program = await makeProgram({ url: source.url(), slot: "pre_lost" })
    await program.init()
    source.psql("CREATE TABLE fill(v text)")
    await eventually("the slot is lost", () => {
      source.psql("INSERT INTO fill SELECT repeat(md5(n::text), 100) FROM generate_series(1, 5000) n; SELECT pg_switch_wal(); CHECKPOINT")
      return source.psql("SELECT wal_status FROM pg_replication_slots").trim() === "lost"
    }, 60_000)
    assertRefused(await program.start().ended, "SlotInvalidated", "pgstream init")
  })

  it.skipIf(!inject("postgresHasWal2json"))("a plugin that the server does not allow: the setting is named", async (context) => {
    const source = await server([])
    const known = source.psql("SELECT count(*) FROM pg_settings WHERE name = 'output_plugin_libraries'").trim() === "1"
    if (!known) return context.skip("this server has no output_plugin_libraries")
    source.psql("ALTER SYSTEM SET output_plugin_libraries = 'pgoutput, test_decoding'")
    await source.restart()
    source.psql("CREATE ROLE app LOGIN REPLICATION; GRANT CREATE ON DATABASE postgres TO app")
    const program = await makeProgram({ url: source.url().replace("postgres:postgres@", "app@"), slot: "pre_plugin" })
    assertRefused(await program.command("init", "--plugin", "wal2json"), "PluginNotAllowed", "output_plugin_libraries")
  })
})

describe("an event that is larger than the limit", () => {
  const plugins = inject("postgresHasWal2json") ? ["pgoutput", "wal2json"] : ["pgoutput"]
  it.each(plugins)("is dead with its position, and the stream goes on, also after a kill (%s)", async (plugin) => {
    const database = testDatabase(`pre_large_${plugin}`)
    const program = await makeProgram({ url: database.url, slot: `${database.name}_s`, settings: { PGSTREAM_POSTGRES_REPLICATION_MAX_MESSAGE_BYTES: "20KB" } })
    const own = await startReceiver()
    atEnd(() => own.close())
    await program.init("--plugin", plugin)
    database.psql(`CREATE TABLE t(id int PRIMARY KEY, v text); ${subscribeAll(own.url)}`)
    const first = await program.run()
    database.psql(`INSERT INTO t VALUES (1, 'a'); INSERT INTO t VALUES (2, repeat('hush', 10000)); INSERT INTO t VALUES (3, 'c')`)
    await eventually("the others come", () => own.accepted.size === 2)
    await eventually("it is dead", () => database.psql(`SELECT count(*) FROM pgstream.webhook_deliveries WHERE state = 'dead'`).trim() === "1")
    assert.match(database.psql(`SELECT commit_lsn > '0/0', last_error FROM pgstream.webhook_deliveries`).trim(), /^t\|.*bytes, over the limit of 20000/)
    await first.crash()
    const second = await program.run()
    database.psql(`INSERT INTO t VALUES (4, 'd')`)
    await eventually("the stream goes on", () => own.accepted.size === 3)
    assert.deepStrictEqual([...own.values("id")].map(Number), [1, 3, 4])
    assert.deepStrictEqual([...own.accepted.values()].map(({ sequence }) => sequence), [1, 3, 4])
    assert.strictEqual(database.psql(`SELECT count(*) FROM pgstream.webhook_deliveries`).trim(), "1")
    assert.notInclude(first.stderr() + second.stderr(), "hushhush")
    assert.match((await program.command("status")).stdout, /1 deliveries are not tried any more/)
    assert.strictEqual((await second.stop()).code, 0)
  })
})
