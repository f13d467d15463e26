/** The SQL of a copy. Text in, text out; every name is quoted, every value a literal of its column's type. */
import type { Bound } from "../../../domain/copy/Ranges.ts"
import * as Mark from "../../../domain/copy/Mark.ts"
import { identifier, literal } from "../../../domain/SqlText.ts"

export interface KeyColumn {
  readonly name: string
  /** `format_type` without a modifier, so that a value is never cut. */
  readonly type: string
}

export const qualified = (table: { readonly schema: string; readonly table: string }): string =>
  `${identifier(table.schema)}.${identifier(table.table)}`

const row = (parts: ReadonlyArray<string>): string => (parts.length === 1 ? parts[0]! : `(${parts.join(", ")})`)

const columnsOf = (key: ReadonlyArray<KeyColumn>): string =>
  key.length === 0 ? "ctid" : row(key.map(({ name }) => identifier(name)))

const valuesOf = (key: ReadonlyArray<KeyColumn>, values: ReadonlyArray<string>): string =>
  key.length === 0
    ? `${literal(values[0] ?? "")}::pg_catalog.tid`
    : row(key.map(({ type }, i) => `${literal(values[i] ?? "")}::${type}`))

const orderOf = (key: ReadonlyArray<KeyColumn>): string =>
  key.length === 0 ? "" : ` ORDER BY ${key.map(({ name }) => identifier(name)).join(", ")}`

export interface Selected {
  readonly from: Bound
  readonly to: Bound
  readonly keys?: ReadonlyArray<ReadonlyArray<string>> | undefined
  readonly where: string | undefined
}

/** Rows of a range. */
export const conditionOf = (key: ReadonlyArray<KeyColumn>, selected: Selected): string => {
  const { from, keys, to, where } = selected
  const parts = [
    ...(from === undefined ? [] : [`${columnsOf(key)} > ${valuesOf(key, from)}`]),
    ...(to === undefined ? [] : [`${columnsOf(key)} <= ${valuesOf(key, to)}`]),
    ...(keys === undefined ? [] : [`${columnsOf(key)} IN (${keys.map((values) => valuesOf(key, values)).join(", ")})`]),
    ...(where === undefined ? [] : [`(${where}\n)`])
  ]
  return parts.length === 0 ? "" : ` WHERE ${parts.join(" AND ")}`
}

/** `xmin` (and the row pointer of a table without a key) before the columns. */
export const selectRows = (
  table: { readonly schema: string; readonly table: string },
  key: ReadonlyArray<KeyColumn>,
  columns: ReadonlyArray<string>,
  selected: Selected
): string => {
  const list = ["xmin", ...(key.length === 0 ? ["ctid"] : []), ...columns.map(identifier)].join(", ")
  return `SELECT ${list} FROM ONLY ${qualified(table)}${conditionOf(key, selected)}${orderOf(key)}`
}

export const selectBound = (
  table: { readonly schema: string; readonly table: string },
  key: ReadonlyArray<KeyColumn>,
  from: Bound,
  to: Bound,
  rows: number
): string => {
  const list = key.map(({ name }, i) => `${identifier(name)} AS k${i}`).join(", ")
  const condition = conditionOf(key, { from, to, where: undefined })
  return `SELECT ${list} FROM ONLY ${qualified(table)}${condition}${orderOf(key)} OFFSET ${rows - 1} LIMIT 1`
}

/** `messages`: the plugin hands them out; else a row of ours comes and goes. */
export const writeMark = (messages: boolean, id: string): string => {
  const text = literal(Mark.textOf(id))
  return messages
    ? `SELECT pg_logical_emit_message(true, 'pgstream', ${text})::text`
    : `INSERT INTO pgstream.marks (kind) VALUES (${text}); DELETE FROM pgstream.marks WHERE kind = ${text}`
}

/** Says of the locked table, in the transaction's snapshot, what its rows are read with. */
export const describe = (oid: number): string => `
  SELECT pg_current_snapshot()::text AS snapshot, pg_relation_filenode(c.oid)::text AS filenode, n.nspname AS schema,
         c.relname AS name, c.relreplident AS identity,
         (SELECT json_agg(json_build_array(a.attname, a.atttypid::bigint, a.atttypmod, format_type(a.atttypid, a.atttypmod),
                 format_type(a.atttypid, -1), a.attgenerated,
                 EXISTS (SELECT FROM pg_index i WHERE i.indrelid = c.oid AND a.attnum = ANY (i.indkey::int2[])
                   AND CASE c.relreplident WHEN 'd' THEN i.indisprimary WHEN 'i' THEN i.indisreplident ELSE false END)) ORDER BY a.attnum)
            FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped)::text AS columns
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.oid = ${oid} AND c.relkind = 'r'`

export const isNamed = (name: { readonly schema: string; readonly table: string }): string =>
  `n.nspname = ${literal(name.schema)} AND c.relname = ${literal(name.table)}`

/** The tables with rows that a table stands for. */
export const findTables = (condition: string): string => `
  WITH RECURSIVE tree AS (
    SELECT c.oid, c.relkind FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
     WHERE ${condition} AND c.relkind IN ('r', 'p')
    UNION ALL
    SELECT c.oid, c.relkind FROM tree t JOIN pg_inherits i ON i.inhparent = t.oid JOIN pg_class c ON c.oid = i.inhrelid
     WHERE t.relkind = 'p' AND c.relkind IN ('r', 'p'))
  SELECT c.oid::text AS oid, n.nspname AS schema, c.relname AS name, pg_relation_filenode(c.oid)::text AS filenode,
         EXISTS (SELECT FROM pg_event_trigger WHERE evtname = 'pgstream_ddl' AND evtenabled = 'A')::text AS in_stream,
         c.reltuples::float8::text AS tuples, pg_table_size(c.oid)::text AS bytes
    FROM tree t JOIN pg_class c ON c.oid = t.oid JOIN pg_namespace n ON n.oid = c.relnamespace
   WHERE t.relkind = 'r' ORDER BY 2, 3`

/** Who waits for a standby with COMMIT PREPARED has no id of its own: that of the transaction counts. */
export const committing = `
  SELECT backend_xid::text AS xid FROM pg_stat_activity WHERE wait_event = 'SyncRep' AND backend_xid IS NOT NULL
  UNION SELECT p.transaction::text FROM pg_prepared_xacts p WHERE EXISTS (
    SELECT FROM pg_stat_activity a WHERE a.wait_event = 'SyncRep' AND a.backend_xid IS NULL
      AND position(replace(p.gid, '''', '''''') IN a.query) > 0)
  UNION SELECT transactionid::text FROM pg_locks
   WHERE locktype = 'transactionid' AND mode = 'ExclusiveLock' AND granted
     AND NOT pg_has_role('pg_read_all_stats', 'USAGE') AND current_setting('synchronous_standby_names') <> ''`
