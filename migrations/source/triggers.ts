/**
 * The functions of the two event triggers (docs/adr/0004-ddl-triggers.md; the row that they write: 0003_ddl.ts).
 *
 * Each statement costs the user one INSERT of one new row, and one ALTER … REPLICA IDENTITY FULL of each table that it
 * has locked exclusively itself and that has no usable identity. They read no table of ours, update nothing, send no
 * NOTIFY, look at no table but the statement's own, neither wait for nor keep a lock, and catch every error.
 * Plain plpgsql (planned once a session); arrays are built as `jsonb[]` (`jsonb || …` in a loop is quadratic).
 */

/** Reads the catalog only. `limit 1`: a snapshot of REPEATABLE READ may show two rows of one table. */
export const shape = `
CREATE OR REPLACE FUNCTION pgstream.shape(o oid) RETURNS jsonb LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp AS $$
BEGIN RETURN (
  SELECT jsonb_build_object(
    'oid', c.oid::text, 'root', coalesce(pg_partition_root(c.oid)::oid, c.oid)::text, 'schema', n.nspname,
    'schema_oid', n.oid::text, 'name', c.relname, 'kind', c.relkind, 'persistence', c.relpersistence, 'replident', c.relreplident,
    'parents', (SELECT jsonb_agg(h.inhparent::text ORDER BY h.inhseqno) FROM pg_inherits h WHERE h.inhrelid = c.oid),
    'children', CASE WHEN c.relhassubclass THEN
      (SELECT jsonb_agg(h.inhrelid::text ORDER BY h.inhrelid) FROM pg_inherits h WHERE h.inhparent = c.oid) END,
    'indexes', (
      SELECT jsonb_agg(jsonb_build_array(i.indisprimary, i.indisreplident, i.indimmediate,
          i.indisunique AND i.indpred IS NULL AND i.indexprs IS NULL, i.indnkeyatts, i.indkey::text) ORDER BY i.indexrelid)
        FROM pg_index i WHERE i.indrelid = c.oid AND i.indisunique AND i.indisvalid),
    'columns', (
      SELECT jsonb_agg(jsonb_build_array(a.attnum, a.attname, a.atttypid, a.atttypmod, format_type(a.atttypid, a.atttypmod),
          a.attnotnull OR t.typnotnull, pg_get_expr(d.adbin, d.adrelid), a.attgenerated, a.attidentity,
          col_description(a.attrelid, a.attnum)) ORDER BY a.attnum)
        FROM pg_attribute a JOIN pg_type t ON t.oid = a.atttypid
        LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
       WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped))
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.oid = o LIMIT 1);
END $$`

/**
 * `touched`: tables that the statement names, and has locked. Their children are read without waiting, in a
 * subtransaction that always rolls back, so that no lock of ours outlives it.
 */
