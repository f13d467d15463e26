/** `SchemaLogPg` against the contract, in the schema that the migrations make. */
import { assert, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import * as MigrationsSource from "../../src/layers/postgres/schema/MigrationsSource.ts"
import * as SchemaLogPg from "../../src/layers/postgres/schema/SchemaLogPg.ts"
import * as Sql from "../../src/layers/postgres/Sql.ts"
import { SchemaLog } from "../../src/services/SchemaLog.ts"
import { SourceSettings } from "../../src/services/Settings.ts"
import { testDatabase } from "../support/database.ts"
import { settings } from "../support/slots.ts"
import { suite } from "../suites/SchemaLogSuite.ts"

const database = testDatabase("schemalog")

const source = Layer.effect(
  Sql.SourceSql,
  Effect.gen(function*() {
    const sql = yield* Sql.make(Redacted.make(database.url), "schemalog test", 2)
    yield* MigrationsSource.run(sql)
    return sql
  })
)

const layerOf = (slotName: string) =>
  Layer.provideMerge(SchemaLogPg.layer, source).pipe(Layer.provide(Layer.succeed(SourceSettings, settings(database.url, slotName))))

suite("postgres", layerOf("only"), {
  entries: Effect.gen(function*() {
    const sql = yield* Sql.SourceSql
    const rows = yield* sql<{ readonly schema_name: string; readonly version: string }>`
      SELECT schema_name, version::text AS version FROM pgstream.schema_log WHERE acked ORDER BY schema_name, schema_log.version`
    return rows.map((row) => `${row.schema_name} ${row.version}`)
  }).pipe(Effect.orDie),
  ids: Effect.gen(function*() {
    const sql = yield* Sql.SourceSql
    const rows = yield* sql<{ readonly oid: string; readonly id: string }>`SELECT oid::text AS oid, id::text AS id FROM pgstream.table_ids ORDER BY 1`
    return new Map(rows.map((row) => [Number(row.oid), row.id]))
  }).pipe(Effect.orDie)
})

it.live("of two slots of a database the first writes; when it is gone, the second", () =>
  Effect.gen(function*() {
    const sql = yield* Sql.SourceSql
    const slots = [`${database.name}_a`, `${database.name}_b`] as const
    for (const slot of slots) {
      database.psql(`SELECT pg_create_logical_replication_slot('${slot}', 'pgoutput')`)
      yield* sql`INSERT INTO pgstream.streams (system_identifier, database_oid, slot_name, plugin, created_at)
        VALUES ('1', 1, ${slot}, 'pgoutput', ${slot === slots[0] ? "2026-01-01" : "2026-01-02"}::text::timestamptz)`
    }
    const write = (slot: string, version: number) =>
      SchemaLog.use((log) => log.write([{
        id: `cv9al8qhi0j00i9ch${version}q0`, version, schema: "two", json: "{}", createdAt: "2026-01-01 00:00:00", lsn: version
      }], [])).pipe(Effect.provide(layerOf(slot)))
    const versions = () => database.psql(`SELECT string_agg(version::text, ' ' ORDER BY version) FROM pgstream.schema_log WHERE schema_name = 'two'`).trim()
    yield* write(slots[0], 1)
    yield* write(slots[1], 2)
    assert.strictEqual(versions(), "1")
    database.psql(`SELECT pg_drop_replication_slot('${slots[0]}')`)
    yield* write(slots[1], 3)
    assert.strictEqual(versions(), "1 3")
  }).pipe(Effect.provide(source)))
