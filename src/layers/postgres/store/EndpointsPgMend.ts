/**
 * What the triggers of `webhook_subscriptions` leave to the service, because they never wait for another session:
 * rare, found by two cheap questions at each refresh, and mended then.
 */
import * as Effect from "effect/Effect"
import type * as SqlClient from "effect/sql/SqlClient"

/**
 * A subscription whose endpoint is not there: somebody deleted it, or two REPEATABLE READ transactions ended it and
 * used it at once. It gets back the one that it names, or joins the endpoint of its URL.
 */
const giveEndpoints = Effect.fnUntraced(function*(sql: SqlClient.SqlClient) {
  const orphans = yield* sql`
    SELECT 1 FROM pgstream.webhook_subscriptions s
    WHERE NOT EXISTS (SELECT FROM pgstream.webhook_endpoints e WHERE e.id = s.endpoint_id) LIMIT 1`
  if (orphans.length === 0) return
  yield* sql`
    INSERT INTO pgstream.webhook_endpoints (id, url)
    SELECT DISTINCT ON (s.endpoint_id) s.endpoint_id, s.url FROM pgstream.webhook_subscriptions s
    WHERE NOT EXISTS (SELECT FROM pgstream.webhook_endpoints e WHERE e.id = s.endpoint_id)
    ORDER BY s.endpoint_id, s.created_at
    ON CONFLICT DO NOTHING`
  yield* sql`
    UPDATE pgstream.webhook_subscriptions s SET endpoint_id = e.id
    FROM pgstream.webhook_endpoints e
    WHERE e.url = s.url AND NOT EXISTS (SELECT FROM pgstream.webhook_endpoints o WHERE o.id = s.endpoint_id)`
})

/**
 * An endpoint without rows: its last ones went in two sessions at once, or beside one that was adding a row and rolled
 * back. The locks first, then, in a statement that sees what was committed before them, the rows again.
 */
const endEmpty = Effect.fnUntraced(function*(sql: SqlClient.SqlClient) {
  const empty = sql<{ readonly id: string }>`
    SELECT e.id::text AS id FROM pgstream.webhook_endpoints e
    WHERE NOT EXISTS (SELECT FROM pgstream.webhook_subscriptions s WHERE s.endpoint_id = e.id)`
  if ((yield* empty).length === 0) return
  yield* sql.withTransaction(Effect.gen(function*() {
    const locked = yield* sql<{ readonly id: string }>`${empty} FOR UPDATE OF e SKIP LOCKED`
    const ids = locked.map((row) => row.id)
    const ended = yield* sql<{ readonly id: string }>`
      DELETE FROM pgstream.webhook_endpoints e WHERE e.id = ANY (${ids}::text[]::uuid[])
        AND NOT EXISTS (SELECT FROM pgstream.webhook_subscriptions s WHERE s.endpoint_id = e.id)
      RETURNING e.id::text AS id`
    yield* sql`
      DELETE FROM pgstream.endpoint_streams
      WHERE endpoint_id = ANY (${ended.map((row) => row.id)}::text[]::uuid[])`
  }))
})

export const mend = (sql: SqlClient.SqlClient) => Effect.andThen(giveEndpoints(sql), endEmpty(sql))
