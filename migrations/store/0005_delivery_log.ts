/**
 * 0005: the log of attempts, what an operator orders about deliveries, and which notices were told.
 *
 * - `webhook_attempts`: failed attempts, appended and trimmed in small batches (docs/operations.md).
 * - `webhook_successes`: the last 100 of each endpoint, in as many rows that are written again and again.
 * - `delivery_commands`: retry, replay and purge, carried out by the service that reads the stream.
 * - `notices`: a state that was told is not told again after a restart.
 * - Locks: none on what is there. Additive; safe while services run.
 */
import * as Effect from "effect/Effect"
import * as SqlClient from "effect/sql/SqlClient"

/** The same in both tables. `body` and `body_start` may be encrypted; `place`: its position in the stream, with keys. */
const facts = `
     stream      text        NOT NULL,
     endpoint_id uuid        NOT NULL,
     event_id    text        NOT NULL,
     epoch       text        NOT NULL DEFAULT '',
     sequence    bigint      NOT NULL,
     table_name  text        NOT NULL,
     kind        text        NOT NULL,
     attempt     integer     NOT NULL,
     status      integer,
     took_ms     integer     NOT NULL,
     at          timestamptz NOT NULL,
     body        bytea`

const statements = [
  `CREATE TABLE pgstream.webhook_attempts (
     id          bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,${facts},
     reason      text        NOT NULL,
     body_start  bytea,
     more        bigint      NOT NULL DEFAULT 0) WITH (
     autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 2000, autovacuum_vacuum_insert_scale_factor = 0.1)`,
  `ALTER TABLE pgstream.webhook_attempts ALTER COLUMN body SET STORAGE EXTERNAL`,
  `CREATE INDEX webhook_attempts_event ON pgstream.webhook_attempts (endpoint_id, event_id)`,
  `CREATE INDEX webhook_attempts_at ON pgstream.webhook_attempts (at, id)`,
  `COMMENT ON TABLE pgstream.webhook_attempts IS
     'Attempts that failed. A row with more > 0 has no event: so many failures of the endpoint were counted, not kept.'`,
  `COMMENT ON COLUMN pgstream.webhook_attempts.body_start IS
     'First 1 kB of the answer: may repeat values of the row that was sent.'`,
  `CREATE TABLE pgstream.webhook_successes (
     slot        smallint    NOT NULL,${facts},
     commit_lsn  pg_lsn      NOT NULL DEFAULT '0/0',
     ordinal     bigint      NOT NULL DEFAULT 0,
     keys        text        NOT NULL DEFAULT '',
     PRIMARY KEY (stream, endpoint_id, slot)) WITH (fillfactor = 50,
     autovacuum_vacuum_scale_factor = 0.1, autovacuum_vacuum_threshold = 2000)`,
  `ALTER TABLE pgstream.webhook_successes ALTER COLUMN body SET STORAGE EXTERNAL`,
  `COMMENT ON TABLE pgstream.webhook_successes IS
     'The last 100 requests of each endpoint that were accepted. body only with PGSTREAM_WEBHOOK_DELIVERY_LOG_BODIES.'`,
  `CREATE TABLE pgstream.delivery_commands (
     id          bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
     stream      text        NOT NULL,
     kind        text        NOT NULL CHECK (kind IN ('retry', 'replay', 'purge')),
     selector    bytea       NOT NULL,
     described   text        NOT NULL,
     target      bytea,
     target_host text        NOT NULL DEFAULT '',
     rate        integer     CHECK (rate > 0),
     state       text        NOT NULL DEFAULT 'queued' CHECK (state IN ('queued', 'running', 'done', 'failed', 'cancelled')),
     place       jsonb,
     done        bigint      NOT NULL DEFAULT 0,
     skipped     bigint      NOT NULL DEFAULT 0,
     note        text        NOT NULL DEFAULT '',
     ordered_by  text        NOT NULL,
     ordered_at  timestamptz NOT NULL DEFAULT now(),
     started_at  timestamptz,
     updated_at  timestamptz NOT NULL DEFAULT now(),
     ended_at    timestamptz) WITH (fillfactor = 70)`,
  `CREATE INDEX delivery_commands_open ON pgstream.delivery_commands (stream, id) WHERE state IN ('queued', 'running')`,
  `COMMENT ON TABLE pgstream.delivery_commands IS
     'What an operator ordered about deliveries; the service that reads the stream carries it out, one after another.
      Selector and target may be encrypted: they hold values of a key, and a URL with its userinfo.'`,
  `COMMENT ON COLUMN pgstream.delivery_commands.place IS 'How far it is, in stream order by endpoint: what is before is done.'`,
  `CREATE TABLE pgstream.notices (
     stream      text        NOT NULL,
     kind        text        NOT NULL,
     endpoint_id text        NOT NULL DEFAULT '',
     id          uuid        NOT NULL,
     message     text        NOT NULL,
     facts       jsonb       NOT NULL,
     began_at    timestamptz NOT NULL,
     sent_at     timestamptz,
     PRIMARY KEY (stream, kind, endpoint_id))`,
  `COMMENT ON TABLE pgstream.notices IS
     'States that an operator was told of, until they are over. sent_at NULL: not yet posted to PGSTREAM_NOTICE_URL.'`,
  `REVOKE ALL ON pgstream.webhook_attempts, pgstream.webhook_successes, pgstream.delivery_commands, pgstream.notices FROM PUBLIC`
]

export default Effect.gen(function*() {
  const sql = yield* SqlClient.SqlClient
  yield* Effect.forEach(statements, (statement) => sql.unsafe(statement), { discard: true })
})
