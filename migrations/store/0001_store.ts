/**
 * 0001: the store: endpoints and subscriptions, checkpoint, parked deliveries.
 *
 * - Where: schema `pgstream` of the store's database, which may be the source database or another one.
 * - What: see the comment of each table. Everything that is counted or kept for delivery is kept per stream
 *   (`<system identifier>/<slot name>`), so that two services with one store do not mix.
 * - Takeover: a `webhook_subscriptions` of four columns that was there is extended in place; its rows keep their
 *   order of delivery: their endpoints are `total`, one request in flight, and marked `seed = 'found'`.
 * - Locks: ACCESS EXCLUSIVE on `webhook_subscriptions` while its rows get their ids. Additive for all who read and
 *   write the four columns; safe while the old program runs.
 */
import * as Effect from "effect/Effect"
import * as SqlClient from "effect/sql/SqlClient"
import { deliveryTables } from "./deliveryTables.ts"
import { subscriptionTriggers } from "./subscriptionTriggers.ts"

const endpoints = [
  `CREATE TABLE pgstream.webhook_endpoints (
     id          uuid        PRIMARY KEY DEFAULT gen_random_uuid(),
     url         text        NOT NULL UNIQUE,
     order_mode  text        NOT NULL DEFAULT 'key' CHECK (order_mode IN ('key', 'total', 'none')),
     concurrency integer     CHECK (concurrency > 0),
     seed        text        CHECK (seed IN ('found', 'adopted')),
     created_at  timestamptz NOT NULL DEFAULT clock_timestamp())`,
  `COMMENT ON TABLE pgstream.webhook_endpoints IS
     'How to send: one row a URL. Acts at once, also on what is parked.'`,
  `COMMENT ON COLUMN pgstream.webhook_endpoints.concurrency IS
     'Requests in flight at most; NULL: the setting notifier.concurrency.'`,
  `COMMENT ON COLUMN pgstream.webhook_endpoints.seed IS
     'Taken over with the subscriptions of an older system: found by the migration, adopted by init.'`,
  `CREATE TABLE pgstream.endpoint_streams (
     stream        text    NOT NULL,
     endpoint_id   uuid    NOT NULL,
     paused        boolean NOT NULL DEFAULT false,
     paused_reason text,
     count         bigint  NOT NULL DEFAULT 0,
     epoch         text    NOT NULL DEFAULT left(replace(gen_random_uuid()::text, '-', ''), 16),
     PRIMARY KEY (stream, endpoint_id)) WITH (fillfactor = 50)`,
  `COMMENT ON TABLE pgstream.endpoint_streams IS
     'What one stream knows of an endpoint: paused for it, and how many events it numbered
      (webhook-sequence, webhook-epoch) at the checkpoint.'`
]

/** Also the upgrade of the four-column table: both ways end with the same columns. */
const subscriptions = [
  `CREATE TABLE IF NOT EXISTS pgstream.webhook_subscriptions (
     url         text   NOT NULL,
     schema_name text   NOT NULL,
     table_name  text   NOT NULL,
     event_types text[],
     PRIMARY KEY (url, schema_name, table_name))`,
  `ALTER TABLE pgstream.webhook_subscriptions
     ALTER COLUMN schema_name SET DEFAULT '',
     ALTER COLUMN table_name SET DEFAULT '',
     ADD COLUMN id          uuid,
     ADD COLUMN endpoint_id uuid,
     ADD COLUMN created_at  timestamptz,
     REPLICA IDENTITY FULL`,
  `INSERT INTO pgstream.webhook_endpoints (url, order_mode, concurrency, seed)
     SELECT DISTINCT url, 'total', 1, 'found' FROM pgstream.webhook_subscriptions`,
  `UPDATE pgstream.webhook_subscriptions s
     SET id = gen_random_uuid(), endpoint_id = e.id, created_at = clock_timestamp()
     FROM pgstream.webhook_endpoints e WHERE e.url = s.url`,
  `ALTER TABLE pgstream.webhook_subscriptions
     ALTER COLUMN id          SET NOT NULL, ALTER COLUMN id SET DEFAULT gen_random_uuid(),
     ALTER COLUMN endpoint_id SET NOT NULL,
     ALTER COLUMN created_at  SET NOT NULL, ALTER COLUMN created_at SET DEFAULT clock_timestamp(),
     ADD CONSTRAINT webhook_subscriptions_id_uniq UNIQUE (id)`,
  `CREATE INDEX webhook_subscriptions_endpoint ON pgstream.webhook_subscriptions (endpoint_id)`,
  `COMMENT ON TABLE pgstream.webhook_subscriptions IS
     'Whether an event is sent: empty schema_name or table_name mean any, NULL or empty event_types
      all. Public: may be written with SQL; a row holds for the transactions that commit after its own.'`
]

export default Effect.gen(function*() {
  const sql = yield* SqlClient.SqlClient
  const statements = [...endpoints, ...subscriptions, ...subscriptionTriggers, ...deliveryTables]
  yield* Effect.forEach(statements, (statement) => sql.unsafe(statement), { discard: true })
})
