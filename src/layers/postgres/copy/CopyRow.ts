/** A row of `pgstream.copies` with what is kept of its tables. */
import type { Copy, CopyMode, CopyState, CopyTableState, TableName } from "../../../domain/copy/Copy.ts"
import type { TableRecord } from "../../../services/CopyRequests.ts"

export interface CopyRow {
  readonly id: string
  readonly subscription: string | null
  readonly tables: string
  readonly condition: string | null
  readonly mode: CopyMode
  readonly repeatable: boolean
  readonly state: CopyState
  readonly error: string | null
  readonly created_ms: number
  readonly updated_ms: number
  readonly records: string
}

/** Oldest first. `$1` is the stream; `condition` goes on with AND. */
export const selectCopies = (condition: string): string => `
  SELECT c.id::text AS id, c.subscription::text AS subscription, c.tables::text AS tables, c.condition, c.mode, c.repeatable,
         c.state, c.error, extract(epoch FROM c.created_at)::float8 * 1000 AS created_ms,
         extract(epoch FROM c.updated_at)::float8 * 1000 AS updated_ms,
         (SELECT coalesce(json_agg(t ORDER BY t.schema_name, t.table_name), '[]')::text
            FROM pgstream.copy_tables t WHERE t.copy_id = c.id) AS records
    FROM pgstream.copies c WHERE c.stream = $1 ${condition} ORDER BY c.id`

interface RecordJson {
  readonly oid: number
  readonly schema_name: string
  readonly table_name: string
  readonly state: CopyTableState
  readonly filenode: number
  readonly done_through: ReadonlyArray<string> | null
  readonly rows: number
  readonly bytes: number
  readonly total_rows: number | null
  readonly total_bytes: number | null
  readonly error: string | null
}

const recordOf = (json: RecordJson): TableRecord => ({
  schema: json.schema_name,
  table: json.table_name,
  oid: json.oid,
  state: json.state,
  filenode: json.filenode,
  doneThrough: json.done_through ?? undefined,
  rows: json.rows,
  bytes: json.bytes,
  totalRows: json.total_rows ?? undefined,
  totalBytes: json.total_bytes ?? undefined,
  error: json.error ?? undefined
})

export const ofRow = (row: CopyRow): { readonly copy: Copy; readonly tables: ReadonlyArray<TableRecord> } => {
  const tables = (JSON.parse(row.records) as ReadonlyArray<RecordJson>).map(recordOf)
  const copy: Copy = {
    id: row.id,
    subscription: row.subscription ?? undefined,
    tables: JSON.parse(row.tables) as ReadonlyArray<TableName>,
    where: row.condition ?? undefined,
    mode: row.mode,
    repeatable: row.repeatable,
    state: row.state,
    error: row.error ?? undefined,
    createdAtMs: Math.round(row.created_ms),
    updatedAtMs: Math.round(row.updated_ms),
    progress: tables.map(({ bytes, error, rows, schema, state, table, totalBytes, totalRows }) =>
      ({ schema, table, state, rows, bytes, totalRows, totalBytes, error }))
  }
  return { copy, tables }
}
