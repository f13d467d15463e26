/** What goes wrong before and during a stream, on both drivers. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import { inject } from "vitest"
import type { Frame } from "../../src/domain/Frame.ts"
import * as SlotSource from "../../src/layers/postgres/replication/SlotSource.ts"
import * as SlotSourcePglr from "../../src/layers/postgres/replication/SlotSourcePglr.ts"
import * as Sql from "../../src/layers/postgres/Sql.ts"
import { ChangeSource, type SourceConnection } from "../../src/services/ChangeSource.ts"
import type { SourceSettingsShape } from "../../src/services/Settings.ts"
import { testDatabase, type TestDatabase } from "../support/database.ts"
import { eventually } from "../support/eventually.ts"
import { makeSlot, readFrame, settings, withSettings } from "../support/slots.ts"
import { startProxy } from "../support/TcpProxy.ts"

const drivers = [["socket", SlotSource.layer], ["pg-logical-replication", SlotSourcePglr.layer]] as const
const port = inject("postgresPort")
const read = readFrame("pgoutput")
let slots = 0

const openOn = (driver: (typeof drivers)[number], shape: SourceSettingsShape, from = 0) =>
  Effect.flatMap(ChangeSource, (source) => source.open(from)).pipe(Effect.provide(withSettings(driver[1], shape)))

const failure = (driver: (typeof drivers)[number], shape: SourceSettingsShape, from = 0) =>
  Effect.flip(Effect.scoped(openOn(driver, shape, from)))

/** Reads until the number `last` was inserted; returns how many were. */
const readTo = Effect.fnUntraced(function*(connection: SourceConnection, last: number) {
  for (let count = 0;;) {
    const { frames } = yield* connection.read
    for (const frame of frames.filter((frame: Frame) => !frame.keepalive)) {
      const said = read(frame)
      if (said === undefined || !("inserted" in said)) continue
      count++
      if (said.inserted === last) return count
    }
  }
})

const slotIsFree = (database: TestDatabase, slotName: string) =>
  Effect.sync(() => database.psql(`SELECT active FROM pg_replication_slots WHERE slot_name = '${slotName}'`).trim() === "f")

const fresh = (label: string, plugin: "pgoutput" | "test_decoding" = "pgoutput") => {
  const database = testDatabase(label)
  const slotName = `faults_${process.pid}_${slots++}`
  if (plugin === "pgoutput") makeSlot(database, slotName, plugin)
  else database.psql(`SELECT pg_create_logical_replication_slot('${slotName}', '${plugin}')`)
  return { database, slotName }
}

describe("ChangeSource: what is found before the start", () => {
  for (const driver of drivers) {
    it.live(`names the fault and its mend (${driver[0]})`, () =>
      Effect.gen(function*() {
        const { database, slotName } = fresh("faults_start")
        const other = fresh("faults_other", "test_decoding")
        const expect = Effect.fnUntraced(function*(code: string, permanent: boolean, shape: SourceSettingsShape, from = 0) {
          const error = yield* failure(driver, shape, from)
          assert.deepStrictEqual([error.code, error.permanent], [code, permanent], error.message)
          assert.notStrictEqual(error.mend, "")
        })
        yield* expect("SlotMissing", true, settings(database.url, "no_such_slot"))
        yield* expect("SlotOfOtherDatabase", true, settings(database.url, other.slotName))
        yield* expect("PluginUnknown", true, settings(other.database.url, other.slotName))
        yield* expect("PositionAheadOfWal", true, settings(database.url, slotName), 2 ** 50)
        database.psql("DROP PUBLICATION pgstream")
        yield* expect("PublicationMissing", true, settings(database.url, slotName))
      }))

    it.live(`a publication that was made after its slot is a permanent error, and nothing is acknowledged (${driver[0]})`, () =>
      Effect.gen(function*() {
        const { database, slotName } = fresh("faults_publication")
        database.psql("DROP PUBLICATION pgstream; INSERT INTO t VALUES (1); CREATE PUBLICATION pgstream FOR ALL TABLES")
        const before = database.psql(`SELECT confirmed_flush_lsn FROM pg_replication_slots WHERE slot_name = '${slotName}'`)
        yield* Effect.scoped(Effect.gen(function*() {
          const connection = yield* openOn(driver, settings(database.url, slotName))
          const error = yield* Effect.flip(Effect.forever(connection.read))
          assert.deepStrictEqual([error.code, error.permanent], ["PublicationMissing", true])
          connection.acknowledge(2 ** 40)
        }))
        assert.strictEqual(database.psql(`SELECT confirmed_flush_lsn FROM pg_replication_slots WHERE slot_name = '${slotName}'`), before)
      }))
  }
})

/** Runs SQL without holding up this process, which has status updates to send. */
const run = (database: TestDatabase, statement: string) =>
  Sql.make(Redacted.make(database.url), "test").pipe(Effect.flatMap((sql) => sql.unsafe<Record<string, unknown>>(statement)), Effect.scoped)

/** Rows of 8 kB that do not compress, one transaction each thousand. */
const fill = Effect.fnUntraced(function*(database: TestDatabase, from: number, thousands: number) {
  for (let i = 0; i < thousands; i++) {
    yield* run(database, `INSERT INTO t SELECT n, (SELECT string_agg(md5(n::text || i::text), '') FROM generate_series(1, 250) i)
      FROM generate_series(${from + i * 1000}, ${from + i * 1000 + 999}) n`)
  }
  return from + thousands * 1000 - 1
})

