/**
 * Parked deliveries in the store: `pgstream.webhook_deliveries`. Every operation may be repeated, and is, while the
 * store is away: what is parked waits, it is never dropped. Batches go as arrays, a few MiB in one statement.
 */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Result from "effect/Result"
import type * as SqlClient from "effect/sql/SqlClient"
import type { SqlError } from "effect/sql/SqlError"
import * as Lsn from "../../../domain/Lsn.ts"
import * as StreamId from "../../../domain/StreamId.ts"
import { ParkedDeliveries, ParkedDeliveriesError, type ParkedDelivery } from "../../../services/ParkedDeliveries.ts"
import { SecretSettings } from "../../../services/Settings.ts"
import { FIRST_ENDPOINT, keysPage, NO_LIMIT, numbers, page, START } from "./ParkedDeliveriesPgRead.ts"
import { bodyContext, type DeliveryRow, deliveryOf, keysOf, keysText } from "./ParkedDeliveriesPgRow.ts"
import { Seals } from "./Seals.ts"
import { StoreSql } from "../Sql.ts"
import * as StreamWriters from "./StreamWriters.ts"
import { whileAway, withoutValues } from "./StoreRetry.ts"

/** One statement: at most so many rows, and no further row once its bodies have so many bytes. */
const MAX_ROWS = 1000
const MAX_BYTES = 4 * 1024 * 1024

const split = (batch: ReadonlyArray<ParkedDelivery>): ReadonlyArray<ReadonlyArray<ParkedDelivery>> => {
  const parts: Array<Array<ParkedDelivery>> = []
  let bytes = MAX_BYTES
  for (const delivery of batch) {
    const last = parts.at(-1)
    if (last === undefined || bytes >= MAX_BYTES || last.length >= MAX_ROWS) {
      parts.push([delivery])
      bytes = delivery.body.byteLength
    } else {
      last.push(delivery)
      bytes += delivery.body.byteLength
    }
  }
  return parts
}

/** A column of the batch as a `text[]`, which the statement casts. */
const column = (rows: ReadonlyArray<ParkedDelivery>, of: (row: ParkedDelivery) => string | number) =>
  rows.map((row) => String(of(row)))

/** A text of Postgres holds no NUL. */
const errorText = (row: ParkedDelivery): string => (row.lastError ?? "").replaceAll("\0", "")

/** A query of one row while this process may write for the stream; for a CTE called `fence`. */
type Fence = ReturnType<typeof StreamWriters.holding>

const insert = (seals: Seals) =>
(sql: SqlClient.SqlClient, fence: Fence, stream: string, rows: ReadonlyArray<ParkedDelivery>) =>
  sql`WITH fence AS (${fence}), done AS (
    INSERT INTO pgstream.webhook_deliveries (stream, endpoint_id, event_id, commit_lsn, ordinal, state, due_at,
      attempts, retries, sequence, epoch, last_error, table_name, kind, selected_by, keys, body, died_at)
    SELECT ${stream}, u.endpoint_id, u.event_id, u.commit_lsn, u.ordinal, u.state, to_timestamp(u.due_ms / 1000.0),
      u.attempts, u.retries, u.sequence, u.epoch, nullif(u.last_error, ''), u.table_name, u.kind, u.selected_by, u.keys,
      u.body, CASE WHEN u.state = 'dead' THEN now() END
    FROM unnest(
      ${column(rows, (r) => r.endpointId)}::text[]::uuid[],
      ${column(rows, (r) => r.id)}::text[],
      ${column(rows, (r) => Lsn.format(r.commitLsn))}::text[]::pg_lsn[],
      ${column(rows, (r) => r.ordinal)}::text[]::bigint[],
      ${column(rows, (r) => r.state)}::text[],
      ${column(rows, (r) => Math.round(r.dueAtMs))}::text[]::bigint[],
      ${column(rows, (r) => r.attempts)}::text[]::int[],
      ${column(rows, (r) => r.retries)}::text[]::int[],
      ${column(rows, (r) => r.sequence)}::text[]::bigint[],
      ${column(rows, (r) => r.epoch)}::text[],
      ${column(rows, errorText)}::text[],
      ${column(rows, (r) => r.table)}::text[],
      ${column(rows, (r) => r.kind)}::text[],
      ${column(rows, (r) => r.selectedBy.join(","))}::text[],
      ${column(rows, (r) => keysText(r.keys))}::text[],
      ${rows.map((r) => seals.seal(r.body, bodyContext(r.endpointId, r.id)))}::bytea[])
      AS u(endpoint_id, event_id, commit_lsn, ordinal, state, due_ms, attempts, retries, sequence, epoch,
        last_error, table_name, kind, selected_by, keys, body), fence
    ON CONFLICT (stream, endpoint_id, event_id) DO NOTHING)
    SELECT held FROM fence`

