/**
 * 0002: made in: an endpoint knows the database that it was made in.
 *
 * A clone must not call production, also for an endpoint that no stream has taken up when the dump is made. `''`: not
 * known (made before this migration, or `pg_control_system` is not allowed); then only streams tell.
 *
 * - Locks: ACCESS EXCLUSIVE on `webhook_endpoints`, for an instant: no row is rewritten. Safe while services run.
 */
import * as Effect from "effect/Effect"
import * as SqlClient from "effect/sql/SqlClient"

const statements = [
  `CREATE FUNCTION pgstream.here() RETURNS text
     LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
   BEGIN
     RETURN (SELECT c.system_identifier || '/' || d.oid FROM pg_control_system() c, pg_database d
       WHERE d.datname = current_database());
   EXCEPTION WHEN insufficient_privilege THEN
     RETURN '';
   END $$`,
  `COMMENT ON FUNCTION pgstream.here() IS 'This database: <system identifier>/<oid>.'`,
  `ALTER TABLE pgstream.webhook_endpoints ADD COLUMN made_in text NOT NULL DEFAULT ''`,
  `ALTER TABLE pgstream.webhook_endpoints ALTER COLUMN made_in SET DEFAULT pgstream.here()`,
  `COMMENT ON COLUMN pgstream.webhook_endpoints.made_in IS
     'The database that it was made in or adopted by; another one = this is a copy.'`
]

export default Effect.gen(function*() {
  const sql = yield* SqlClient.SqlClient
  yield* Effect.forEach(statements, (statement) => sql.unsafe(statement), { discard: true })
})
