/**
 * What is in force where a stream begins: shapes, ids, versions and definitions as one snapshot sees them. For a slot
 * that `init` makes that is the slot's own exported snapshot, so nothing is missing between it and the first change.
 */
import type { PgClient } from "@effect/sql-pg"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import * as SqlClient from "effect/sql/SqlClient"
import type { SqlError } from "effect/sql/SqlError"
import type { ChangeKind } from "../../../domain/Change.ts"
import * as Ddl from "../../../domain/Ddl.ts"
import * as SchemaEntry from "../../../domain/SchemaEntry.ts"
import { literal } from "../../../domain/SqlText.ts"
import type { Subscription } from "../../../domain/Subscription.ts"
import type { ShapesSnapshot, TableShape } from "../../../domain/TableShape.ts"

/** Tables of which the shapes are read at a time: reading a default expression locks its table until the batch's end. */
const BATCH = 200

interface ShapeRow {
  readonly oid: string
  readonly shape: unknown
  readonly table_id: string | null
}

/** A table that went meanwhile has no shape. */
const toShape = (row: ShapeRow, given: ReadonlyMap<string, string>): ReadonlyArray<TableShape> => {
  const shape = Ddl.parseShape(row.shape)
  const tableId = row.table_id ?? given.get(row.oid)
  return Result.isFailure(shape)
    ? []
    : [tableId === undefined ? shape.success : { ...shape.success, tableId }]
}

/**
 * Ids that rows of `pgstream.ddl` gave, by oid: `table_ids` has them only when the stream that announces them has come
 * that far, and another slot of this database may lag. An oid is used again: the newest row holds.
 */
const givenIds = (sql: PgClient.PgClient): Effect.Effect<ReadonlyMap<string, string>, SqlError> =>
  Effect.map(
    sql<{ readonly oid: string; readonly id: string }>`
      SELECT DISTINCT ON (i.key) i.key AS oid, i.value AS id
        FROM pgstream.ddl d CROSS JOIN LATERAL jsonb_each_text(d.new_ids) AS i
       WHERE d.new_ids IS NOT NULL ORDER BY i.key, d.id DESC`,
    (rows) => new Map(rows.map((row) => [row.oid, row.id]))
  )

/** Every permanent or unlogged table of the user. Call inside a transaction: locks end with each batch. */
const readShapes = (sql: PgClient.PgClient): Effect.Effect<ReadonlyArray<TableShape>, SqlError> =>
  Effect.gen(function*() {
    const oids = yield* sql<{ readonly oid: string }>`
      SELECT c.oid::text AS oid FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
       WHERE c.relkind IN ('r', 'p') AND c.relpersistence <> 't'
         AND n.nspname NOT IN ('pgstream', 'pg_catalog', 'information_schema') AND n.nspname !~ '^pg_toast' ORDER BY c.oid`
    const given = yield* givenIds(sql)
    const shapes: Array<TableShape> = []
    for (let at = 0; at < oids.length; at += BATCH) {
      const batch = oids.slice(at, at + BATCH).map((row) => row.oid)
      yield* sql`SAVEPOINT pgstream_shapes`
      const rows = yield* sql<ShapeRow>`
        SELECT t.oid, pgstream.shape_now(t.oid::oid) AS shape,
               (SELECT i.id::text FROM pgstream.table_ids i WHERE i.oid = t.oid::bigint) AS table_id
          FROM unnest(${batch}::text[]) AS t(oid) `
      yield* sql`ROLLBACK TO SAVEPOINT pgstream_shapes`
      shapes.push(...rows.flatMap((row) => toShape(row, given)))
    }
    return shapes
  })

interface VersionRow {
  readonly schema_name: string
  readonly version: string
  readonly id: string
  readonly entry: string
}

/** Entries up to the start count as acked: the newest of each schema. */
const readVersions = (sql: PgClient.PgClient) =>
  Effect.map(
    sql<VersionRow>`
      SELECT DISTINCT ON (schema_name) schema_name, version::text AS version, id::text AS id, schema::text AS entry
        FROM pgstream.schema_log ORDER BY schema_name, schema_log.version DESC`,
    (rows) =>
      rows.map((row) => ({
        schema: row.schema_name,
        version: Number(row.version),
        entryId: row.id.trim(),
        tables: SchemaEntry.tablesOf(row.entry)
      }))
  )

interface SubscriptionRow {
  readonly id: string
  readonly endpoint_id: string
  readonly url: string
  readonly schema_name: string
  readonly table_name: string
  readonly event_types: ReadonlyArray<string> | null
  readonly created_at_us: string
}

export const readDefinitions = (
  sql: PgClient.PgClient
): Effect.Effect<ReadonlyArray<Subscription>, SqlError> =>
  Effect.map(
    sql<SubscriptionRow>`
      SELECT id::text AS id, endpoint_id::text AS endpoint_id, url, schema_name, table_name, event_types,
             (extract(epoch FROM created_at) * 1000000)::bigint::text AS created_at_us
        FROM pgstream.webhook_subscriptions ORDER BY created_at, id`,
    (rows) =>
      rows.map((row): Subscription => ({
        id: row.id,
        endpointId: row.endpoint_id,
        url: row.url,
        schema: row.schema_name,
        table: row.table_name,
        eventTypes: (row.event_types ?? []).filter((kind): kind is ChangeKind => /^[IUDTM]$/.test(kind)),
        createdAtUs: Number(row.created_at_us)
      }))
  )

export interface StartState {
  readonly shapes: ShapesSnapshot
  /** `undefined`: the store is elsewhere, its rows are read there. */
  readonly definitions: ReadonlyArray<Subscription> | undefined
}

/** One snapshot: `snapshotName` (exported by the slot), or the one of now. */
export const read = (
  sql: PgClient.PgClient,
  snapshotName: string | undefined,
  storeInSource: boolean
): Effect.Effect<StartState, SqlError> =>
  sql
    .withTransaction(
      Effect.gen(function*() {
        if (snapshotName !== undefined)
          yield* sql.unsafe(`SET TRANSACTION SNAPSHOT ${literal(snapshotName)}`)
        yield* sql`SET LOCAL lock_timeout = '10s'`
        const tables = yield* readShapes(sql)
        const versions = yield* readVersions(sql)
        const definitions = storeInSource ? yield* readDefinitions(sql) : undefined
        return { shapes: { tables, versions }, definitions }
      })
    )
    .pipe(Effect.provideService(SqlClient.BeginTransaction, "BEGIN ISOLATION LEVEL REPEATABLE READ"))
