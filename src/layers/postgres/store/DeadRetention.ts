/**
 * Dead deliveries go when they are older than the retention: once an hour, in small batches. Their numbers are recorded
 * as purged before their rows go, so that `verify` accounts for them; a kill between the two changes nothing. Ranges of
 * endpoints that ended go at the same age; where dead deliveries are kept for ever, at `RANGES_MS`.
 */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as SqlClient from "effect/sql/SqlClient"
import * as Stream from "../../../domain/StreamId.ts"
import { DeadDeliveries } from "../../../services/DeadDeliveries.ts"
import { SequenceRanges } from "../../../services/SequenceRanges.ts"
import { NotifierSettings } from "../../../services/Settings.ts"
import { StoreSql } from "../Sql.ts"
import * as DeadDeliveriesPg from "./DeadDeliveriesPg.ts"
import * as SequenceRangesPg from "./SequenceRangesPg.ts"
import * as StreamWriters from "./StreamWriters.ts"

const LOOK_EVERY = "1 minute"
const EVERY_MS = 3_600_000
/** Rows of one batch, and the pause after it: nobody else waits for long. */
const BATCH_ROWS = 500
const PAUSE = "100 millis"
const RANGES_MS = 30 * 86_400_000

/** Answers how many went. */
export const removeExpired = Effect.fnUntraced(function*(
  dead: DeadDeliveries["Service"], ranges: SequenceRanges["Service"], stream: Stream.StreamId, beforeMs: number
) {
  for (let count = 0; ;) {
    const expired = yield* dead.expired(stream, beforeMs, BATCH_ROWS)
    if (expired.length === 0) return count
    const numbered = expired.filter(({ sequence }) => sequence > 0)
    yield* ranges.add(stream, numbered.map(({ endpointId, epoch, sequence }) =>
      ({ endpointId, epoch, state: "purged" as const, first: sequence, last: sequence })))
    yield* dead.remove(stream, expired)
    count += expired.length
    yield* Effect.sleep(PAUSE)
  }
})

const removeRanges = (
  sql: SqlClient.SqlClient, writers: StreamWriters.StreamWriters["Service"], stream: string, beforeMs: number
) =>
  sql`WITH fence AS (${StreamWriters.holding(sql, writers, stream)})
    DELETE FROM pgstream.webhook_sequence_ranges r
    WHERE r.stream = ${stream} AND r.updated_at < to_timestamp(${String(beforeMs)}::bigint / 1000.0)
      AND NOT EXISTS (SELECT FROM pgstream.webhook_endpoints e WHERE e.id = r.endpoint_id)
      AND EXISTS (SELECT FROM fence)`

/** A round of one stream: what is older than it may be at `nowMs` goes. */
export const make = Effect.gen(function*() {
  const { deadRetentionMs } = yield* NotifierSettings
  const sql: SqlClient.SqlClient = yield* StoreSql
  const writers = yield* StreamWriters.StreamWriters
  const [dead, ranges] = [yield* DeadDeliveries, yield* SequenceRanges]
  return Effect.fnUntraced(function*(text: string, nowMs: number) {
    const count = deadRetentionMs === 0 ? 0 : yield* removeExpired(dead, ranges, Stream.parse(text), nowMs - deadRetentionMs)
    yield* removeRanges(sql, writers, text, nowMs - (deadRetentionMs === 0 ? RANGES_MS : deadRetentionMs))
    if (count > 0) yield* Effect.logInfo("Dead deliveries were removed: they were older than the retention.").pipe(Effect.annotateLogs({ count }))
  })
})

/** For the streams that this process has taken over. */
export const layer: Layer.Layer<never, never, StoreSql | NotifierSettings> = Layer.effectDiscard(Effect.gen(function*() {
  const writers = yield* StreamWriters.StreamWriters
  const round = yield* make
  const doneMs = new Map<string, number>()
  const trim = Effect.fnUntraced(function*(text: string) {
    const now = yield* Clock.currentTimeMillis
    if (now - (doneMs.get(text) ?? -Infinity) < EVERY_MS) return
    doneMs.set(text, now)
    yield* round(text, now)
  })
  const look = Effect.suspend(() => Effect.forEach([...writers.generations.keys()], (text) =>
    trim(text).pipe(
      Effect.catch((error) => Effect.logWarning("Old dead deliveries cannot be removed; trying again in an hour.", error))
    ), { discard: true }))
  yield* Effect.sleep(LOOK_EVERY).pipe(Effect.andThen(look), Effect.forever, Effect.forkScoped)
})).pipe(
  Layer.provide(Layer.mergeAll(DeadDeliveriesPg.layer, SequenceRangesPg.layer)),
  Layer.provide(StreamWriters.layer)
)
