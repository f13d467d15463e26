/**
 * Segments: the registry of their tables, the cursors, and the two functions that make and drop a table.
 *
 * - No partitions: to make or drop one locks the parent, for which any pg_dump would make a stream wait.
 * - A segment table is its stream's alone, written once and dropped as a whole. Vacuum has nothing to do there, but
 *   after an erasure, and then at once: what was erased goes from the disk.
 * - To drop never waits: a table that somebody reads (pg_dump) stays until a later try.
 * - A row says for each endpoint in it: events, bytes of bodies, and their numbers (epoch, first, last: 0 = none have one,
 *   -1 = they do not follow each other, the data says which). `cut_at`: of the events in the data only so many hold.
 * - `pgstream.busy`: the event triggers of the source need not look at these statements.
 */
const functionHead = (signature: string, returns: string) =>
  `CREATE FUNCTION pgstream.${signature} RETURNS ${returns}
   LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET lock_timeout = '100ms'`

const makeTable = `${functionHead("make_segment_table(for_stream text, first bigint)", "bigint")} AS $$
DECLARE
  made bigint;
  grants record;
  busy text := current_setting('pgstream.busy', true);
BEGIN
  PERFORM set_config('pgstream.busy', '1', true);
  INSERT INTO pgstream.webhook_segment_tables (stream, first_segment) VALUES (for_stream, first) RETURNING number INTO made;
  EXECUTE format('CREATE TABLE pgstream.%I (
    number        bigint      PRIMARY KEY,
    lineage       text        NOT NULL,
    first_lsn     pg_lsn      NOT NULL,
    first_ordinal bigint      NOT NULL,
    last_lsn      pg_lsn      NOT NULL,
    last_ordinal  bigint      NOT NULL,
    events        integer     NOT NULL,
    bytes         bigint      NOT NULL,
    endpoints     uuid[]      NOT NULL,
    counts        integer[]   NOT NULL,
    sizes         bigint[]    NOT NULL,
    epochs        text[]      NOT NULL,
    firsts        bigint[]    NOT NULL,
    lasts         bigint[]    NOT NULL,
    cut_at        integer,
    made_at       timestamptz NOT NULL DEFAULT now(),
    data          bytea       NOT NULL) WITH (
      autovacuum_vacuum_threshold = 1, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_insert_threshold = -1,
      autovacuum_analyze_threshold = 2147483647, vacuum_truncate = false,
      toast.autovacuum_vacuum_threshold = 1, toast.autovacuum_vacuum_scale_factor = 0,
      toast.autovacuum_vacuum_insert_threshold = -1, toast.vacuum_truncate = false)',
    'webhook_segments_' || made);
  EXECUTE format('ALTER TABLE pgstream.%I ALTER COLUMN data SET STORAGE EXTERNAL', 'webhook_segments_' || made);
  EXECUTE format('REVOKE ALL ON pgstream.%I FROM PUBLIC', 'webhook_segments_' || made);
  FOR grants IN
    SELECT DISTINCT a.privilege_type AS may, a.grantee::regrole AS who
    FROM pg_class c, aclexplode(c.relacl) a
    WHERE c.oid = 'pgstream.webhook_segment_tables'::regclass AND a.grantee NOT IN (0, c.relowner)
      AND a.privilege_type IN ('SELECT', 'INSERT', 'UPDATE', 'DELETE')
  LOOP
    EXECUTE format('GRANT %s ON pgstream.%I TO %s', grants.may, 'webhook_segments_' || made, grants.who);
  END LOOP;
  PERFORM set_config('pgstream.busy', coalesce(busy, ''), true);
  RETURN made;
END $$`

const dropTable = `${functionHead("drop_segment_table(which bigint)", "boolean")} AS $$
DECLARE
  busy text := current_setting('pgstream.busy', true);
BEGIN
  IF NOT EXISTS (SELECT FROM pgstream.webhook_segment_tables t WHERE t.number = which AND t.end_segment IS NOT NULL) THEN
    RETURN false;
  END IF;
  PERFORM set_config('pgstream.busy', '1', true);
  IF to_regclass('pgstream.webhook_segments_' || which) IS NOT NULL THEN
    EXECUTE format('LOCK TABLE pgstream.%I IN ACCESS EXCLUSIVE MODE NOWAIT', 'webhook_segments_' || which);
    EXECUTE format('DROP TABLE pgstream.%I', 'webhook_segments_' || which);
  END IF;
  UPDATE pgstream.webhook_segment_tables t SET dropped = true WHERE t.number = which;
  PERFORM set_config('pgstream.busy', coalesce(busy, ''), true);
  RETURN true;
EXCEPTION WHEN lock_not_available THEN
  RETURN false;
END $$`

export const segmentTables: ReadonlyArray<string> = [
  `CREATE TABLE pgstream.webhook_segment_tables (
     number        bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
     stream        text        NOT NULL,
     first_segment bigint      NOT NULL,
     end_segment   bigint,
     dropped       boolean     NOT NULL DEFAULT false,
     made_at       timestamptz NOT NULL DEFAULT now())`,
  `CREATE INDEX webhook_segment_tables_stream ON pgstream.webhook_segment_tables (stream, number)`,
  `COMMENT ON TABLE pgstream.webhook_segment_tables IS
     'Tables webhook_segments_<number>: events that wait for endpoints which are behind, a few hundred in a row. Private.'`,
  `COMMENT ON COLUMN pgstream.webhook_segment_tables.end_segment IS
     'First number that is not in it; NULL: it is still written to. The row of a stream''s newest table stays: its
      numbers never come twice. Stream empty: left by a stream that is gone, to be dropped.'`,
  `CREATE TABLE pgstream.webhook_segment_cursors (
     stream      text    NOT NULL,
     endpoint_id uuid    NOT NULL,
     segment     bigint  NOT NULL,
     index       integer NOT NULL,
     PRIMARY KEY (stream, endpoint_id)) WITH (fillfactor = 50)`,
  `COMMENT ON TABLE pgstream.webhook_segment_cursors IS
     'Where an endpoint is in its stream''s segments: from there on everything of it waits. No row: nothing waits.'`,
  makeTable,
  dropTable,
  `REVOKE EXECUTE ON FUNCTION pgstream.make_segment_table(text, bigint), pgstream.drop_segment_table(bigint) FROM PUBLIC`,
  `COMMENT ON FUNCTION pgstream.make_segment_table(text, bigint) IS
     'Makes the next table of segments of a stream, readable and writable by whom the registry is; its number.'`,
  `COMMENT ON FUNCTION pgstream.drop_segment_table(bigint) IS
     'Drops a table that is not written to any more; false: somebody uses it just now. Never waits.'`
]
