/**
 * 0003 — ddl
 *
 * `pgstream.ddl`: what a statement changed, one row a statement, the one source of schema events and shapes.
 * `pgstream.marks`: places in the WAL where the plugin has no messages. `pgstream.identities`: what REPLICA IDENTITY
 * was on tables that are FULL because of us. The functions of the two event triggers are here; the triggers need a
 * superuser and are made apart (`installTriggers` in MigrationsSource.ts). docs/adr/0004-ddl-triggers.md says why so.
 *
 * ## The row (the contract with src/domain/Ddl.ts)
 * - `entry_id` id of the entries that the row stands for; `at` its transaction's start; `tag` the command tag, or
 *   `LOOK` (the service compared the catalog), `IDENTITY` (the service changed a replica identity), `REFRESH`.
 * - `xid` the transaction (64 bits, decimal); a look carries its `pg_current_snapshot()` instead: `xmin:xmax:a,b`.
 * - `isolation`: other than `read committed` = the shapes may be the transaction's snapshot, not what is.
 * - `skip`: changes shapes only, makes no entry.
 * - `schemas` `[[oid, name, tag]]`: tag `CREATE SCHEMA`, `ALTER SCHEMA` (new name), `LOOK` (was there, no entry),
 *   `REFRESH` (oid null). `types` `{oid: format_type}` renamed or altered types and domains, with their arrays.
 * - `dropped` `[["table" | "schema", oid, schema or null, name]]`.
 * - `tables`: a jsonb array of shapes; `{"oid", "unsure": true}` where one could not be read.
 * - `new_ids` `{table oid: xid}`; `made_full` `{table oid: "d" | "n" | "i"}`, what it was before we set FULL.
 *
 * ## The shape (`pgstream.shape(oid)`)
 * `oid root schema schema_oid name kind persistence replident`; oids are strings; `root` the topmost partitioned parent,
 * or itself. `parents` oids in order, or null; `children` oids, or null. After a DETACH only the old parent has a new
 * shape, after RENAME of a schema no table has: `schemas` says it.
 * `indexes` `[primary, replica identity, immediate, plain unique, key columns, "attnum attnum …"]` of valid unique ones.
 * `columns` `[attnum, name, type oid, typmod, type text, not null, default, generated, identity, comment]`, or null.
 * `full_ours`: `"d" | "n" | "i"` FULL is ours and it was that; null FULL is the user's, or not FULL; absent (rows of the
 * triggers, which read no table of ours): while `replident` is `f`, what was in force goes on; otherwise not ours.
 *
 * ## Which of two rows about a table is the newer
 * Two statements: the one with the higher `id` (DDL on one table is serialised by its lock; a child that was only
 * read may be older than its place in the WAL). A look and a statement: the look, if its snapshot sees the `xid`.
 *
 * Additive; safe under a running service.
 */
import * as Effect from "effect/Effect"
import * as SqlClient from "effect/sql/SqlClient"
import * as identities from "./identities.ts"
import * as triggers from "./triggers.ts"

export default Effect.gen(function*() {
  const sql = yield* SqlClient.SqlClient
  yield* sql`
    CREATE TABLE pgstream.ddl (
      id bigserial PRIMARY KEY,
      entry_id pgstream.xid NOT NULL DEFAULT pgstream.xid(),
      at timestamptz NOT NULL DEFAULT now(),
      xid text NOT NULL DEFAULT pg_current_xact_id()::text,
      tag text NOT NULL,
      isolation text NOT NULL DEFAULT current_setting('transaction_isolation'),
      skip boolean NOT NULL DEFAULT (coalesce(current_setting('pgstream.skip_log', true) = 'TRUE', false)
        OR current_setting('session_replication_role') = 'replica'),
      schemas jsonb,
      types jsonb,
      dropped jsonb,
      tables jsonb,
      new_ids jsonb,
      made_full jsonb
    )`
  yield* sql`
    CREATE TABLE pgstream.marks (
      id bigserial PRIMARY KEY,
      kind text NOT NULL,
      at timestamptz NOT NULL DEFAULT now()
    )`
  yield* sql`
    CREATE TABLE pgstream.identities (
      oid oid PRIMARY KEY,
      schema text NOT NULL,
      name text NOT NULL,
      was text NOT NULL CHECK (was IN ('d', 'n', 'i'))
    )`
  yield* sql`COMMENT ON TABLE pgstream.identities IS 'Tables that are REPLICA IDENTITY FULL because of pgstream.'`
  const { holdsExclusively, note, noteOne, onDdl, onDrop, refreshSchema, shape } = triggers
  const { giveBack, makeFull, setsIdentities, shapeNow } = identities
  const functions = [
    shape, setsIdentities(true), holdsExclusively, note, noteOne, onDdl, onDrop, refreshSchema, shapeNow, makeFull, giveBack
  ]
  for (const statement of functions) yield* sql.unsafe(statement)
})