export const note = `
CREATE OR REPLACE FUNCTION pgstream.note(tag text, touched oid[], created oid[], schemas jsonb, types jsonb, gone jsonb)
RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  t record; one jsonb; shapes jsonb[]; was jsonb; ids jsonb; mine boolean;
BEGIN
  FOR t IN
    WITH RECURSIVE tree(o, depth) AS (
      SELECT DISTINCT unnest(touched), 0
      UNION SELECT h.inhrelid, 1 FROM pg_inherits h JOIN tree ON h.inhparent = tree.o)
    SELECT c.oid, c.relkind, c.relreplident, c.relpersistence, min(tree.depth) AS child
      FROM tree JOIN pg_class c ON c.oid = tree.o
     WHERE c.relkind IN ('r', 'p') AND c.relpersistence <> 't' AND c.relnamespace NOT IN
       ('pgstream'::regnamespace, 'information_schema'::regnamespace, 'pg_catalog'::regnamespace)
     GROUP BY 1, 2, 3, 4
  LOOP
    one := NULL;
    BEGIN
      IF t.child = 1 THEN EXECUTE format('LOCK TABLE ONLY %s IN ACCESS SHARE MODE NOWAIT', t.oid::regclass); END IF;
      one := pgstream.shape(t.oid);
      IF t.child = 1 THEN RAISE EXCEPTION 'pgstream: read'; END IF;
    EXCEPTION WHEN OTHERS THEN
      IF sqlerrm <> 'pgstream: read' THEN RAISE WARNING 'pgstream: %: %', t.oid::regclass, sqlerrm; END IF;
    END;
    IF t.relkind = 'r' AND t.relpersistence = 'p' AND pgstream.sets_identities()
      AND (t.relreplident <> 'f' OR current_setting('transaction_isolation') <> 'read committed') THEN
      BEGIN
        mine := t.child = 0 OR EXISTS (SELECT FROM pg_locks WHERE pid = pg_backend_pid() AND locktype = 'relation'
          AND relation = t.oid AND mode = 'AccessExclusiveLock' AND granted);
        IF mine AND pg_get_replica_identity_index(t.oid) IS NULL THEN
          EXECUTE format('ALTER TABLE ONLY %s REPLICA IDENTITY FULL', t.oid::regclass);
          IF t.relreplident <> 'f' THEN
            was := coalesce(was, '{}') || jsonb_build_object(t.oid::text, t.relreplident);
            one := one || jsonb_build_object('replident', 'f', 'full_ours', t.relreplident);
          END IF;
        END IF;
      EXCEPTION WHEN OTHERS THEN RAISE WARNING 'pgstream: identity of %: %', t.oid::regclass, sqlerrm; END;
    END IF;
    shapes := shapes || coalesce(one, jsonb_build_object('oid', t.oid::text, 'unsure', true));
    IF t.oid = ANY(created) THEN ids := coalesce(ids, '{}') || jsonb_build_object(t.oid::text, pgstream.xid()); END IF;
  END LOOP;
  IF shapes IS NULL AND schemas IS NULL AND types IS NULL AND gone IS NULL THEN RETURN; END IF;
  BEGIN
    INSERT INTO pgstream.ddl(tag, schemas, types, dropped, tables, new_ids, made_full)
    VALUES (tag, schemas, types, gone, to_jsonb(shapes), ids, was);
  EXCEPTION WHEN OTHERS THEN RAISE WARNING 'pgstream: %: %', tag, sqlerrm; END;
END $$`

/** On ddl_command_end. `pgstream.busy` keeps our own ALTERs, and those of the service, from being noted. */
export const onDdl = `
CREATE OR REPLACE FUNCTION pgstream.on_ddl() RETURNS event_trigger LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp SET lock_timeout = '20ms' AS $$
DECLARE
  touched oid[]; created oid[]; schemas jsonb; types jsonb;
BEGIN
  IF current_setting('pgstream.busy', true) = '1' OR tg_tag NOT IN ('CREATE TABLE', 'CREATE TABLE AS', 'SELECT INTO',
    'ALTER TABLE', 'CREATE INDEX', 'CREATE SCHEMA', 'ALTER SCHEMA', 'CREATE EXTENSION', 'ALTER EXTENSION', 'ALTER TYPE',
    'ALTER DOMAIN', 'COMMENT') THEN RETURN; END IF;
  BEGIN
    PERFORM set_config('pgstream.busy', '1', true);
    SELECT array_agg(DISTINCT coalesce(i.indrelid, d.objid))
             FILTER (WHERE d.classid = 'pg_class'::regclass AND (tg_tag <> 'COMMENT' OR d.objsubid > 0)),
           array_agg(DISTINCT d.objid) FILTER (WHERE d.classid = 'pg_class'::regclass AND d.object_type = 'table'
             AND d.command_tag IN ('CREATE TABLE', 'CREATE TABLE AS', 'SELECT INTO')),
           jsonb_agg(jsonb_build_array(n.oid::text, n.nspname, d.command_tag)) FILTER (WHERE n.oid IS NOT NULL),
           jsonb_object_agg(d.objid::text, format_type(d.objid, NULL)) FILTER (WHERE d.classid = 'pg_type'::regclass)
      INTO touched, created, schemas, types
      FROM pg_event_trigger_ddl_commands() d
      LEFT JOIN pg_index i ON d.classid = 'pg_class'::regclass AND i.indexrelid = d.objid
      LEFT JOIN pg_namespace n ON d.command_tag IN ('CREATE SCHEMA', 'ALTER SCHEMA')
        AND d.classid = 'pg_namespace'::regclass AND n.oid = d.objid AND n.nspname <> 'pgstream';
    IF types IS NOT NULL THEN
      types := types || (SELECT coalesce(jsonb_object_agg(y.typarray::text, format_type(y.typarray, NULL)), '{}')
        FROM jsonb_object_keys(types) k JOIN pg_type y ON y.oid = k::oid WHERE y.typarray <> 0);
    END IF;
    IF touched IS NOT NULL OR schemas IS NOT NULL OR types IS NOT NULL THEN
      PERFORM pgstream.note(tg_tag, touched, created, schemas, types, NULL);
    END IF;
    PERFORM set_config('pgstream.busy', '0', true);
  EXCEPTION WHEN OTHERS THEN
    PERFORM set_config('pgstream.busy', '0', true);
    RAISE WARNING 'pgstream: %: %', tg_tag, sqlerrm;
  END;
END $$`

