/**
 * 0005: copy
 *
 * `pgstream.copies`: what was asked for, one row a request and stream. `pgstream.copy_tables`: how far each of its
 * tables is, so that a copy goes on after a kill. `pgstream.copy_keys`: rows that are to be read again by their key.
 *
 * `pgstream.snapshot_requests` keeps the shape of golden/SCHEMA.md, for those who read it: one row a schema of a copy
 * that nobody in particular asked for.
 *
 * Additive: a `snapshot_requests` that is there is left as it is. Safe under a running service.
 */
import * as Effect from "effect/Effect"
import * as SqlClient from "effect/sql/SqlClient"

const statements: ReadonlyArray<string> = [
  `CREATE TABLE IF NOT EXISTS pgstream.snapshot_requests (
     req_id      serial      PRIMARY KEY,
     schema_name text,
     table_names text[],
     created_at  timestamptz,
     updated_at  timestamptz,
     status      text        CHECK (status IN ('requested', 'in progress', 'completed')),
     errors      jsonb)`,
  `CREATE UNIQUE INDEX IF NOT EXISTS schema_table_status_unique_index
     ON pgstream.snapshot_requests (schema_name, table_names) WHERE status <> 'completed'`,
  `CREATE TABLE pgstream.copies (
     id           bigserial   PRIMARY KEY,
     stream       text        NOT NULL,
     subscription uuid,
     tables       jsonb       NOT NULL,
     condition    text,
     mode         text        NOT NULL CHECK (mode IN ('full', 'data', 'schema')),
     repeatable   boolean     NOT NULL,
     state        text        NOT NULL
       CHECK (state IN ('requested', 'running', 'paused', 'done', 'failed', 'cancelled')),
     error        text,
     created_at   timestamptz NOT NULL DEFAULT clock_timestamp(),
     updated_at   timestamptz NOT NULL DEFAULT clock_timestamp())`,
  `CREATE INDEX copies_stream ON pgstream.copies (stream, state)`,
  `COMMENT ON TABLE pgstream.copies IS
     'Snapshots and backfills: who asked for which rows. Read it; steer it with pgstream snapshot.'`,
  `COMMENT ON COLUMN pgstream.copies.subscription IS
     'The subscription that asked; NULL: each that takes inserts of the table.'`,
  `CREATE TABLE pgstream.copy_tables (
     copy_id      bigint  NOT NULL REFERENCES pgstream.copies ON DELETE CASCADE,
     oid          bigint  NOT NULL,
     schema_name  text    NOT NULL,
     table_name   text    NOT NULL,
     state        text    NOT NULL CHECK (state IN ('waiting', 'running', 'done', 'failed')),
     filenode     bigint  NOT NULL,
     done_through jsonb,
     rows         bigint  NOT NULL,
     bytes        bigint  NOT NULL,
     total_rows   bigint,
     total_bytes  bigint,
     error        text,
     PRIMARY KEY (copy_id, oid)) WITH (fillfactor = 50)`,
  `COMMENT ON COLUMN pgstream.copy_tables.done_through IS
     'Rows up to this key are settled; a restart goes on behind it.'`,
  `CREATE TABLE pgstream.copy_keys (
     copy_id bigint NOT NULL REFERENCES pgstream.copies ON DELETE CASCADE,
     oid     bigint NOT NULL,
     key     jsonb  NOT NULL,
     PRIMARY KEY (copy_id, oid, key))`,
  `COMMENT ON TABLE pgstream.copy_keys IS
     'Rows that a copy reads again by their key: what events said of them was not all.'`
]

export default Effect.gen(function*() {
  const sql = yield* SqlClient.SqlClient
  yield* Effect.forEach(statements, (statement) => sql.unsafe(statement), { discard: true })
})