/**
 * The stream's condition in a form that no index serves: the primary key begins with the event, the other indexes
 * with the stream. A table that fills and empties has statistics that say nothing, and with `stream =` the planner
 * then walks all that an endpoint has parked, for each row (measured: 2.6 ms instead of 20 µs).
 */
const onlyByKey = (sql: SqlClient.SqlClient, stream: string) => sql`d.stream || '' = ${stream}`

const change = (sql: SqlClient.SqlClient, fence: Fence, stream: string, rows: ReadonlyArray<ParkedDelivery>) =>
  sql`WITH fence AS (${fence}), done AS (
    UPDATE pgstream.webhook_deliveries d
    SET attempts = u.attempts, retries = u.retries, due_at = to_timestamp(u.due_ms / 1000.0), state = u.state,
      last_error = nullif(u.last_error, ''),
      died_at = CASE WHEN u.state = 'dead' THEN coalesce(d.died_at, now()) END
    FROM unnest(
      ${column(rows, (r) => r.endpointId)}::text[]::uuid[],
      ${column(rows, (r) => r.id)}::text[],
      ${column(rows, (r) => r.attempts)}::text[]::int[],
      ${column(rows, (r) => r.retries)}::text[]::int[],
      ${column(rows, (r) => Math.round(r.dueAtMs))}::text[]::bigint[],
      ${column(rows, (r) => r.state)}::text[],
      ${column(rows, errorText)}::text[])
      AS u(endpoint_id, event_id, attempts, retries, due_ms, state, last_error)
    WHERE ${onlyByKey(sql, stream)} AND d.endpoint_id = u.endpoint_id AND d.event_id = u.event_id
      AND EXISTS (SELECT FROM fence))
    SELECT held FROM fence`

const remove = (sql: SqlClient.SqlClient, fence: Fence, stream: string, endpoint: string, ids: ReadonlyArray<string>) =>
  sql`WITH fence AS (${fence}), done AS (
    DELETE FROM pgstream.webhook_deliveries d
    WHERE ${onlyByKey(sql, stream)} AND d.endpoint_id = ${endpoint}::uuid AND d.event_id = ANY (${ids}::text[])
      AND EXISTS (SELECT FROM fence))
    SELECT held FROM fence`

/** Also by the plain condition of the stream: there it is the whole of an endpoint. */
const end = (sql: SqlClient.SqlClient, fence: Fence, stream: string, endpoint: string) =>
  sql<{ readonly count: bigint }>`WITH fence AS (${fence}), done AS (
    DELETE FROM pgstream.webhook_deliveries d
    WHERE d.stream = ${stream} AND d.endpoint_id = ${endpoint}::uuid AND EXISTS (SELECT FROM fence)
      AND NOT EXISTS (SELECT FROM pgstream.webhook_subscriptions s WHERE s.endpoint_id = ${endpoint}::uuid)
    RETURNING 1)
    SELECT held, (SELECT count(*) FROM done) AS count FROM fence`

