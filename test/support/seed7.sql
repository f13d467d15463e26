-- A database of the system that we replace, after its migration 7: objects by the names, columns, keys, signatures and
-- event triggers of golden/SCHEMA.md; the bodies are our own, only good enough to make ids and entries.
-- seed8.sql comes after it. A slot is the test's to make.
CREATE SCHEMA pgstream;

CREATE DOMAIN pgstream.xid AS char(20) CHECK (VALUE ~ '^[a-v0-9]{20}$');
CREATE SEQUENCE pgstream.xid_serial MINVALUE 0 MAXVALUE 16777215 CYCLE START 2920080;

CREATE FUNCTION pgstream._xid_machine_id() RETURNS int LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN RETURN (SELECT system_identifier & 16777215 FROM pg_control_system()); END $$;

CREATE FUNCTION pgstream.xid_encode(_id int[]) RETURNS pgstream.xid LANGUAGE plpgsql AS $$
DECLARE bits text := ''; id text := '';
BEGIN
  FOR n IN 1..12 LOOP bits := bits || _id[n]::bit(8)::text; END LOOP;
  bits := bits || '0000';
  FOR n IN 0..19 LOOP id := id || substr('0123456789abcdefghijklmnopqrstuv', substr(bits, n * 5 + 1, 5)::bit(5)::int + 1, 1); END LOOP;
  RETURN id;
END $$;

CREATE FUNCTION pgstream.xid_decode(_xid pgstream.xid) RETURNS int[] LANGUAGE plpgsql AS $$
DECLARE bits text := ''; id int[] := '{}';
BEGIN
  FOR n IN 1..20 LOOP bits := bits || (strpos('0123456789abcdefghijklmnopqrstuv', substr(_xid, n, 1)) - 1)::bit(5)::text; END LOOP;
  FOR n IN 0..11 LOOP id := id || substr(bits, n * 8 + 1, 8)::bit(8)::int; END LOOP;
  RETURN id;
END $$;

CREATE FUNCTION pgstream.xid(_at timestamptz DEFAULT current_timestamp) RETURNS pgstream.xid LANGUAGE plpgsql AS $$
DECLARE
  s bigint := floor(extract(epoch FROM _at)); m int := pgstream._xid_machine_id();
  p int := pg_backend_pid() & 65535; c int := nextval('pgstream.xid_serial');
BEGIN
  RETURN pgstream.xid_encode(ARRAY[(s >> 24) & 255, (s >> 16) & 255, (s >> 8) & 255, s & 255,
    (m >> 16) & 255, (m >> 8) & 255, m & 255, (p >> 8) & 255, p & 255, (c >> 16) & 255, (c >> 8) & 255, c & 255]::int[]);
END $$;

CREATE FUNCTION pgstream.xid_time(_xid pgstream.xid) RETURNS timestamptz LANGUAGE plpgsql AS $$
DECLARE b int[] := pgstream.xid_decode(_xid);
BEGIN RETURN to_timestamp((b[1]::bigint << 24) | (b[2] << 16) | (b[3] << 8) | b[4]); END $$;
CREATE FUNCTION pgstream.xid_machine(_xid pgstream.xid) RETURNS int[] LANGUAGE plpgsql AS $$
BEGIN RETURN (pgstream.xid_decode(_xid))[5:7]; END $$;
CREATE FUNCTION pgstream.xid_pid(_xid pgstream.xid) RETURNS int LANGUAGE plpgsql AS $$
DECLARE b int[] := pgstream.xid_decode(_xid);
BEGIN RETURN (b[8] << 8) | b[9]; END $$;
CREATE FUNCTION pgstream.xid_counter(_xid pgstream.xid) RETURNS int LANGUAGE plpgsql AS $$
DECLARE b int[] := pgstream.xid_decode(_xid);
BEGIN RETURN (b[10] << 16) | (b[11] << 8) | b[12]; END $$;

CREATE TABLE pgstream.schema_log (
  id pgstream.xid PRIMARY KEY DEFAULT pgstream.xid(),
  version bigint NOT NULL,
  schema_name text NOT NULL,
  schema jsonb NOT NULL,
  created_at timestamp DEFAULT now(),
  acked boolean DEFAULT false
);
CREATE UNIQUE INDEX schema_log_version_uniq ON pgstream.schema_log(schema_name, version);
CREATE INDEX schema_log_name_acked ON pgstream.schema_log(schema_name, acked, id);

