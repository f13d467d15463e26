/** Both connections (SQL and replication) from every form of URL, each against a real server. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import * as Fiber from "effect/Fiber"
import { inject } from "vitest"
import * as Sql from "../../src/layers/postgres/Sql.ts"
import { createSlot, identifySystem } from "../../src/layers/postgres/replication/createSlot.ts"
import { eventually, testDatabase } from "../support/database.ts"
import { startProxy } from "../support/TcpProxy.ts"

const port = inject("postgresPort")
const database = testDatabase("connection")

const viaSql = (url: string) =>
  Effect.gen(function*() {
    const sql = yield* Sql.make(Redacted.make(url), "pgstream test")
    const [row] = yield* sql<{ readonly db: string; readonly usr: string; readonly commit: string }>`
      SELECT current_database()::text AS db, current_user::text AS usr, current_setting('synchronous_commit') AS commit`
    return row
  }).pipe(Effect.scoped)

const urls: ReadonlyArray<readonly [string, string, string]> = [
  ["no query", `postgres://postgres:x@127.0.0.1:${port}/${database.name}`, database.name],
  ["sslmode=disable", `postgresql://postgres:x@127.0.0.1:${port}/${database.name}?sslmode=disable`, database.name],
  ["sslmode=prefer on a server without TLS", `postgres://postgres@127.0.0.1:${port}/${database.name}?sslmode=prefer`, database.name],
  ["sslmode=allow on a server without TLS", `postgres://postgres@127.0.0.1:${port}/${database.name}?sslmode=allow`, database.name],
  ["no database", `postgres://postgres@127.0.0.1:${port}?sslmode=disable`, "postgres"],
  ["a Unix socket as host", `postgres:///${database.name}?host=${inject("postgresSocketDir")}&port=${port}&user=postgres`, database.name],
  ["a Unix socket, encoded", `postgres://postgres@${encodeURIComponent(inject("postgresSocketDir"))}:${port}/${database.name}`, database.name],
  ["a dead host before a live one", `postgres://postgres@127.0.0.1:1,127.0.0.1:${port}/${database.name}?sslmode=disable`, database.name]
]

describe("connection", () => {
  for (const [name, url, expected] of urls) {
    const unreachable = name.startsWith("a Unix socket") && inject("postgresSocketDir") === ""
    it.live.skipIf(unreachable)(`SQL: ${name}`, () =>
      Effect.gen(function*() {
        assert.deepStrictEqual(yield* viaSql(url), { db: expected, usr: "postgres", commit: "local" })
      }))
  }
})

describe("replication connection", () => {
  for (const [name, url, expected] of urls) {
    it.live(`identifies the system: ${name}`, () =>
      Effect.gen(function*() {
        const system = yield* identifySystem(Redacted.make(url))
        assert.strictEqual(system.database, expected)
        assert.strictEqual(system.systemIdentifier, database.psql("SELECT system_identifier FROM pg_control_system()").trim())
        assert.strictEqual(system.timeline, 1)
        assert.isAbove(system.walEnd, 0)
      }))
  }

  it.live("creates a slot whose snapshot another session can use while the scope lives", () =>
    Effect.gen(function*() {
      database.psql("CREATE TABLE before_slot AS SELECT 1 AS n")
      const created = yield* createSlot(Redacted.make(database.url), { slotName: "connection_slot", plugin: "pgoutput" })
      database.psql("INSERT INTO before_slot VALUES (2)")
      const seen = database.psql(`BEGIN ISOLATION LEVEL REPEATABLE READ; SET TRANSACTION SNAPSHOT '${created.snapshotName}'; SELECT count(*) FROM before_slot; COMMIT`)
      assert.strictEqual(seen.trim(), "1")
      assert.strictEqual(database.psql("SELECT plugin FROM pg_replication_slots WHERE slot_name = 'connection_slot'").trim(), "pgoutput")
      const again = yield* Effect.flip(createSlot(Redacted.make(database.url), { slotName: "connection_slot", plugin: "pgoutput" }))
      assert.deepStrictEqual([again.code, again.permanent], ["SlotExists", true])
    }).pipe(Effect.scoped))

  it.live("takes the slot back when its creation is interrupted", () =>
    Effect.gen(function*() {
      const holder = yield* Sql.make(Redacted.make(database.url), "holder")
      yield* holder.withTransaction(Effect.gen(function*() {
        yield* holder`SELECT pg_current_xact_id()::text`
        const fiber = yield* Effect.forkChild(Effect.scoped(createSlot(Redacted.make(database.url), { slotName: "interrupted_slot", plugin: "pgoutput" })))
        yield* Effect.promise(() => eventually("the slot is being made", () => database.psql("SELECT count(*) FROM pg_replication_slots WHERE slot_name = 'interrupted_slot'").trim() === "1"))
        yield* Fiber.interrupt(fiber)
        yield* Effect.promise(() => eventually("the slot is gone", () => database.psql("SELECT count(*) FROM pg_replication_slots WHERE slot_name = 'interrupted_slot'").trim() === "0"))
      }))
    }).pipe(Effect.scoped))

  it.live("names a plugin that is not there, a bad slot name, and a refused connection", () =>
    Effect.gen(function*() {
      const bad = yield* Effect.flip(Effect.scoped(createSlot(Redacted.make(database.url), { slotName: "Bad-Name", plugin: "pgoutput" })))
      assert.strictEqual(bad.code, "BadSlotName")
      const refused = yield* Effect.flip(identifySystem(Redacted.make("postgres://postgres:hunter2@127.0.0.1:1/d?sslmode=disable")))
      assert.deepStrictEqual([refused.code, refused.permanent], ["ConnectionRefused", false])
      assert.notInclude(refused.message, "hunter2")
      const missing = yield* Effect.flip(identifySystem(Redacted.make(`postgres://postgres@127.0.0.1:${port}/no_such_db?sslmode=disable`)))
      assert.deepStrictEqual([missing.code, missing.permanent], ["DatabaseMissing", true])
    }))

  it.live("a COMMIT that a half-open network swallows ends with the limit, and its connection with it", () =>
    Effect.gen(function*() {
      const proxy = yield* Effect.acquireRelease(Effect.promise(() => startProxy(port)), (one) => Effect.promise(() => one.close()))
      const sql = yield* Sql.make(Redacted.make(`postgres://postgres@127.0.0.1:${proxy.port}/${database.name}?sslmode=disable`), "half open", 1).pipe(
        Effect.provideService(Sql.SqlSilence, { limitMs: 500 })
      )
      const lost = yield* Effect.exit(sql.withTransaction(Effect.andThen(sql`SELECT 1`, Effect.sync(() => proxy.silence()))))
      assert.strictEqual(lost._tag, "Failure")
      const [row] = yield* sql<{ readonly one: number }>`SELECT 1 AS one`
      assert.strictEqual(row?.one, 1)
    }).pipe(Effect.scoped))

  it.live("a connection on which no answer is due is left alone", () =>
    Effect.gen(function*() {
      const sql = yield* Sql.make(Redacted.make(database.url), "patient", 1).pipe(Effect.provideService(Sql.SqlSilence, { limitMs: 200 }))
      const pid = sql<{ readonly pid: number }>`SELECT pg_backend_pid() AS pid`
      const before = yield* pid
      yield* Effect.sleep("700 millis")
      assert.deepStrictEqual(yield* pid, before)
    }).pipe(Effect.scoped))
})
