/** The queries of a look. Each takes no lock but those on catalogs, and none that a DDL statement waits for. */
import type { PgClient } from "@effect/sql-pg"
import * as Effect from "effect/Effect"
import type { SqlError } from "effect/sql/SqlError"
import type { FullWas, LookRow, LookRowTable } from "./CatalogLookState.ts"

/** Tables of users: no temporary ones, none of ours. */
export const userTables = `c.relkind IN ('r', 'p') AND c.relpersistence <> 't'
  AND n.nspname NOT IN ('pgstream', 'information_schema', 'pg_catalog', 'pg_toast')`

/** What the stream derives itself is no difference (a schema's name, parents), nor is whose FULL it is. */
const comparable = `'{full_ours,schema,parents,root}'::text[]`

/** As a parameter, to be cast: `text::oid[]`. */
export const arrayText = (numbers: ReadonlyArray<number>): string => `{${numbers.join(",")}}`

export interface CatalogTable {
  readonly oid: string
  readonly snapshot: string
  readonly signature: string
}

/**
 * A signature per table of the catalog rows that its shape is made from, by their `xmin`: one pass over the catalog.
 * `oids` null: all tables.
 */
export const catalogTables = (sql: PgClient.PgClient, oids: ReadonlyArray<number> | null) =>
  sql.unsafe<CatalogTable>(`
    WITH a AS (SELECT a.attrelid AS o,
          sum(hashtextextended(concat_ws(':', a.attnum, a.xmin, t.xmin, tn.xmin), 0)) AS h
        FROM pg_attribute a JOIN pg_type t ON t.oid = a.atttypid JOIN pg_namespace tn ON tn.oid = t.typnamespace
       WHERE a.attnum > 0 AND NOT a.attisdropped GROUP BY 1),
      i AS (SELECT indrelid AS o, sum(hashtextextended(concat_ws(':', indexrelid, xmin), 0)) AS h
        FROM pg_index GROUP BY 1),
      d AS (SELECT adrelid AS o, sum(hashtextextended(concat_ws(':', adnum, xmin), 0)) AS h
        FROM pg_attrdef GROUP BY 1),
      k AS (SELECT inhparent AS o, sum(hashtextextended(concat_ws(':', inhrelid, xmin), 0)) AS h
        FROM pg_inherits GROUP BY 1),
      m AS (SELECT objoid AS o, sum(hashtextextended(concat_ws(':', objsubid, xmin), 0)) AS h FROM pg_description
       WHERE classoid = 'pg_class'::regclass AND objsubid > 0 GROUP BY 1)
    SELECT c.oid::text AS oid, pg_current_snapshot()::text AS snapshot,
        concat_ws('/', c.xmin, coalesce(a.h, 0), coalesce(i.h, 0), coalesce(d.h, 0), coalesce(k.h, 0),
          coalesce(m.h, 0)) AS signature
      FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
      LEFT JOIN a ON a.o = c.oid LEFT JOIN i ON i.o = c.oid LEFT JOIN d ON d.o = c.oid
      LEFT JOIN k ON k.o = c.oid LEFT JOIN m ON m.o = c.oid
     WHERE ${userTables} AND ($1::text IS NULL OR c.oid = ANY($1::text::oid[]))
     ORDER BY c.oid`, [oids === null ? null : arrayText(oids)])

/** Tables that a statement changes just now: reading their shape would wait. */
export const busyTables = (sql: PgClient.PgClient) =>
  Effect.map(
    sql<{ readonly oid: string }>`
      SELECT DISTINCT relation::text AS oid FROM pg_locks
       WHERE locktype = 'relation' AND mode = 'AccessExclusiveLock' AND granted AND database = (SELECT oid FROM pg_database WHERE datname = current_database())`,
    (rows) => new Set(rows.map((row) => row.oid))
  )

export interface CatalogSchema {
  readonly oid: string
  readonly name: string
}

export const catalogSchemas = (sql: PgClient.PgClient) =>
  sql<CatalogSchema>`
    SELECT oid::text AS oid, nspname AS name FROM pg_namespace
     WHERE nspname !~ '^pg_' AND nspname NOT IN ('information_schema', 'pgstream') ORDER BY pg_namespace.oid`

export const snapshot = (sql: PgClient.PgClient): Effect.Effect<string, SqlError> =>
  Effect.map(sql<{ readonly s: string }>`SELECT pg_current_snapshot()::text AS s`, ([row]) => row?.s ?? "")

export interface CatalogShape {
  readonly oid: string
  readonly snapshot: string
  readonly md5: string | null
  readonly shape: string | null
}

export const shapes = (sql: PgClient.PgClient, oids: ReadonlyArray<number>) =>
  sql<CatalogShape>`
    SELECT k.o::text AS oid, pg_current_snapshot()::text AS snapshot,
        md5((x.s - ${sql.literal(comparable)})::text) AS md5, x.s::text AS shape
      FROM unnest(${arrayText(oids)}::text::oid[]) AS k(o)
      CROSS JOIN LATERAL (SELECT pgstream.shape(k.o) AS s OFFSET 0) x`

/** A shape as a row of `pgstream.ddl` has it. */
export const shapeOfRow = (sql: PgClient.PgClient, rowId: number, oid: number) =>
  Effect.map(
    sql<{ readonly shape: string }>`
      SELECT e::text AS shape FROM pgstream.ddl d CROSS JOIN LATERAL jsonb_array_elements(d.tables) e
       WHERE d.id = ${rowId} AND e->>'oid' = ${String(oid)}`,
    ([row]): unknown => row === undefined ? undefined : JSON.parse(row.shape)
  )

