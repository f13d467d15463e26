-- After seed7.sql: its migration 8, `get_schema` with the `generated` flag of each column.
CREATE OR REPLACE FUNCTION pgstream.get_schema(sname text) RETURNS jsonb LANGUAGE sql VOLATILE
SET search_path = pg_catalog, pg_temp AS $$
  SELECT jsonb_build_object('tables', jsonb_agg(jsonb_build_object('oid', c.oid::text, 'name', c.relname,
      'pgstream_id', coalesce((SELECT i.id FROM pgstream.table_ids i WHERE i.oid = c.oid::bigint), pgstream.create_table_mapping(c.oid)),
      'primary_key_columns', '[]'::jsonb,
      'columns', (SELECT jsonb_agg(jsonb_build_object('name', a.attname, 'type', format_type(a.atttypid, a.atttypmod), 'generated', a.attgenerated <> ''))
        FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped))))
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = sname AND c.relkind IN ('r', 'p') $$;
UPDATE pgstream.schema_migrations SET version = 8;
