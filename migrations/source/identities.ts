/**
 * Functions with which the service changes replica identities, one table a call and a call a transaction, so that the
 * lock is held for one statement. The caller sets `lock_timeout`; a lock that is not free fails with 55P03.
 *
 * `pgstream.busy` keeps the event triggers silent: the row of `pgstream.ddl` is written here, with the identity's owner.
 */

/** Does `init` let us change identities (not with `--keep-identities`)? STABLE: a plan must not keep the answer. */
export const setsIdentities = (answer: boolean) => `
CREATE OR REPLACE FUNCTION pgstream.sets_identities() RETURNS boolean LANGUAGE plpgsql STABLE AS $$
BEGIN RETURN ${answer}; END $$`

/** The shape with `full_ours`: what a look writes, and what the first shapes of a slot are read with. */
export const shapeNow = `
CREATE OR REPLACE FUNCTION pgstream.shape_now(o oid) RETURNS jsonb LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  s jsonb := pgstream.shape(o);
BEGIN
  RETURN s || jsonb_build_object('full_ours', CASE WHEN s->>'replident' = 'f' THEN
    (SELECT i.was FROM pgstream.identities i WHERE i.oid = o) END);
END $$`

const lock = `
  PERFORM set_config('pgstream.busy', '1', true);
  IF NOT EXISTS (SELECT FROM pg_class c WHERE c.oid = o) THEN RETURN false; END IF;
  IF wait THEN EXECUTE format('LOCK TABLE ONLY %s IN ACCESS EXCLUSIVE MODE', o::regclass);
  ELSE EXECUTE format('LOCK TABLE ONLY %s IN ACCESS EXCLUSIVE MODE NOWAIT', o::regclass); END IF;
  SELECT c.relreplident, n.nspname, c.relname INTO t
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.oid = o;`

const row = (shape: string, madeFull: string) => `
    INSERT INTO pgstream.ddl(tag, isolation, skip, tables, made_full)
    VALUES ('IDENTITY', 'read committed', true, jsonb_build_array(${shape}), ${madeFull});`

/** FULL for a table without usable identity, and the record of what it had. False: nothing to do. */
export const makeFull = `
CREATE OR REPLACE FUNCTION pgstream.make_full(o oid, wait boolean) RETURNS boolean LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  t record;
BEGIN${lock}
  IF t.relreplident <> 'f' AND pg_get_replica_identity_index(o) IS NULL THEN
    EXECUTE format('ALTER TABLE ONLY %s REPLICA IDENTITY FULL', o::regclass);
    INSERT INTO pgstream.identities(oid, schema, name, was) VALUES (o, t.nspname, t.relname, t.relreplident)
      ON CONFLICT ON CONSTRAINT identities_pkey
      DO UPDATE SET was = excluded.was, schema = excluded.schema, name = excluded.name;
    ${row("pgstream.shape_now(o)", "jsonb_build_object(o::text, t.relreplident)")}
    RETURN true;
  END IF;
  RETURN false;
END $$`

/**
 * FULL that is ours, back to what it was, when that can be used, or `always` (destroy). What was the user's index has
 * no index any more: NOTHING is what Postgres made of that. False: not ours, or not usable yet.
 */
export const giveBack = `
CREATE OR REPLACE FUNCTION pgstream.give_back(o oid, wait boolean, always boolean) RETURNS boolean LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  t record; before text;
BEGIN${lock}
  SELECT i.was INTO before FROM pgstream.identities i WHERE i.oid = o;
  IF before IS NULL OR t.relreplident <> 'f' THEN RETURN false; END IF;
  IF NOT always AND NOT (before = 'd' AND EXISTS (SELECT FROM pg_index x
    WHERE x.indrelid = o AND x.indisprimary AND x.indimmediate AND x.indisvalid)) THEN RETURN false; END IF;
  EXECUTE format('ALTER TABLE ONLY %s REPLICA IDENTITY %s', o::regclass,
    CASE before WHEN 'd' THEN 'DEFAULT' ELSE 'NOTHING' END);
  DELETE FROM pgstream.identities i WHERE i.oid = o;
  ${row("pgstream.shape_now(o)", "NULL")}
  RETURN true;
END $$`
