/** The Listener on a real Postgres: no gap and no repeat, whatever happens to the connection. Both drivers. */
import { assert, describe, it } from "@effect/vitest"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import * as Stream from "effect/Stream"
import { inject } from "vitest"
import type { Item } from "../../src/domain/Chunk.ts"
import * as EventId from "../../src/domain/EventId.ts"
import * as HeartbeatNone from "../../src/layers/pipeline/HeartbeatNone.ts"
import * as ListenerLive from "../../src/layers/pipeline/Listener.ts"
import * as HeartbeatPg from "../../src/layers/postgres/replication/HeartbeatPg.ts"
import * as MigrationsSource from "../../src/layers/postgres/schema/MigrationsSource.ts"
import * as SlotSource from "../../src/layers/postgres/replication/SlotSource.ts"
import * as SlotSourcePglr from "../../src/layers/postgres/replication/SlotSourcePglr.ts"
import * as Sql from "../../src/layers/postgres/Sql.ts"
import { Heartbeat } from "../../src/services/Heartbeat.ts"
import { Listener } from "../../src/services/Listener.ts"
import { SourceSettings, type SourceSettingsShape } from "../../src/services/Settings.ts"
import { testDatabase, type TestDatabase } from "../support/database.ts"
import { eventually } from "../support/eventually.ts"
import { startServer } from "../support/PostgresServer.ts"
import { confirmedOf, makeSlot, settings } from "../support/slots.ts"

const drivers = [["socket", SlotSource.layer], ["pg-logical-replication", SlotSourcePglr.layer]] as const
type Driver = (typeof drivers)[number]

const layer = (driver: Driver, shape: SourceSettingsShape) =>
  ListenerLive.layer.pipe(
    Layer.provide(driver[1]),
    Layer.provide(HeartbeatNone.layer),
    Layer.provide(Layer.succeed(SourceSettings, shape))
  )

const run = (url: string, statement: string) =>
  Sql.make(Redacted.make(url), "test").pipe(Effect.flatMap((sql) => sql.unsafe<Record<string, unknown>>(statement)), Effect.scoped)

/** The number in each row, read while its chunk is in hand: then the bytes are written to again. */
const numberOf = new WeakMap<Item, number>()
const read = (item: Item): void => {
  const row = item._tag === "Change" ? item.newRow() : undefined
  if (row !== undefined) numberOf.set(item, Number(row.bytes.toString("utf8", row.spans[0], row.spans[1])))
}

/** Collects everything in the background; acknowledges each position as it comes if asked to. */
const collect = Effect.fnUntraced(function*(driver: Driver, shape: SourceSettingsShape, acknowledge = true) {
  const listener = yield* Listener.pipe(Effect.provide(layer(driver, shape)))
  const listening = yield* listener.open(0)
  const items: Array<Item> = []
  yield* Effect.forkScoped(Stream.runForEach(listening.chunks, (chunk) =>
    Effect.gen(function*() {
      for (const item of chunk.items) {
        items.push(item)
        read(item)
        if (acknowledge && item._tag === "Commit") yield* listening.acknowledge(item.endLsn)
        if (acknowledge && item._tag === "Keepalive") yield* listening.acknowledge(item.walEnd)
      }
    })))
  return { listener, listening, items }
})

const numbers = (items: ReadonlyArray<Item>) =>
  items.flatMap((item) => {
    const number = numberOf.get(item)
    return number === undefined ? [] : [number]
  })
const ids = (items: ReadonlyArray<Item>) => items.flatMap((item) => (item._tag === "Change" ? [EventId.of(item)] : []))
const arrived = (items: ReadonlyArray<Item>, last: number) => eventually(`row ${last} arrived`, Effect.sync(() => numbers(items.slice(-50)).includes(last)), 40_000)

const endWalsender = (database: TestDatabase, slotName: string) =>
  run(database.url, `SELECT pg_terminate_backend(active_pid) FROM pg_replication_slots WHERE slot_name = '${slotName}' AND active_pid IS NOT NULL`)

let slots = 0
const plugins = inject("postgresHasWal2json") ? ["pgoutput", "wal2json"] as const : ["pgoutput"] as const

