/**
 * Checkpoint and parked deliveries, all per stream (`<system identifier>/<slot name>`).
 *
 * - `fillfactor`: rows that are written again and again find room on their page (HOT: no index entry).
 * - Bodies are EXTERNAL: not compressed (time), and a part of one can be read alone.
 */
export const deliveryTables: ReadonlyArray<string> = [
  `CREATE TABLE pgstream.checkpoint (
     stream     text        PRIMARY KEY,
     position   pg_lsn      NOT NULL DEFAULT '0/0',
     versions   text        NOT NULL DEFAULT '',
     addresses  jsonb       NOT NULL DEFAULT '[]',
     database   text,
     recent     jsonb       NOT NULL DEFAULT '[]',
     epoch_seed text        NOT NULL DEFAULT replace(gen_random_uuid()::text, '-', ''),
     updated_at timestamptz NOT NULL DEFAULT now()) WITH (fillfactor = 50)`,
  `COMMENT ON TABLE pgstream.checkpoint IS
     'Everything at or below position is delivered or parked, for every endpoint.
      0/0: none yet, the position of the slot holds.'`,
  `COMMENT ON COLUMN pgstream.checkpoint.versions IS
     'Settings that decide matching when the position was stored; empty: not known yet.'`,
  `COMMENT ON COLUMN pgstream.checkpoint.addresses IS
     'host:port pairs of the source URL: a copied disk is found by them.'`,
  `COMMENT ON COLUMN pgstream.checkpoint.recent IS
     'Newest rows of pgstream.ddl by table, against which a look at the catalog is judged.'`,
  `COMMENT ON COLUMN pgstream.checkpoint.epoch_seed IS
     'What webhook-epoch is made from for an endpoint that has no count stored yet.'`,
  `CREATE TABLE pgstream.checkpoint_definitions (
     stream        text   NOT NULL,
     id            uuid   NOT NULL,
     endpoint_id   uuid   NOT NULL,
     url           text   NOT NULL,
     schema_name   text   NOT NULL,
     table_name    text   NOT NULL,
     event_types   text[] NOT NULL,
     created_at_us bigint NOT NULL,
     PRIMARY KEY (stream, id))`,
  `COMMENT ON TABLE pgstream.checkpoint_definitions IS
     'Subscriptions in force at the position of the checkpoint; created_at_us: microseconds since 1970.'`,
  `CREATE TABLE pgstream.checkpoint_shapes (
     stream text   NOT NULL,
     oid    bigint NOT NULL,
     shape  jsonb  NOT NULL,
     PRIMARY KEY (stream, oid))`,
  `CREATE TABLE pgstream.checkpoint_versions (
     stream      text  NOT NULL,
     schema_name text  NOT NULL,
     entry       jsonb NOT NULL,
     PRIMARY KEY (stream, schema_name))`,
  `CREATE TABLE pgstream.stream_writers (
     stream     text   PRIMARY KEY,
     generation bigint NOT NULL) WITH (fillfactor = 50)`,
  `COMMENT ON TABLE pgstream.stream_writers IS
     'Raised by each process that takes the stream over: writes of an earlier one, late as they may be, are refused.'`,
  `CREATE TABLE pgstream.webhook_deliveries (
     stream      text        NOT NULL,
     endpoint_id uuid        NOT NULL,
     event_id    text        NOT NULL,
     commit_lsn  pg_lsn      NOT NULL,
     ordinal     bigint      NOT NULL,
     state       text        NOT NULL CHECK (state IN ('waiting', 'dead')),
     due_at      timestamptz NOT NULL,
     attempts    integer     NOT NULL,
     retries     integer     NOT NULL,
     sequence    bigint      NOT NULL,
     last_error  text,
     table_name  text        NOT NULL,
     kind        text        NOT NULL,
     selected_by text        NOT NULL,
     keys        text        NOT NULL,
     body        bytea       NOT NULL,
     parked_at   timestamptz NOT NULL DEFAULT now(),
     PRIMARY KEY (event_id, endpoint_id, stream)) WITH (fillfactor = 90)`,
  `ALTER TABLE pgstream.webhook_deliveries ALTER COLUMN body SET STORAGE EXTERNAL`,
  `CREATE INDEX webhook_deliveries_order ON pgstream.webhook_deliveries (stream, endpoint_id, commit_lsn, ordinal)`,
  `CREATE INDEX webhook_deliveries_waiting ON pgstream.webhook_deliveries (stream, endpoint_id, commit_lsn, ordinal)
     WHERE state = 'waiting'`,
  `COMMENT ON TABLE pgstream.webhook_deliveries IS
     'Parked deliveries: what failed beyond its live time and what waits behind such a one
      (waiting), and what is not tried any more by itself (dead).'`,
  `COMMENT ON COLUMN pgstream.webhook_deliveries.ordinal IS
     'Place in its transaction: 2^20 times the number in event_id, plus the place of a schema event.'`,
  `COMMENT ON COLUMN pgstream.webhook_deliveries.keys IS
     'What it is ordered by: leaf,root,definition,value of each key, separated by semicolons.'`
]
