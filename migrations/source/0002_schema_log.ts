/**
 * 0002 — schema log
 *
 * `pgstream.schema_log` and `pgstream.table_ids` as golden/SCHEMA.md has them (migrations 2–6 and 8). The pipeline
 * writes both, from rows of `pgstream.ddl` (0003); they are for those who read the history with SQL.
 * `get_schema` reads only: it makes no ids.
 *
 * Additive over a seed database: rows, ids and versions are kept.
 */
import * as Effect from "effect/Effect"
import * as SqlClient from "effect/sql/SqlClient"

/** One table in the form of `schema_log.schema`; `c` is its `pg_class` row. Orders: tables by oid, columns by attnum. */
const tableJson = `
  jsonb_build_object(
    'oid', c.oid::text, 'name', c.relname, 'pgstream_id', i.id,
    'primary_key_columns', COALESCE((
      SELECT jsonb_agg(a.attname ORDER BY k.n)
        FROM pg_index x CROSS JOIN LATERAL unnest(x.indkey::int2[]) WITH ORDINALITY k(attnum, n)
        JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = k.attnum
       WHERE x.indrelid = c.oid AND x.indisprimary AND k.n <= x.indnkeyatts), '[]'),
    'columns', (
      SELECT jsonb_agg(jsonb_build_object(
          'name', a.attname, 'type', format_type(a.atttypid, a.atttypmod),
          'default', pg_get_expr(d.adbin, d.adrelid), 'nullable', NOT (a.attnotnull OR t.typnotnull),
          'unique', EXISTS (SELECT FROM pg_index x WHERE x.indrelid = c.oid AND x.indisunique AND x.indisvalid
            AND x.indpred IS NULL AND x.indnkeyatts = 1 AND x.indkey[0] = a.attnum),
          'generated', a.attgenerated <> '', 'metadata', col_description(c.oid, a.attnum),
          'pgstream_id', i.id || '-' || a.attnum) ORDER BY a.attnum)
        FROM pg_attribute a JOIN pg_type t ON t.oid = a.atttypid
        LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
       WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped))`

export default Effect.gen(function*() {
  const sql = yield* SqlClient.SqlClient
  yield* sql`
    CREATE TABLE IF NOT EXISTS pgstream.schema_log (
      id pgstream.xid PRIMARY KEY,
      version bigint NOT NULL,
      schema_name text NOT NULL,
      schema jsonb NOT NULL,
      created_at timestamp DEFAULT now(),
      acked boolean DEFAULT false
    )`
  yield* sql`ALTER TABLE pgstream.schema_log ALTER COLUMN id SET DEFAULT pgstream.xid()`
  yield* sql`CREATE UNIQUE INDEX IF NOT EXISTS schema_log_version_uniq ON pgstream.schema_log (schema_name, version)`
  yield* sql`CREATE INDEX IF NOT EXISTS schema_log_name_acked ON pgstream.schema_log (schema_name, acked, id)`
  yield* sql`
    CREATE TABLE IF NOT EXISTS pgstream.table_ids (
      id pgstream.xid PRIMARY KEY,
      oid bigint NOT NULL UNIQUE
    )`
  yield* sql`ALTER TABLE pgstream.table_ids ALTER COLUMN id SET DEFAULT pgstream.xid()`
  yield* sql.unsafe(`
    CREATE FUNCTION pgstream.is_system_schema(schema_name text) RETURNS boolean LANGUAGE plpgsql IMMUTABLE AS $$
    BEGIN RETURN schema_name IN ('pgstream', 'pgroll'); END $$`)
  yield* sql.unsafe(`
    CREATE FUNCTION pgstream.get_schema(schema_name text) RETURNS jsonb LANGUAGE plpgsql STABLE
    SET search_path = pg_catalog, pg_temp AS $$
    BEGIN RETURN (
      SELECT jsonb_build_object('tables', jsonb_agg(${tableJson} ORDER BY c.oid))
        FROM pg_class c LEFT JOIN pgstream.table_ids i ON i.oid = c.oid::bigint
       WHERE c.relkind IN ('r', 'p') AND c.relnamespace = to_regnamespace(quote_ident(get_schema.schema_name))
         AND EXISTS (SELECT FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped));
    END $$`)
})
