/** `TableCatalog` of the source database. */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type { SqlError } from "effect/sql/SqlError"
import * as Condition from "../../domain/Condition.ts"
import { identifier } from "../../domain/SqlText.ts"
import type { CatalogTable } from "../../domain/TablePattern.ts"
import { TableCatalog, TableCatalogError } from "../../services/TableCatalog.ts"
import { SourceSql } from "./Sql.ts"
import { isUnavailable, sqlState, withoutValues } from "./store/StoreRetry.ts"

/** Planning a condition takes no longer, and waits no longer for a lock on the table, ms. */
const PLAN_TIMEOUT_MS = 5_000
const LOCK_TIMEOUT_MS = 2_000

const tables = `
  SELECT c.oid::bigint::float8 AS oid, n.nspname AS schema, c.relname AS name,
         CASE WHEN c.relkind = 'r' AND c.relpersistence = 'u' THEN 'unlogged table'
              WHEN c.relkind = 'r' THEN 'table'
              WHEN c.relkind = 'p' THEN 'partitioned table'
              WHEN c.relkind = 'v' THEN 'view'
              WHEN c.relkind = 'm' THEN 'materialized view'
              ELSE 'foreign table' END AS kind,
         CASE WHEN c.relispartition
              THEN (SELECT i.inhparent::bigint::float8 FROM pg_catalog.pg_inherits i WHERE i.inhrelid = c.oid) END AS parent
    FROM pg_catalog.pg_class c
    JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
   WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f') AND c.relpersistence <> 't'
     AND n.nspname <> 'information_schema' AND n.nspname !~ '^pg_'
   ORDER BY n.nspname COLLATE "C", c.relname COLLATE "C"`

const schemas = `SELECT nspname AS name FROM pg_catalog.pg_namespace WHERE nspname !~ '^pg_(temp|toast)' ORDER BY nspname COLLATE "C"`

type Row = Omit<CatalogTable, "partitionOf"> & { readonly parent: number | null }

const LOCKED = "55P03"

const failed = (error: SqlError): TableCatalogError =>
  new TableCatalogError({ unavailable: isUnavailable(error) || sqlState(error) === LOCKED, cause: withoutValues(error) })

/**
 * What the server says of the person's own text. EXPLAIN reads no row, so a message about syntax, names and types (class
 * 42), constants (22) and what is not supported (0A) quotes nothing but that text and the catalog.
 */
const refusal = (error: SqlError): string | undefined => {
  const state = sqlState(error)
  if (state === "57014") return `could not be planned within ${PLAN_TIMEOUT_MS} ms`
  if (state === "25006") return "would change something; it is run read-only"
  if (state === undefined || !/^(42|22|0A)/.test(state)) return undefined
  const cause: unknown = error.reason.cause
  const message = typeof cause === "object" && cause !== null && "message" in cause ? String(cause.message) : error.message
  return `is refused by Postgres: ${message}`
}

export const layer: Layer.Layer<TableCatalog, never, SourceSql> = Layer.effect(
  TableCatalog,
  Effect.gen(function*() {
    const sql = yield* SourceSql

    const read = Effect.gen(function*() {
      const rows = yield* sql.unsafe<Row>(tables)
      const known = yield* sql.unsafe<{ readonly name: string }>(schemas)
      return {
        schemas: known.map(({ name }) => name),
        tables: rows.map(({ parent, ...table }) => ({ ...table, partitionOf: parent ?? undefined }))
      }
    }).pipe(Effect.mapError(failed))

    const conditionProblem: TableCatalog["Service"]["conditionProblem"] = Effect.fn("TableCatalog.conditionProblem")(
      function*({ name, schema }, condition) {
        const plan = sql.withTransaction(Effect.gen(function*() {
          yield* sql`SET TRANSACTION READ ONLY`
          yield* sql.unsafe(`SET LOCAL statement_timeout = ${PLAN_TIMEOUT_MS}`)
          yield* sql.unsafe(`SET LOCAL lock_timeout = ${LOCK_TIMEOUT_MS}`)
          yield* sql.unsafe(`EXPLAIN SELECT 1 FROM ONLY ${identifier(schema)}.${identifier(name)} WHERE ${Condition.sql(condition)}`)
        }))
        return yield* plan.pipe(
          Effect.as(undefined),
          Effect.catch((error) => {
            const said = refusal(error)
            return said === undefined ? Effect.fail(failed(error)) : Effect.succeed(said)
          })
        )
      }
    )

    return TableCatalog.of({ read, conditionProblem })
  })
)