for (const driver of drivers) {
  describe(`Listener on ${driver[0]}`, () => {
    for (const plugin of plugins) {
      it.live(`hands on every row once, in order, though its walsender is ended again and again (${plugin})`, () =>
        Effect.gen(function*() {
          const database = testDatabase("listener_ended")
          const slotName = `listener_${process.pid}_${slots++}`
          makeSlot(database, slotName, plugin)
          const { items, listener } = yield* collect(driver, settings(database.url, slotName, { readAheadBytes: 64 * 1024 }))
          let next = 1
          for (let round = 0; round < 6; round++) {
            yield* run(database.url, `INSERT INTO t SELECT n, repeat('x', 300) FROM generate_series(${next}, ${next + 1999}) n`)
            next += 2_000
            yield* endWalsender(database, slotName)
            yield* run(database.url, `INSERT INTO t VALUES (${next})`)
            next++
          }
          yield* arrived(items, next - 1)
          assert.deepStrictEqual(numbers(items), Array.from({ length: next - 1 }, (_, index) => index + 1))
          assert.strictEqual(new Set(ids(items)).size, next - 1)
          assert.isTrue((yield* listener.state).connected)
          const end = items.findLast((item) => item._tag === "Commit")
          yield* eventually("the last commit is acknowledged", Effect.sync(() => confirmedOf(database, slotName) >= (end?._tag === "Commit" ? end.endLsn : Infinity)))
        }).pipe(Effect.scoped))
    }

    it.live("acknowledges nothing that it was not told, over all its connections", () =>
      Effect.gen(function*() {
        const database = testDatabase("listener_exact")
        const slotName = `listener_${process.pid}_${slots++}`
        makeSlot(database, slotName, "pgoutput")
        const before = confirmedOf(database, slotName)
        const { items } = yield* collect(driver, settings(database.url, slotName), false)
        for (const number of [1, 2, 3]) {
          yield* run(database.url, `INSERT INTO t VALUES (${number})`)
          yield* arrived(items, number)
          yield* endWalsender(database, slotName)
        }
        yield* run(database.url, "INSERT INTO t VALUES (4)")
        yield* arrived(items, 4)
        assert.deepStrictEqual(numbers(items), [1, 2, 3, 4])
        assert.strictEqual(confirmedOf(database, slotName), before)
      }).pipe(Effect.scoped))

    it.live("goes on after Postgres was restarted, and after a crash; says so meanwhile", () =>
      Effect.gen(function*() {
        const server = yield* Effect.acquireRelease(Effect.promise(() => startServer()), (server) => Effect.promise(() => server.stop()))
        const psql = (sql: string) => server.psql(sql)
        makeSlot({ psql }, "restarted", "pgoutput")
        const { items, listener } = yield* collect(driver, settings(server.url(), "restarted"))
        psql("INSERT INTO t VALUES (1)")
        yield* arrived(items, 1)
        yield* Effect.promise(() => server.restart())
        psql("INSERT INTO t VALUES (2)")
        yield* arrived(items, 2)
        yield* Effect.promise(() => server.crash())
        yield* eventually("it says that it is not connected", Effect.map(listener.state, (state) => !state.connected && state.lastError !== undefined))
        yield* Effect.promise(() => server.start())
        psql("INSERT INTO t VALUES (3)")
        yield* arrived(items, 3)
        assert.deepStrictEqual(numbers(items), [1, 2, 3])
        assert.isTrue((yield* listener.state).connected)
      }).pipe(Effect.scoped))

    it.live("writes times in the zone that is configured, whatever the database says, and the same with each plugin", () =>
      Effect.gen(function*() {
        const database = testDatabase("listener_zone")
        database.psql(`ALTER DATABASE "${database.name}" SET timezone = 'America/New_York'; CREATE TABLE z(at timestamptz PRIMARY KEY)`)
        const times: Array<string> = []
        for (const [plugin, timezone] of plugins.flatMap((plugin) => [[plugin, "Asia/Kolkata"], [plugin, undefined]] as const)) {
          const slotName = `listener_${process.pid}_${slots++}`
          makeSlot(database, slotName, plugin)
          const { items } = yield* collect(driver, settings(database.url, slotName, { timezone }))
          yield* run(database.url, "DELETE FROM z")
          yield* run(database.url, "INSERT INTO z VALUES ('2026-07-01 12:00:00.5+00')")
          const inserted = () => items.find((item) => item._tag === "Change" && item.kind === "I")
          yield* eventually("the row arrives", Effect.sync(() => inserted() !== undefined))
          const change = inserted()!
          if (change._tag !== "Change") return
          const row = change.newRow()!
          times.push(`${row.bytes.toString("utf8", row.spans[0], row.spans[1])} ${change.transaction.timestamp.replace(/^.*(?=[+-])/, "")}`)
        }
        assert.deepStrictEqual(times, plugins.flatMap(() => ["2026-07-01 17:30:00.5+05:30 +05:30", "2026-07-01 12:00:00.5+00 +00"]))
      }).pipe(Effect.scoped))

    it.live("reads the same text whatever the database and the role are set to", () =>
      Effect.gen(function*() {
        const database = testDatabase("listener_pins")
        const [name, role] = [`"${database.name}"`, `pins_${process.pid}_${slots++}`]
        database.psql(`
          CREATE ROLE ${role} SUPERUSER LOGIN; CREATE TYPE mood AS ENUM ('sad'); CREATE SCHEMA app; CREATE TYPE app.kind AS ENUM ('x');
          CREATE TABLE p(d date PRIMARY KEY, i interval, b bytea, f float8, m money, o mood, k app.kind);
          ALTER DATABASE ${name} SET datestyle = 'German'; ALTER DATABASE ${name} SET intervalstyle = 'iso_8601';
          ALTER ROLE ${role} SET bytea_output = 'escape'; ALTER ROLE ${role} SET extra_float_digits = -10;
          ALTER ROLE ${role} SET search_path = app; ALTER ROLE ${role} SET client_min_messages = error;
          ALTER ROLE ${role} SET statement_timeout = '1ms'; ALTER ROLE ${role} SET timezone = 'Asia/Tokyo';`)
        const url = database.url.replace("postgres:postgres@", `${role}@`)
        const seen: Array<unknown> = []
        for (const plugin of plugins) {
          const slotName = `listener_${process.pid}_${slots++}`
          makeSlot(database, slotName, plugin)
          const { items } = yield* collect(driver, settings(url, slotName))
          yield* run(database.url, "DELETE FROM p")
          yield* run(database.url, `INSERT INTO p VALUES ('2026-02-01', '1 day 02:03', '\\x00ff', 0.1::float8 + 0.2, 1.5, 'sad', 'x')`)
          const inserted = () => items.find((item) => item._tag === "Change" && item.kind === "I")
          yield* eventually("the row arrives", Effect.sync(() => inserted() !== undefined))
          const change = inserted()!
          if (change._tag !== "Change") return
          const row = change.newRow()!
          seen.push(Array.from({ length: 7 }, (_, n) => row.bytes.toString("utf8", row.spans[2 * n], row.spans[2 * n + 1])))
        }
        yield* Effect.addFinalizer(() => Effect.sync(() => database.psql(`DROP OWNED BY ${role}; DROP ROLE ${role}`)))
        const expected = ["2026-02-01", "1 day 02:03:00", "\\x00ff", "0.30000000000000004", "$1.50", "sad", "x"]
        assert.deepStrictEqual(seen.map((row) => (row as ReadonlyArray<string>).map((text) => text.replace(/^00ff$/, "\\x00ff"))), plugins.map(() => expected))
      }).pipe(Effect.scoped))

    it.live("traffic outside of the stream does not hold WAL: keepalives move the slot", () =>
      Effect.gen(function*() {
        const database = testDatabase("listener_idle")
        const other = testDatabase("listener_noise")
        const slotName = `listener_${process.pid}_${slots++}`
        makeSlot(database, slotName, "pgoutput")
        yield* collect(driver, settings(database.url, slotName, { silenceMs: 1_000 }))
        yield* run(other.url, "CREATE TABLE noise AS SELECT n, repeat('x', 100) FROM generate_series(1, 20000) n")
        const [row] = yield* run(other.url, "SELECT pg_current_wal_lsn()::text AS lsn")
        const passed = Effect.map(
          run(database.url, `SELECT confirmed_flush_lsn >= '${String(row?.["lsn"])}'::pg_lsn AS passed FROM pg_replication_slots WHERE slot_name = '${slotName}'`),
          ([row]) => row?.["passed"] === true
        )
        yield* eventually("the slot has passed the noise", passed)
      }).pipe(Effect.scoped))
  })
}

