/** Rows of `pgstream.webhook_deliveries` that have been dead for longer than they are kept. Fenced like all writes. */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as SqlClient from "effect/sql/SqlClient"
import type { SqlError } from "effect/sql/SqlError"
import * as StreamId from "../../../domain/StreamId.ts"
import { DeadDeliveries, type Expired } from "../../../services/DeadDeliveries.ts"
import { ParkedDeliveriesError } from "../../../services/ParkedDeliveries.ts"
import { StoreSql } from "../Sql.ts"
import * as StreamWriters from "./StreamWriters.ts"
import { whileAway, withoutValues } from "./StoreRetry.ts"

interface ExpiredRow {
  readonly endpoint_id: string
  readonly event_id: string
  readonly epoch: string
  readonly sequence: bigint
}

const operation = <A>(name: string, work: Effect.Effect<A, SqlError>) =>
  work.pipe(
    whileAway(`dead deliveries ${name}`),
    Effect.mapError((error) => new ParkedDeliveriesError({ operation: name, cause: withoutValues(error) }))
  )

const expired = (sql: SqlClient.SqlClient, stream: string, beforeMs: number, limit: number) =>
  sql<ExpiredRow>`
    SELECT d.endpoint_id, d.event_id, d.epoch, d.sequence FROM pgstream.webhook_deliveries d
    WHERE d.stream = ${stream} AND d.state = 'dead' AND d.died_at < to_timestamp(${String(beforeMs)}::bigint / 1000.0)
    ORDER BY d.died_at LIMIT ${String(limit)}::bigint`

/** The state is asked again: one that was revived meanwhile stays. */
const remove = (sql: SqlClient.SqlClient, writers: StreamWriters.StreamWriters["Service"], stream: string, rows: ReadonlyArray<Expired>) =>
  sql`WITH fence AS (${StreamWriters.holding(sql, writers, stream)}), done AS (
    DELETE FROM pgstream.webhook_deliveries d
    USING unnest(${rows.map((row) => row.endpointId)}::text[]::uuid[], ${rows.map((row) => row.id)}::text[]) AS u(endpoint_id, event_id)
    WHERE d.stream || '' = ${stream} AND d.endpoint_id = u.endpoint_id AND d.event_id = u.event_id AND d.state = 'dead'
      AND EXISTS (SELECT FROM fence))
    SELECT held FROM fence`

export const layer: Layer.Layer<DeadDeliveries, never, StoreSql> = Layer.effect(
  DeadDeliveries,
  Effect.gen(function*() {
    const sql: SqlClient.SqlClient = yield* StoreSql
    const writers = yield* StreamWriters.StreamWriters
    return DeadDeliveries.of({
      expired: (stream, beforeMs, limit) =>
        Effect.map(operation("expired", expired(sql, StreamId.format(stream), beforeMs, limit)), (rows) =>
          rows.map((row) => ({ endpointId: row.endpoint_id, id: row.event_id, epoch: row.epoch, sequence: Number(row.sequence) }))),
      remove: (id, rows) => {
        const stream = StreamId.format(id)
        if (rows.length === 0) return Effect.void
        return Effect.asVoid(StreamWriters.held(stream, operation("remove expired", remove(sql, writers, stream, rows)), (why) =>
          new ParkedDeliveriesError({ operation: "remove expired", ...why })))
      }
    })
  })
).pipe(Layer.provide(StreamWriters.layer))