const waitsForUs = (database: TestDatabase, slotName: string) =>
  eventually(
    "the walsender waits for us",
    Effect.map(
      run(database, `SELECT a.wait_event FROM pg_stat_activity a JOIN pg_replication_slots s ON s.active_pid = a.pid WHERE s.slot_name = '${slotName}'`),
      ([row]) => row?.["wait_event"] === "WalSenderWriteData"
    )
  )

describe("ChangeSource: while it runs", () => {
  for (const driver of drivers) {
    it.live(`keeps the connection while nobody pulls, and reads no more than it may (${driver[0]})`, () =>
      Effect.gen(function*() {
        const { database, slotName } = fresh("faults_blocked")
        const url = `${database.url}&options=-c%20wal_sender_timeout%3D1000`
        const connection = yield* openOn(driver, settings(url, slotName, { readAheadBytes: 256 * 1024 }))
        const walsender = Effect.map(run(database, `SELECT active_pid, pg_current_wal_lsn() - (SELECT sent_lsn FROM pg_stat_replication WHERE pid = active_pid) > 10000000 AS behind
          FROM pg_replication_slots WHERE slot_name = '${slotName}'`), ([row]) => row)
        const last = yield* fill(database, 1, 5)
        yield* waitsForUs(database, slotName)
        const before = yield* walsender
        assert.strictEqual(before?.["behind"], true)
        yield* Effect.sleep("4 seconds") // four times the server's limit: the time itself is what is tested
        assert.deepStrictEqual(yield* walsender, before)
        assert.strictEqual(yield* readTo(connection, last), 5_000)
      }).pipe(Effect.scoped))

    for (const paused of [false, true]) {
      it.live(`finds a line that went silent ${paused ? "while nobody pulls" : "while it reads"} (${driver[0]})`, () =>
        Effect.gen(function*() {
          const { database, slotName } = fresh("faults_silent")
          const proxy = yield* Effect.acquireRelease(Effect.promise(() => startProxy(port)), (proxy) => Effect.promise(() => proxy.close()))
          const url = `${database.url.replace(`:${port}/`, `:${proxy.port}/`)}&options=-c%20wal_sender_timeout%3D3000`
          const connection = yield* openOn(driver, settings(url, slotName, { readAheadBytes: 64 * 1024, silenceMs: 600 }))
          database.psql("INSERT INTO t VALUES (0)")
          yield* readTo(connection, 0)
          if (paused) {
            yield* fill(database, 1, 5)
            yield* waitsForUs(database, slotName)
          }
          assert.isFalse(yield* slotIsFree(database, slotName))
          proxy.silence()
          const error = yield* Effect.flip(Effect.forever(connection.read))
          assert.deepStrictEqual([error.code, error.permanent], ["ConnectionLost", false])
          yield* eventually("the slot is free", slotIsFree(database, slotName))
        }).pipe(Effect.scoped))
    }

    it.live(`a stopped server is not reached: the connection is given up (${driver[0]})`, () =>
      Effect.gen(function*() {
        const { database, slotName } = fresh("faults_gone")
        const proxy = yield* Effect.acquireRelease(Effect.promise(() => startProxy(port)), (proxy) => Effect.promise(() => proxy.close()))
        const url = `${database.url.replace(`:${port}/`, `:${proxy.port}/`)}&connect_timeout=1`
        const connection = yield* openOn(driver, settings(url, slotName, { silenceMs: 500 }))
        proxy.silenceAll()
        const error = yield* Effect.flip(Effect.forever(connection.read))
        assert.deepStrictEqual([error.code, error.permanent], ["ConnectionLost", false])
      }).pipe(Effect.scoped))

    it.live(`an ended walsender is a lost connection (${driver[0]})`, () =>
      Effect.gen(function*() {
        const { database, slotName } = fresh("faults_ended")
        const connection = yield* openOn(driver, settings(database.url, slotName))
        database.psql(`SELECT pg_terminate_backend(active_pid) FROM pg_replication_slots WHERE slot_name = '${slotName}'`)
        const error = yield* Effect.flip(Effect.forever(connection.read))
        assert.deepStrictEqual([error.code, error.permanent], ["ConnectionLost", false])
      }).pipe(Effect.scoped))

    it.live(`a walsender that is busy with a rewriting ALTER TABLE is not taken for dead (${driver[0]})`, () =>
      Effect.gen(function*() {
        const { database, slotName } = fresh("faults_busy")
        const rows = 1_500_000
        yield* run(database, `CREATE TABLE big AS SELECT n FROM generate_series(1, ${rows}) n`)
        yield* run(database, `SELECT pg_replication_slot_advance('${slotName}', pg_current_wal_lsn())::text`)
        const connection = yield* openOn(driver, settings(database.url, slotName, { silenceMs: 150 }))
        yield* run(database, "INSERT INTO t VALUES (-1)")
        assert.strictEqual(yield* readTo(connection, -1), 1)
        yield* run(database, "ALTER TABLE big ALTER COLUMN n TYPE bigint")
        yield* run(database, "INSERT INTO t VALUES (-2)")
        const began = Date.now()
        assert.strictEqual(yield* readTo(connection, -2), 1)
        assert.isAbove(Date.now() - began, 300, "the walsender was not busy for longer than the limit: more rows are needed")
      }).pipe(Effect.scoped), 120_000)
  }
})
