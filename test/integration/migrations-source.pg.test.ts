import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import * as MigrationsSource from "../../src/layers/postgres/MigrationsSource.ts"
import * as Sql from "../../src/layers/postgres/Sql.ts"
import { testDatabase } from "../support/database.ts"

const withSql = <A, E>(url: string, f: (sql: Effect.Success<ReturnType<typeof Sql.make>>) => Effect.Effect<A, E>) =>
  Effect.scoped(Effect.flatMap(Sql.make(Redacted.make(url), "test", 2), f))

const install = (url: string) =>
  withSql(url, (sql) =>
    Effect.gen(function*() {
      const ran = yield* MigrationsSource.run(sql)
      const triggers = yield* MigrationsSource.installTriggers(sql)
      return { ran, triggers, version: yield* MigrationsSource.currentVersion(sql) }
    }))

describe("migrations of the source", () => {
  const fresh = testDatabase("migrations")
  const ids = testDatabase("xid")

  it.live("install on an empty database, and find nothing to do the second time", () =>
    Effect.gen(function*() {
      const db = fresh
      const first = yield* install(db.url)
      assert.deepStrictEqual(first, {
        ran: Object.keys(MigrationsSource.sourceMigrations), triggers: "installed", version: MigrationsSource.latestVersion
      })
      assert.deepStrictEqual((yield* install(db.url)).ran, [])
      assert.isTrue(yield* withSql(db.url, MigrationsSource.triggersInstalled))
    }))

  it.live("make ids that the seed's users can read", () =>
    Effect.gen(function*() {
      const db = ids
      yield* install(db.url)
      // The tutorial's id (golden/SCHEMA.md).
      assert.strictEqual(
        db.psql(`SELECT pgstream.xid_time('cv9al8qhi0j00i9chq80') AT TIME ZONE 'UTC', pgstream.xid_decode('cv9al8qhi0j00i9chq80'),
          pgstream.xid_machine('cv9al8qhi0j00i9chq80'), pgstream.xid_pid('cv9al8qhi0j00i9chq80'),
          pgstream.xid_counter('cv9al8qhi0j00i9chq80'), pgstream.xid_encode(pgstream.xid_decode('cv9al8qhi0j00i9chq80'))`).trim(),
        "2025-03-13 09:51:31|{103,210,170,163,81,144,38,0,73,44,142,144}|{81,144,38}|73|2920080|cv9al8qhi0j00i9chq80")
      assert.strictEqual(
        db.psql(`WITH x AS (SELECT pgstream.xid() AS id FROM generate_series(1, 1000))
          SELECT count(DISTINCT id), bool_and(pgstream.xid_encode(pgstream.xid_decode(id)) = id),
            bool_and(pgstream.xid_pid(id) = pg_backend_pid() & 65535),
            bool_and(pgstream.xid_time(id) = date_trunc('second', now())),
            bool_and((pgstream.xid_machine(id))[3] = (SELECT system_identifier & 255 FROM pg_control_system()))
          FROM x`).trim(),
        "1000|t|t|t|t")
    }))
})
