/**
 * 0004: segments: what waits for endpoints that are behind, in tables of their own; ranges of numbers that are not
 * sent; what the service decided about an endpoint; how to batch.
 *
 * - Segments are plain tables `webhook_segments_<n>`, made and dropped as a whole while services run (docs/adr/0010),
 *   by two functions that run as their owner: the role of the service needs no more than EXECUTE. Whoever may use the
 *   registry may use its tables.
 * - Locks: ACCESS EXCLUSIVE on `webhook_deliveries`, `endpoint_streams`, `webhook_endpoints` and `checkpoint` for an
 *   instant: no row is rewritten. Additive; safe while services run.
 */
import * as Effect from "effect/Effect"
import * as SqlClient from "effect/sql/SqlClient"
import { segmentTables } from "./segmentTables.ts"

const columns = [
  `ALTER TABLE pgstream.webhook_deliveries
     ADD COLUMN epoch   text        NOT NULL DEFAULT '',
     ADD COLUMN died_at timestamptz`,
  `COMMENT ON COLUMN pgstream.webhook_deliveries.epoch IS 'webhook-epoch under which its number was given.'`,
  `COMMENT ON COLUMN pgstream.webhook_deliveries.died_at IS
     'When it became dead; such a row goes when it is older than the dead retention. NULL: kept.'`,
  `CREATE INDEX webhook_deliveries_died ON pgstream.webhook_deliveries (stream, died_at) WHERE state = 'dead'`,
  `CREATE INDEX webhook_deliveries_dead ON pgstream.webhook_deliveries (stream, commit_lsn) WHERE state = 'dead'`,
  `ALTER TABLE pgstream.webhook_deliveries SET (
     autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 2000, autovacuum_analyze_scale_factor = 0.05,
     toast.autovacuum_vacuum_scale_factor = 0.02, toast.autovacuum_vacuum_threshold = 2000)`,
  `ALTER TABLE pgstream.endpoint_streams
     ADD COLUMN failing_since    timestamptz,
     ADD COLUMN disabled_reason  text,
     ADD COLUMN disabled_at      timestamptz,
     ADD COLUMN suspended_reason text,
     ADD COLUMN suspended_at     timestamptz`,
  `COMMENT ON COLUMN pgstream.endpoint_streams.failing_since IS 'First failure since the last success; NULL: it answers.'`,
  `COMMENT ON COLUMN pgstream.endpoint_streams.disabled_reason IS
     'Why the service disabled it: events are numbered and kept, not sent, until it is resumed. NULL: it did not.'`,
  `COMMENT ON COLUMN pgstream.endpoint_streams.suspended_reason IS
     'Why the service suspended it: events are numbered, not kept, until it is resumed. NULL: it did not.'`,
  `ALTER TABLE pgstream.webhook_endpoints
     ADD COLUMN rate           integer CHECK (rate > 0),
     ADD COLUMN batch_events   integer CHECK (batch_events > 0),
     ADD COLUMN batch_delay_ms integer CHECK (batch_delay_ms >= 0),
     ADD COLUMN gzip           boolean NOT NULL DEFAULT false`,
  `COMMENT ON COLUMN pgstream.webhook_endpoints.rate IS 'Requests a second at most; NULL: no limit.'`,
  `COMMENT ON COLUMN pgstream.webhook_endpoints.batch_events IS
     'Events in one request at most, sent at the latest batch_delay_ms after the first of them; NULL: one a request.'`,
  `ALTER TABLE pgstream.checkpoint ADD COLUMN lineage text NOT NULL DEFAULT replace(gen_random_uuid()::text, '-', '')`,
  `COMMENT ON COLUMN pgstream.checkpoint.lineage IS
     'Of the positions: another one with each slot that is made. On a restored disk positions come again.'`
]

const ranges = [
  `CREATE TABLE pgstream.webhook_sequence_ranges (
     stream      text        NOT NULL,
     endpoint_id uuid        NOT NULL,
     epoch       text        NOT NULL,
     state       text        NOT NULL CHECK (state IN ('withdrawn', 'suspended', 'purged')),
     first       bigint      NOT NULL,
     last        bigint      NOT NULL CHECK (last >= first),
     updated_at  timestamptz NOT NULL DEFAULT now(),
     PRIMARY KEY (stream, endpoint_id, epoch, state, first)) WITH (fillfactor = 70)`,
  `COMMENT ON TABLE pgstream.webhook_sequence_ranges IS
     'Numbers (webhook-sequence) that were given and are not sent, both ends included: withdrawn with the subscription,
      over the budget of a suspended endpoint, or purged by an operator. Ranges neither touch nor overlap.'`
]

export default Effect.gen(function*() {
  const sql = yield* SqlClient.SqlClient
  const statements = [...columns, ...ranges, ...segmentTables]
  yield* Effect.forEach(statements, (statement) => sql.unsafe(statement), { discard: true })
})
