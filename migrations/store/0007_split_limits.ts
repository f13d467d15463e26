/**
 * 0007: split limits: an endpoint that plain SQL makes out of another keeps its limits.
 *
 * `UPDATE webhook_subscriptions SET url = …` of some rows makes an endpoint for the new URL, with the order and
 * concurrency of the one before; now with its rate, batches and compression, too. Not with its secrets: they are of
 * the receiver that they were given to.
 *
 * - Locks: none on tables. Additive; safe while services run.
 */
import * as Effect from "effect/Effect"
import * as SqlClient from "effect/sql/SqlClient"

/** As in 0001 but for the columns. FOR KEY SHARE: nobody ends the endpoint or gives it another URL before our commit. */
const endpointFor = `CREATE OR REPLACE FUNCTION pgstream.endpoint_for(wanted text, like_endpoint uuid) RETURNS uuid
   LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  found_id uuid;
BEGIN
  LOOP
    SELECT e.id INTO found_id FROM pgstream.webhook_endpoints e WHERE e.url = wanted FOR KEY SHARE;
    IF FOUND THEN RETURN found_id; END IF;
    INSERT INTO pgstream.webhook_endpoints (url, order_mode, concurrency, rate, batch_events, batch_delay_ms, gzip)
      SELECT wanted, coalesce(e.order_mode, 'key'), e.concurrency, e.rate, e.batch_events, e.batch_delay_ms, coalesce(e.gzip, false)
      FROM (SELECT 1) one LEFT JOIN pgstream.webhook_endpoints e ON e.id = like_endpoint
      ON CONFLICT (url) DO NOTHING
      RETURNING id INTO found_id;
    IF FOUND THEN RETURN found_id; END IF;
  END LOOP;
END $$`

export default Effect.gen(function*() {
  const sql = yield* SqlClient.SqlClient
  yield* sql.unsafe(endpointFor)
})