CREATE TABLE pgstream.table_ids (
  id pgstream.xid PRIMARY KEY DEFAULT pgstream.xid(),
  oid bigint NOT NULL UNIQUE
);

CREATE FUNCTION pgstream.create_table_mapping(table_oid oid) RETURNS pgstream.xid LANGUAGE sql
SET search_path = pg_catalog, pg_temp AS $$
  INSERT INTO pgstream.table_ids(oid) VALUES (table_oid::bigint) RETURNING id $$;

CREATE FUNCTION pgstream.get_schema(sname text) RETURNS jsonb LANGUAGE sql VOLATILE
SET search_path = pg_catalog, pg_temp AS $$
  SELECT jsonb_build_object('tables', jsonb_agg(jsonb_build_object('oid', c.oid::text, 'name', c.relname,
      'pgstream_id', coalesce((SELECT i.id FROM pgstream.table_ids i WHERE i.oid = c.oid::bigint), pgstream.create_table_mapping(c.oid)),
      'primary_key_columns', '[]'::jsonb,
      'columns', (SELECT jsonb_agg(jsonb_build_object('name', a.attname, 'type', format_type(a.atttypid, a.atttypmod)))
        FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped))))
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = sname AND c.relkind IN ('r', 'p') $$;

CREATE FUNCTION pgstream.is_system_schema(schema_name text) RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN RETURN schema_name IN ('pgstream', 'pgroll'); END $$;

CREATE FUNCTION pgstream.refresh_schema(schema_to_refresh text) RETURNS void LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  IF schema_to_refresh IS NULL OR pgstream.is_system_schema(schema_to_refresh) THEN RETURN; END IF;
  INSERT INTO pgstream.schema_log(version, schema_name, schema)
  SELECT count(*) + 1, schema_to_refresh, pgstream.get_schema(schema_to_refresh) FROM pgstream.schema_log l WHERE l.schema_name = schema_to_refresh;
  PERFORM set_config('pgstream.skip_log', '', false);
END $$;

CREATE FUNCTION pgstream.log_schema() RETURNS event_trigger LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp AS $$
DECLARE name text;
BEGIN
  IF current_setting('pgstream.skip_log', true) = 'TRUE' THEN RETURN; END IF;
  IF tg_event = 'sql_drop' THEN
    SELECT schema_name INTO name FROM pg_event_trigger_dropped_objects() WHERE object_type = 'table' LIMIT 1;
    DELETE FROM pgstream.table_ids WHERE oid IN (SELECT objid FROM pg_event_trigger_dropped_objects() WHERE object_type = 'table' LIMIT 1);
  ELSIF tg_tag IN ('CREATE TABLE', 'ALTER TABLE') THEN
    SELECT schema_name INTO name FROM pg_event_trigger_ddl_commands() LIMIT 1;
  END IF;
  IF name IS NULL OR pgstream.is_system_schema(name) THEN RETURN; END IF;
  INSERT INTO pgstream.schema_log(version, schema_name, schema)
  SELECT coalesce(max(version), 0) + 1, name, pgstream.get_schema(name) FROM pgstream.schema_log l WHERE l.schema_name = name;
END $$;

CREATE EVENT TRIGGER pgstream_log_schema_create_alter_table ON ddl_command_end EXECUTE FUNCTION pgstream.log_schema();
CREATE EVENT TRIGGER pgstream_log_schema_drop_schema_table ON sql_drop WHEN TAG IN ('DROP TABLE', 'DROP SCHEMA') EXECUTE FUNCTION pgstream.log_schema();

CREATE TABLE pgstream.schema_migrations (version bigint PRIMARY KEY, dirty boolean NOT NULL);
INSERT INTO pgstream.schema_migrations VALUES (7, false);

-- Made by its `run`.
CREATE TABLE pgstream.webhook_subscriptions (
  url text, schema_name text, table_name text, event_types text[], PRIMARY KEY (url, schema_name, table_name));
CREATE TABLE pgstream.snapshot_requests (
  req_id serial PRIMARY KEY, schema_name text, table_names text[], created_at timestamptz, updated_at timestamptz,
  status text CHECK (status IN ('requested', 'in progress', 'completed')), errors jsonb);
CREATE UNIQUE INDEX ON pgstream.snapshot_requests(schema_name, table_names) WHERE status <> 'completed';
