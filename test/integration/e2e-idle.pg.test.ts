/** An idle database: nothing is written, by anybody, for many times every interval that the program has. */
import { afterAll, assert, describe, inject, it } from "vitest"
import { makeProgram, subscribe } from "../support/binary.ts"
import { eventually } from "../support/database.ts"
import { type PostgresServer, startServer } from "../support/PostgresServer.ts"
import { startReceiver } from "../support/Receiver.ts"

/** A server of its own, without what writes by itself; it asks for an answer every two seconds. */
const conf = ["autovacuum = off", "checkpoint_timeout = 1h", "bgwriter_lru_maxpages = 0", "wal_sender_timeout = 4s"]
/** Of the server's own, once after others wrote: the background writer's list of running transactions, bytes. */
const OWN_RECORD = 256
const WATCH_MS = Number(process.env["PGSTREAM_IDLE_MS"] ?? "8000")

const server: PostgresServer = await startServer({ conf })
const receiver = await startReceiver()
afterAll(async () => {
  await receiver.close()
  await server.stop()
})

/** The next transaction id, and the row that is written most often. Asking writes nothing. */
const state = () => server.psql(`SELECT pg_snapshot_xmax(pg_current_snapshot()), c.xmin, c.ctid, c.position FROM pgstream.checkpoint c`)
const walEnd = () => server.psql(`SELECT pg_current_wal_insert_lsn()`).trim()

describe("an idle database", () => {
  const plugins = inject("postgresHasWal2json") ? ["pgoutput", "wal2json"] : ["pgoutput"]
  it.each(plugins)("writes nothing: no WAL, no transaction id, no checkpoint (%s)", async (plugin) => {
    const program = await makeProgram({
      url: server.url(), slot: `idle_${plugin}`,
      settings: { PGSTREAM_SCHEMA_SCAN_INTERVAL: "200ms", PGSTREAM_WEBHOOK_SUBSCRIPTION_STORE_CACHE_REFRESH_INTERVAL: "200ms", PGSTREAM_INJECTOR_STORE_POSTGRES_URL: server.url() }
    })
    await program.init("--plugin", plugin)
    const running = await program.run()
    assert.strictEqual((await subscribe(program, { url: receiver.url })).status, 201)
    server.psql(`CREATE TABLE t_${plugin}(id int PRIMARY KEY); INSERT INTO t_${plugin} VALUES (1), (2)`)
    await eventually("the rows come", () => receiver.values("id", `t_${plugin}`).length === 2)
    let last = ""
    let since = Date.now()
    await eventually("everything is settled and stored", () => {
      const now = state()
      if (now !== last) since = Date.now()
      last = now
      return Date.now() - since > 5_000 // longer than the pause after a checkpoint, on a slow machine too
    })
    const end = walEnd()
    await new Promise((resolve) => setTimeout(resolve, WATCH_MS))
    assert.strictEqual(state(), last)
    assert.isAtMost(Number(server.psql(`SELECT '${walEnd()}'::pg_lsn - '${end}'::pg_lsn`)), OWN_RECORD)
    await eventually("the slot is at its end", () =>
      server.psql(`SELECT confirmed_flush_lsn >= '${end}' FROM pg_replication_slots WHERE slot_name = 'idle_${plugin}'`).trim() === "t")
    assert.strictEqual((await running.stop()).code, 0)
    await program.command("destroy")
  })
})
