/**
 * 0004 — streams
 *
 * `pgstream.streams`: one row for each slot that `init` made or took over here. It answers two questions: is another
 * stream left, so that `destroy` must leave the schema; and is this database a copy, so that what is keyed by oid has
 * to be made again (the pair of system identifier and database oid is not the one of now).
 *
 * Additive; safe under a running service.
 */
import * as Effect from "effect/Effect"
import * as SqlClient from "effect/sql/SqlClient"

export default Effect.gen(function*() {
  const sql = yield* SqlClient.SqlClient
  yield* sql`
    CREATE TABLE pgstream.streams (
      system_identifier text NOT NULL,
      database_oid bigint NOT NULL,
      slot_name text NOT NULL,
      plugin text NOT NULL,
      created_at timestamptz NOT NULL DEFAULT now(),
      PRIMARY KEY (system_identifier, database_oid, slot_name)
    )`
})
