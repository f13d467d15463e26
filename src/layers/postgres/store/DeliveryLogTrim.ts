/**
 * What the delivery log keeps to by itself: failures for their retention and at most `MAX_ROWS` in all, successes of
 * endpoints that are there, commands for `COMMANDS_KEPT` after their end. In small batches, so that nobody waits.
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type { SqlError } from "effect/sql/SqlError"
import type * as SqlClient from "effect/sql/SqlClient"
import { withoutValues } from "./StoreRetry.ts"

const EVERY = Duration.minutes(1)
const BETWEEN_BATCHES = Duration.millis(200)
const BATCH_ROWS = 2_000
/** Failures in all; above, the oldest go. */
export const MAX_ROWS = 1_000_000
const COMMANDS_KEPT = "30 days"

/** Repeats a batch until it finds less than a whole one. */
const batches = (batch: Effect.Effect<ReadonlyArray<object>, SqlError>) =>
  Effect.gen(function*() {
    while ((yield* batch).length >= BATCH_ROWS) yield* Effect.sleep(BETWEEN_BATCHES)
  })

export const trim = (sql: SqlClient.SqlClient, retentionMs: number, maxRows = MAX_ROWS) =>
  Effect.gen(function*() {
    yield* batches(sql`
      DELETE FROM pgstream.webhook_attempts WHERE id IN (
        SELECT id FROM pgstream.webhook_attempts WHERE at < now() - ${String(retentionMs)}::float8 * interval '1 ms'
        ORDER BY at LIMIT ${BATCH_ROWS}) RETURNING 1`)
    yield* batches(sql`
      DELETE FROM pgstream.webhook_attempts WHERE id IN (
        SELECT id FROM pgstream.webhook_attempts
        WHERE id <= (SELECT max(id) - ${String(maxRows)}::bigint FROM pgstream.webhook_attempts) ORDER BY id LIMIT ${BATCH_ROWS})
      RETURNING 1`)
    yield* batches(sql`
      DELETE FROM pgstream.webhook_successes WHERE ctid = ANY (ARRAY(
        SELECT s.ctid FROM pgstream.webhook_successes s
        WHERE NOT EXISTS (SELECT FROM pgstream.webhook_endpoints e WHERE e.id = s.endpoint_id) LIMIT ${BATCH_ROWS}))
      RETURNING 1`)
    yield* sql`DELETE FROM pgstream.delivery_commands WHERE ended_at < now() - ${COMMANDS_KEPT}::interval`
  })

export const loop = (sql: SqlClient.SqlClient, retentionMs: number): Effect.Effect<never> =>
  trim(sql, retentionMs).pipe(
    Effect.catch((error) =>
      Effect.logDebug("The delivery log was not trimmed; it is tried again in a minute.").pipe(
        Effect.annotateLogs({ seen: withoutValues(error).message })
      )),
    Effect.andThen(Effect.sleep(EVERY)),
    Effect.forever
  )