interface RawRow {
  readonly id: string
  readonly xid: string
  readonly tag: string
  readonly read_committed: boolean
  readonly rest: string
}

/** Rows of a page; memory is bounded by it, and by one row's size. */
const PAGE_ROWS = 1_000

/** Rows with an id above `after`, in order, each handed to `apply`. Answers the highest id, or `after`. */
export const eachRow = Effect.fnUntraced(function*(
  sql: PgClient.PgClient,
  after: number,
  apply: (row: LookRow) => void
) {
  let last = after
  for (;;) {
    const page = yield* sql.unsafe<RawRow>(`
      SELECT d.id::text AS id, d.xid, d.tag, d.isolation = 'read committed' AS read_committed, jsonb_build_object(
          'schemas', d.schemas, 'dropped', d.dropped, 'madeFull', d.made_full,
          'newIds', (SELECT jsonb_agg(k) FROM jsonb_object_keys(d.new_ids) k),
          'tables', (SELECT jsonb_agg(jsonb_build_object('oid', e->'oid', 'unsure', e ? 'unsure',
              'md5', md5((e - ${comparable})::text), 'replident', e->'replident', 'schema', e->'schema',
              'name', e->'name')
              || CASE WHEN e ? 'full_ours' THEN jsonb_build_object('fullOurs', e->'full_ours') ELSE '{}' END)
            FROM jsonb_array_elements(d.tables) e))::text AS rest
        FROM pgstream.ddl d WHERE d.id > $1 ORDER BY d.id LIMIT ${PAGE_ROWS}`, [last])
    for (const raw of page) {
      last = Number(raw.id)
      apply(lookRow(raw))
    }
    if (page.length < PAGE_ROWS) return last
  }
})

const lookRow = (raw: RawRow): LookRow => {
  const rest = JSON.parse(raw.rest) as {
    readonly schemas: LookRow["schemas"] | null
    readonly dropped: LookRow["dropped"] | null
    readonly madeFull: Record<string, FullWas> | null
    readonly newIds: ReadonlyArray<string> | null
    readonly tables: ReadonlyArray<LookRowTable> | null
  }
  return {
    id: Number(raw.id),
    xid: raw.xid,
    tag: raw.tag,
    readCommitted: raw.read_committed,
    schemas: rest.schemas ?? [],
    dropped: rest.dropped ?? [],
    madeFull: rest.madeFull ?? {},
    newIds: rest.newIds ?? [],
    tables: rest.tables ?? []
  }
}

export interface NewRow {
  readonly snapshot: string
  readonly skip: boolean
  readonly tables?: ReadonlyArray<unknown>
  /** Tables that get an id now. */
  readonly needIds?: ReadonlyArray<number>
  /** Tables of which the id that a row gave is said again. */
  readonly repeatIds?: ReadonlyArray<number>
  readonly schemas?: ReadonlyArray<readonly [oid: string, name: string, tag: string]>
  readonly dropped?: ReadonlyArray<readonly [kind: string, oid: string, schema: string | null, name: string]>
}

const json = (value: ReadonlyArray<unknown> | undefined) =>
  value === undefined || value.length === 0 ? null : JSON.stringify(value)

const givenIds = (sql: PgClient.PgClient, oids: ReadonlyArray<number>) =>
  oids.length === 0 ? sql.literal("NULL::jsonb") : sql`
    (SELECT jsonb_object_agg(g.key, g.value) FROM (SELECT DISTINCT ON (i.key) i.key, i.value
       FROM pgstream.ddl d CROSS JOIN LATERAL jsonb_each_text(d.new_ids) i
      WHERE i.key = ANY(${arrayText(oids)}::text::text[]) ORDER BY i.key, d.id DESC) g)`

export const insertRow = (sql: PgClient.PgClient, row: NewRow) =>
  sql`
    INSERT INTO pgstream.ddl(tag, xid, isolation, skip, tables, schemas, dropped, new_ids)
    SELECT 'LOOK', ${row.snapshot}, 'read committed', ${row.skip}, ${json(row.tables)}::text::jsonb,
      ${json(row.schemas)}::text::jsonb, ${json(row.dropped)}::text::jsonb,
      nullif(coalesce((SELECT jsonb_object_agg(o, pgstream.xid()) FROM unnest(${arrayText(row.needIds ?? [])}::text::text[]) o), '{}')
        || coalesce(${givenIds(sql, row.repeatIds ?? [])}, '{}'), '{}')`

/** Tables of `oids` that have an id in `pgstream.table_ids` (announced, or taken over). */
export const announced = (sql: PgClient.PgClient, oids: ReadonlyArray<number>) =>
  Effect.map(
    sql<{ readonly oid: string }>`
      SELECT oid::text AS oid FROM pgstream.table_ids WHERE oid = ANY(${arrayText(oids)}::text::bigint[])`,
    (rows) => new Set(rows.map((row) => Number(row.oid)))
  )

export interface IdentityRecord {
  readonly oid: string
  readonly was: FullWas
}

export const identityRecords = (sql: PgClient.PgClient) =>
  Effect.map(
    sql<IdentityRecord>`SELECT oid::text AS oid, was FROM pgstream.identities`,
    (rows) => new Map(rows.map((row) => [Number(row.oid), row.was]))
  )
