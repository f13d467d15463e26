/**
 * The functions of the two event triggers (docs/adr/0004-ddl-triggers.md; the row that they write: 0003_ddl.ts).
 *
 * Each statement costs the user one INSERT of one new row, and one ALTER … REPLICA IDENTITY FULL of each table that it
 * has locked exclusively itself and that has no usable identity. They read no table of ours, update nothing, send no
 * NOTIFY, look at no table but the statement's own, neither wait for nor keep a lock, and catch every error.
 *
 * Cost: plain plpgsql (planned once a session, so plans made on a small catalog must not scan it: `indexed`); one
 * subtransaction for the statement that names one table (each costs a pass over all relations that the transaction
 * made); arrays are built as `jsonb[]` (`jsonb || …` in a loop is quadratic).
 */

const indexed = "SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off"

/**
 * Reads the catalog only, without functions in SQL (those are planned at each call). `limit 1`: a snapshot of
 * REPEATABLE READ may show two rows of one table.
 */
export const shape = `
CREATE OR REPLACE FUNCTION pgstream.shape(o oid) RETURNS jsonb LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp AS $$
BEGIN RETURN (
  SELECT jsonb_build_object(
    'oid', c.oid::text, 'root', coalesce(pg_partition_root(c.oid)::oid, c.oid)::text, 'schema', n.nspname,
    'schema_oid', n.oid::text, 'name', c.relname, 'kind', c.relkind, 'persistence', c.relpersistence,
    'replident', c.relreplident,
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
          (SELECT m.description FROM pg_description m
            WHERE m.objoid = c.oid AND m.classoid = 'pg_class'::regclass AND m.objsubid = a.attnum)
        ) ORDER BY a.attnum)
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
  t record; one jsonb; shapes jsonb[]; was jsonb; ids jsonb;
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
        IF (t.child = 0 AND (t.oid = ANY(created) OR tag LIKE 'DROP%') OR pgstream.holds_exclusively(t.oid))
          AND pg_get_replica_identity_index(t.oid) IS NULL THEN
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

/** Has this transaction locked the table against everybody? Asked only where an identity is missing. */
export const holdsExclusively = `
CREATE OR REPLACE FUNCTION pgstream.holds_exclusively(o oid) RETURNS boolean LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp AS $$
BEGIN RETURN EXISTS (SELECT FROM pg_locks WHERE pid = pg_backend_pid() AND locktype = 'relation' AND relation = o
  AND mode = 'AccessExclusiveLock' AND granted); END $$`

/**
 * `note` for one table without children, in READ COMMITTED: what nearly every statement is. False: not such a one.
 * An error is the caller's to catch.
 */
export const noteOne = `
CREATE OR REPLACE FUNCTION pgstream.note_one(tag text, o oid, is_new boolean) RETURNS boolean LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  t record; one jsonb; was "char";
BEGIN
  SELECT c.relkind, c.relreplident, c.relpersistence, c.relhassubclass, c.relnamespace INTO t
    FROM pg_class c WHERE c.oid = o;
  IF t.relhassubclass OR current_setting('transaction_isolation') <> 'read committed' THEN RETURN false; END IF;
  IF t.relkind NOT IN ('r', 'p') OR t.relpersistence = 't' OR t.relnamespace IN
    ('pgstream'::regnamespace, 'information_schema'::regnamespace, 'pg_catalog'::regnamespace) THEN RETURN true; END IF;
  IF t.relkind = 'r' AND t.relpersistence = 'p' AND t.relreplident <> 'f' AND pgstream.sets_identities()
    AND pg_get_replica_identity_index(o) IS NULL AND (is_new OR pgstream.holds_exclusively(o)) THEN
    EXECUTE format('ALTER TABLE ONLY %s REPLICA IDENTITY FULL', o::regclass);
    was := t.relreplident;
  END IF;
  one := pgstream.shape(o);
  IF was IS NOT NULL THEN one := one || jsonb_build_object('full_ours', was); END IF;
  INSERT INTO pgstream.ddl(tag, tables, new_ids, made_full) VALUES (tag, jsonb_build_array(one),
    CASE WHEN is_new THEN jsonb_build_object(o::text, pgstream.xid()) END,
    CASE WHEN was IS NOT NULL THEN jsonb_build_object(o::text, was) END);
  RETURN true;
END $$`

/** On ddl_command_end. `pgstream.busy` keeps our own ALTERs, and those of the service, from being noted. */
export const onDdl = `
CREATE OR REPLACE FUNCTION pgstream.on_ddl() RETURNS event_trigger LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp SET lock_timeout = '20ms' ${indexed} AS $$
DECLARE
  d record; o oid; touched oid[]; created oid[]; schemas jsonb; types jsonb; done boolean;
