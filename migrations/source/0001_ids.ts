/**
 * 0001 — ids
 *
 * Domain `pgstream.xid`, sequence `pgstream.xid_serial` and the functions around them (golden/SCHEMA.md, migration 1):
 * 20 characters of base32hex over 12 bytes: 4 seconds (of the transaction's start), 3 machine, 2 pid, 3 counter.
 *
 * Over a seed database: its event triggers and functions go (ours replace them); its domain, sequence and tables stay.
 * `create_table_mapping` and `log_schema` do not come back: ids are born in rows of `pgstream.ddl` (0003).
 *
 * Locks: ACCESS EXCLUSIVE on the seed's two tables for a moment. The seed's process must not run.
 */
import * as Effect from "effect/Effect"
import * as SqlClient from "effect/sql/SqlClient"

const alphabet = "0123456789abcdefghijklmnopqrstuv"

/** `count` characters of 5 bits each, the highest first. One expression: this runs in statements of the user. */
const characters = (bits: string, count: number): string =>
  Array.from({ length: count }, (_, n) =>
    `substr('${alphabet}', ((${bits} >> ${(count - 1 - n) * 5}) & 31)::int + 1, 1)`).join(" || ")

/** Replaced, whatever their signature; the defaults that use `xid()` come back in 0002. */
const replaced = [
  "log_schema", "refresh_schema", "get_schema", "create_table_mapping", "is_system_schema",
  "xid", "xid_time", "xid_machine", "xid_pid", "xid_counter", "xid_encode", "xid_decode", "_xid_machine_id"
]

export default Effect.gen(function*() {
  const sql = yield* SqlClient.SqlClient
  yield* sql`DROP EVENT TRIGGER IF EXISTS pgstream_log_schema_create_alter_table`
  yield* sql`DROP EVENT TRIGGER IF EXISTS pgstream_log_schema_drop_schema_table`
  yield* sql.unsafe(`
    DO $do$
    DECLARE
      t text; f regprocedure;
    BEGIN
      FOREACH t IN ARRAY '{pgstream.schema_log,pgstream.table_ids}'::text[] LOOP
        IF to_regclass(t) IS NOT NULL THEN EXECUTE format('ALTER TABLE %s ALTER COLUMN id DROP DEFAULT', t); END IF;
      END LOOP;
      FOR f IN SELECT p.oid::regprocedure FROM pg_proc p
        WHERE p.pronamespace = 'pgstream'::regnamespace AND p.proname = ANY('{${replaced.join(",")}}'::text[])
      LOOP EXECUTE format('DROP FUNCTION %s', f); END LOOP;
      IF to_regtype('pgstream.xid') IS NULL THEN
        CREATE DOMAIN pgstream.xid AS char(20) CHECK (VALUE ~ '^[a-v0-9]{20}$');
      END IF;
      IF to_regclass('pgstream.xid_serial') IS NULL THEN
        EXECUTE format('CREATE SEQUENCE pgstream.xid_serial MINVALUE 0 MAXVALUE 16777215 START %s CYCLE',
          floor(random() * 16777216)::int);
      END IF;
    END $do$`)
  yield* sql.unsafe(`
    CREATE FUNCTION pgstream._xid_machine_id() RETURNS int LANGUAGE plpgsql IMMUTABLE
    SET search_path = pg_catalog, pg_temp AS $$
    BEGIN RETURN (SELECT (system_identifier & 16777215)::int FROM pg_control_system()); END $$`)
  yield* sql.unsafe(`
    CREATE FUNCTION pgstream.xid(_at timestamptz DEFAULT current_timestamp) RETURNS pgstream.xid LANGUAGE plpgsql AS $$
    DECLARE
      s bigint := floor(extract(epoch FROM _at))::bigint & 4294967295;
      m bigint := pgstream._xid_machine_id();
      p bigint := pg_catalog.pg_backend_pid() & 65535;
      c bigint := pg_catalog.nextval('pgstream.xid_serial');
      hi bigint := (s << 8) | (m >> 16);
      mid bigint := ((m & 65535) << 24) | (p << 8) | (c >> 16);
      lo bigint := (c & 65535) << 4;
    BEGIN
      RETURN ${characters("hi", 8)} || ${characters("mid", 8)} || ${characters("lo", 4)};
    END $$`)
  yield* sql.unsafe(`
    CREATE FUNCTION pgstream.xid_encode(_id int[]) RETURNS pgstream.xid LANGUAGE plpgsql IMMUTABLE AS $$
    DECLARE
      hi bigint := 0; mid bigint := 0; lo bigint := ((_id[11]::bigint << 8) | _id[12]) << 4;
    BEGIN
      FOR n IN 1..5 LOOP hi := (hi << 8) | _id[n]; mid := (mid << 8) | _id[n + 5]; END LOOP;
      RETURN ${characters("hi", 8)} || ${characters("mid", 8)} || ${characters("lo", 4)};
    END $$`)
  yield* sql.unsafe(`
    CREATE FUNCTION pgstream.xid_decode(_xid pgstream.xid) RETURNS int[] LANGUAGE plpgsql IMMUTABLE AS $$
    DECLARE
      bits int := 0; held int := 0; bytes int[] := '{}';
    BEGIN
      FOR n IN 1..20 LOOP
        bits := ((bits << 5) | (strpos('${alphabet}', substr(_xid::text, n, 1)) - 1)) & 8191;
        held := held + 5;
        IF held >= 8 THEN held := held - 8; bytes := bytes || ((bits >> held) & 255); END IF;
      END LOOP;
      RETURN bytes;
    END $$`)
  yield* sql.unsafe(`
    CREATE FUNCTION pgstream.xid_time(_xid pgstream.xid) RETURNS timestamptz LANGUAGE plpgsql IMMUTABLE AS $$
    DECLARE b int[] := pgstream.xid_decode(_xid);
    BEGIN RETURN to_timestamp((b[1]::bigint << 24) | (b[2] << 16) | (b[3] << 8) | b[4]); END $$`)
  yield* sql.unsafe(`
    CREATE FUNCTION pgstream.xid_machine(_xid pgstream.xid) RETURNS int[] LANGUAGE plpgsql IMMUTABLE AS $$
    BEGIN RETURN (pgstream.xid_decode(_xid))[5:7]; END $$`)
  yield* sql.unsafe(`
    CREATE FUNCTION pgstream.xid_pid(_xid pgstream.xid) RETURNS int LANGUAGE plpgsql IMMUTABLE AS $$
    DECLARE b int[] := pgstream.xid_decode(_xid);
    BEGIN RETURN (b[8] << 8) | b[9]; END $$`)
  yield* sql.unsafe(`
    CREATE FUNCTION pgstream.xid_counter(_xid pgstream.xid) RETURNS int LANGUAGE plpgsql IMMUTABLE AS $$
    DECLARE b int[] := pgstream.xid_decode(_xid);
    BEGIN RETURN (b[10] << 16) | (b[11] << 8) | b[12]; END $$`)
})