/**
 * On sql_drop. ALTER TABLE comes to `on_ddl` with its table. Others may take a column or an identity from tables that
 * they do not name: those are locked by this transaction. Reading pg_locks is dear: only where such a thing went.
 */
export const onDrop = `
CREATE OR REPLACE FUNCTION pgstream.on_drop() RETURNS event_trigger LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp SET lock_timeout = '20ms' AS $$
DECLARE
  gone jsonb; touched oid[];
BEGIN
  IF current_setting('pgstream.busy', true) = '1' THEN RETURN; END IF;
  BEGIN
    PERFORM set_config('pgstream.busy', '1', true);
    SELECT jsonb_agg(jsonb_build_array(object_type, objid::text, schema_name, object_name)) INTO gone
      FROM pg_event_trigger_dropped_objects()
     WHERE object_type IN ('table', 'schema') AND NOT is_temporary AND coalesce(schema_name, object_name) <> 'pgstream';
    IF tg_tag NOT IN ('DROP TABLE', 'ALTER TABLE') AND EXISTS (
      SELECT FROM pg_event_trigger_dropped_objects() o
       WHERE o.object_type IN ('index', 'table column', 'domain constraint') AND NOT o.is_temporary
         AND (tg_tag <> 'DROP SCHEMA' OR NOT EXISTS (SELECT FROM pg_event_trigger_dropped_objects() t
           WHERE t.object_type = 'table' AND t.address_names = o.address_names[1:2]))
         AND NOT (o.object_type = 'index' AND tg_tag <> 'DROP INDEX')) THEN
      SELECT array_agg(l.relation) INTO touched FROM pg_locks l
       WHERE l.pid = pg_backend_pid() AND l.locktype = 'relation' AND l.granted
         AND l.mode = ANY(CASE tg_tag WHEN 'DROP INDEX' THEN '{AccessExclusiveLock,ShareUpdateExclusiveLock}'::text[]
           ELSE '{AccessExclusiveLock}' END)
         AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database());
    END IF;
    IF gone IS NOT NULL OR touched IS NOT NULL THEN
      PERFORM pgstream.note(tg_tag, touched, NULL, NULL, NULL, gone);
    END IF;
    PERFORM set_config('pgstream.busy', '0', true);
  EXCEPTION WHEN OTHERS THEN
    PERFORM set_config('pgstream.busy', '0', true);
    RAISE WARNING 'pgstream: %: %', tg_tag, sqlerrm;
  END;
END $$`

/** Asks for an entry of one schema, whatever `skip_log` says; then `skip_log` is off, as users of the seed know it. */
export const refreshSchema = `
CREATE OR REPLACE FUNCTION pgstream.refresh_schema(schema_to_refresh text) RETURNS void LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  IF schema_to_refresh IS NOT NULL AND NOT pgstream.is_system_schema(schema_to_refresh) THEN
    INSERT INTO pgstream.ddl(tag, skip, schemas)
    VALUES ('REFRESH', false, jsonb_build_array(jsonb_build_array(NULL, schema_to_refresh, 'REFRESH')));
  END IF;
  PERFORM set_config('pgstream.skip_log', '', false);
END $$`

/** Name → event of the two event triggers. */
export const eventTriggers = { pgstream_ddl: ["ddl_command_end", "on_ddl"], pgstream_drop: ["sql_drop", "on_drop"] } as const
