/** `SchemaLogPg` against the contract, in the schema that the migrations make. */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import * as MigrationsSource from "../../src/layers/postgres/schema/MigrationsSource.ts"
import * as SchemaLogPg from "../../src/layers/postgres/schema/SchemaLogPg.ts"
import * as Sql from "../../src/layers/postgres/Sql.ts"
import { testDatabase } from "../support/database.ts"
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

suite("postgres", Layer.provideMerge(SchemaLogPg.layer, source), {
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