BEGIN
  IF current_setting('pgstream.busy', true) = '1' OR tg_tag NOT IN ('CREATE TABLE', 'CREATE TABLE AS', 'SELECT INTO',
    'ALTER TABLE', 'CREATE INDEX', 'CREATE SCHEMA', 'ALTER SCHEMA', 'CREATE EXTENSION', 'ALTER EXTENSION', 'ALTER TYPE',
    'ALTER DOMAIN', 'COMMENT') THEN RETURN; END IF;
  BEGIN
    PERFORM set_config('pgstream.busy', '1', true);
    FOR d IN SELECT classid, objid, objsubid, object_type, command_tag FROM pg_event_trigger_ddl_commands() LOOP
      IF d.classid = 'pg_class'::regclass AND d.object_type IN ('table', 'table column', 'index') THEN
        CONTINUE WHEN tg_tag = 'COMMENT' AND d.objsubid = 0;
        o := d.objid;
        IF d.object_type = 'index' THEN SELECT i.indrelid INTO o FROM pg_index i WHERE i.indexrelid = d.objid; END IF;
        IF touched IS NULL OR o <> ALL(touched) THEN touched := touched || o; END IF;
        IF d.object_type = 'table' AND d.command_tag IN ('CREATE TABLE', 'CREATE TABLE AS', 'SELECT INTO') THEN
          created := created || o;
        END IF;
      ELSIF d.classid = 'pg_namespace'::regclass AND d.command_tag IN ('CREATE SCHEMA', 'ALTER SCHEMA')
        AND d.objid <> 'pgstream'::regnamespace THEN
        schemas := coalesce(schemas, '[]') || jsonb_build_array(
          (SELECT jsonb_build_array(n.oid::text, n.nspname, d.command_tag) FROM pg_namespace n WHERE n.oid = d.objid));
      ELSIF d.classid = 'pg_type'::regclass THEN
        types := coalesce(types, '{}') || (SELECT jsonb_object_agg(y::text, format_type(y, NULL))
          FROM unnest(ARRAY[d.objid, (SELECT nullif(t.typarray, 0) FROM pg_type t WHERE t.oid = d.objid)]) y WHERE y IS NOT NULL);
      END IF;
    END LOOP;
    IF schemas IS NULL AND types IS NULL AND array_length(touched, 1) = 1 THEN
      done := pgstream.note_one(tg_tag, touched[1], created IS NOT NULL);
    END IF;
    IF done IS NOT TRUE AND (touched IS NOT NULL OR schemas IS NOT NULL OR types IS NOT NULL) THEN
      PERFORM pgstream.note(tg_tag, touched, created, schemas, types, NULL);
    END IF;
    PERFORM set_config('pgstream.busy', '0', true);
    RETURN;
  EXCEPTION WHEN OTHERS THEN
    IF done IS NOT NULL OR touched IS NULL THEN RAISE WARNING 'pgstream: %: %', tg_tag, sqlerrm; RETURN; END IF;
  END;
  -- Something of one table failed: again, each part of it caught for itself.
  BEGIN
    PERFORM set_config('pgstream.busy', '1', true);
    PERFORM pgstream.note(tg_tag, touched, created, schemas, types, NULL);
    PERFORM set_config('pgstream.busy', '0', true);
  EXCEPTION WHEN OTHERS THEN RAISE WARNING 'pgstream: %: %', tg_tag, sqlerrm; END;
END $$`

/**
 * On sql_drop. ALTER TABLE comes to `on_ddl` with its table. Others may take a column or an identity from tables that
 * they do not name: those are locked by this transaction. Reading pg_locks is dear: only where such a thing went.
 */
export const onDrop = `
CREATE OR REPLACE FUNCTION pgstream.on_drop() RETURNS event_trigger LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp SET lock_timeout = '20ms' ${indexed} AS $$
DECLARE
  gone jsonb; touched oid[];
BEGIN
  IF current_setting('pgstream.busy', true) = '1' THEN RETURN; END IF;
  BEGIN
    PERFORM set_config('pgstream.busy', '1', true);
    SELECT jsonb_agg(jsonb_build_array(object_type, objid::text, schema_name, object_name) ORDER BY object_type, objid)
      INTO gone
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
  EXCEPTION WHEN OTHERS THEN RAISE WARNING 'pgstream: %: %', tg_tag, sqlerrm;
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
export const eventTriggers = {
  pgstream_ddl: ["ddl_command_end", "on_ddl"],
  pgstream_drop: ["sql_drop", "on_drop"]
} as const