const operation = <A>(name: string, work: Effect.Effect<A, SqlError>) =>
  work.pipe(
    whileAway(`parked deliveries ${name}`),
    Effect.mapError((error) => new ParkedDeliveriesError({ operation: name, cause: withoutValues(error) }))
  )

/** Where one does not open the endpoint waits for its key: nothing is skipped. */
const opened = (
  seals: Seals, endpoint: string, rows: ReadonlyArray<DeliveryRow>
): Result.Result<ReadonlyArray<ParkedDelivery>, ParkedDeliveriesError> => {
  const deliveries: Array<ParkedDelivery> = []
  for (const row of rows) {
    const delivery = deliveryOf(seals, endpoint, row)
    if (Result.isFailure(delivery)) {
      return Result.fail(new ParkedDeliveriesError({ operation: "scan", cause: delivery.failure }))
    }
    deliveries.push(delivery.success)
  }
  return Result.succeed(deliveries)
}

type Rows = ReadonlyArray<object>

/** A write, whose answer is the fence. */
const fenced = <A extends Rows>(name: string, stream: string, work: Effect.Effect<A, SqlError>) =>
  StreamWriters.held(stream, operation(name, work), (why) => new ParkedDeliveriesError({ operation: name, ...why }))

export const make = Effect.gen(function*() {
  const sql: SqlClient.SqlClient = yield* StoreSql
  const writers = yield* StreamWriters.StreamWriters
  const seals = new Seals(yield* SecretSettings)
  const insertSealed = insert(seals)
  const fence = (stream: string) => StreamWriters.holding(sql, writers, stream)
  const eachPart = (
    name: "write" | "update",
    id: StreamId.StreamId,
    rows: ReadonlyArray<ParkedDelivery>,
    statement: typeof change
  ) => {
    const stream = StreamId.format(id)
    return Effect.forEach(split(rows), (part) => fenced(name, stream, statement(sql, fence(stream), stream, part)), {
      discard: true
    })
  }
  return ParkedDeliveries.of({
    write: (stream, batch) => eachPart("write", stream, batch, insertSealed),
    scan: (stream, endpoint, after = START, limit, maxBytes = NO_LIMIT) =>
      operation("scan", page(sql, StreamId.format(stream), endpoint, after, limit, maxBytes)).pipe(
        Effect.flatMap((rows) => Effect.fromResult(opened(seals, endpoint, rows)))
      ),
    remove: (id, endpoint, ids) => {
      const stream = StreamId.format(id)
      if (ids.length === 0) return Effect.void
      return Effect.asVoid(fenced("remove", stream, remove(sql, fence(stream), stream, endpoint, ids)))
    },
    numbers: (stream, endpoint) =>
      Effect.map(operation("numbers", numbers(sql, StreamId.format(stream), endpoint)), (rows) =>
        rows.map((row) => ({ epoch: row.epoch, first: Number(row.first), last: Number(row.last) }))),
    end: (id, endpoint) => {
      const stream = StreamId.format(id)
      return Effect.map(fenced("end", stream, end(sql, fence(stream), stream, endpoint)), (rows) => Number(rows[0]!.count))
    },
    update: (stream, batch) => {
      const lastOfEach = [...new Map(batch.map((row) => [`${row.endpointId} ${row.id}`, row])).values()]
      return eachPart("update", stream, lastOfEach, change)
    },
    loadKeys: (stream, after, limit, idsFrom = Lsn.zero) =>
      operation("loadKeys",
        keysPage(sql, StreamId.format(stream), after?.endpointId ?? FIRST_ENDPOINT, after?.cursor ?? START, limit, idsFrom)
      ).pipe(Effect.map((rows) => rows.map(keysOf)))
  })
})

export const layer: Layer.Layer<ParkedDeliveries, never, StoreSql> = Layer.effect(ParkedDeliveries, make).pipe(
  Layer.provide(StreamWriters.layer)
)