describe("HeartbeatPg", () => {
  for (const plugin of plugins) {
    it.live(`a beat is a commit that the slot hands out, and no event (${plugin})`, () =>
      Effect.gen(function*() {
        const database = testDatabase("heartbeat")
        const other = testDatabase("heartbeat_noise")
        const slotName = `listener_${process.pid}_${slots++}`
        makeSlot(database, slotName, plugin)
        yield* Sql.make(Redacted.make(database.url), "test").pipe(Effect.flatMap(MigrationsSource.run), Effect.scoped)
        const shape = settings(database.url, slotName)
        const context = yield* Layer.build(HeartbeatPg.layer.pipe(
          Layer.provide(Sql.layerSource),
          Layer.provide(Layer.succeed(SourceSettings, shape))
        ))
        const heartbeat = Context.get(context, Heartbeat)
        const { items } = yield* collect(drivers[0], shape, false)
        yield* run(other.url, "CREATE TABLE noise AS SELECT n, repeat('x', 100) FROM generate_series(1, 20000) n")
        assert.isAbove(yield* heartbeat.behindBytes, 1024 * 1024)
        yield* heartbeat.beat
        yield* eventually("the commit of the beat arrives", Effect.sync(() => items.some((item) => item._tag === "Commit")))
        assert.isEmpty(items.filter((item) => item._tag === "Change"))
      }).pipe(Effect.scoped))
  }
})
