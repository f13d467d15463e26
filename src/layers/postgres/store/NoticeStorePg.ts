/** States that were told, in `pgstream.notices`. */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type { SqlError } from "effect/sql/SqlError"
import type * as SqlClient from "effect/sql/SqlClient"
import * as StreamId from "../../../domain/StreamId.ts"
import type { NoticeKind } from "../../../services/Notices.ts"
import { NoticeStore, NoticeStoreError } from "../../../services/NoticeStore.ts"
import { StoreSql } from "../Sql.ts"
import { whileAway, withoutValues } from "./StoreRetry.ts"

interface NoticeRow {
  readonly id: string
  readonly kind: NoticeKind
  readonly endpoint_id: string
  readonly message: string
  readonly facts: Readonly<Record<string, string | number>>
  readonly began_at: Date
  readonly sent: boolean
}

const operation = <A>(name: string, work: Effect.Effect<A, SqlError>) =>
  work.pipe(
    whileAway(`notices ${name}`),
    Effect.mapError((error) => new NoticeStoreError({ operation: name, cause: withoutValues(error) }))
  )

export const make = Effect.gen(function*() {
  const sql: SqlClient.SqlClient = yield* StoreSql
  return NoticeStore.of({
    load: (stream) =>
      Effect.map(operation("load", sql<NoticeRow>`
        SELECT id, kind, endpoint_id, message, facts, began_at, sent_at IS NOT NULL AS sent FROM pgstream.notices
        WHERE stream = ${StreamId.format(stream)} ORDER BY began_at`),
      (rows) => rows.map(({ began_at: began, endpoint_id: endpoint, facts, id, kind, message, sent }) => ({
        id, kind, endpointId: endpoint === "" ? undefined : endpoint, message, facts, beganAtMs: began.getTime(), sent
      }))),
    tell: (stream, { beganAtMs, endpointId, facts, id, kind, message }) =>
      Effect.map(operation("tell", sql`
        INSERT INTO pgstream.notices (stream, kind, endpoint_id, id, message, facts, began_at)
        VALUES (${StreamId.format(stream)}, ${kind}, ${endpointId ?? ""}, ${id}::uuid, ${message}, ${JSON.stringify(facts)}::text::jsonb,
          to_timestamp(${String(beganAtMs)}::float8 / 1000))
        ON CONFLICT (stream, kind, endpoint_id) DO NOTHING RETURNING 1 AS told`),
      (rows) => rows.length > 0),
    sent: (stream, id) =>
      Effect.asVoid(operation("sent", sql`
        UPDATE pgstream.notices SET sent_at = now() WHERE stream = ${StreamId.format(stream)} AND id = ${id}::uuid`)),
    over: (stream, kind, endpointId) =>
      Effect.asVoid(operation("over", sql`
        DELETE FROM pgstream.notices WHERE stream = ${StreamId.format(stream)} AND kind = ${kind} AND endpoint_id = ${endpointId ?? ""}`)),
    ended: (stream) =>
      Effect.map(operation("ended", sql<Pick<NoticeRow, "endpoint_id" | "kind">>`
        DELETE FROM pgstream.notices n WHERE n.stream = ${StreamId.format(stream)} AND CASE
          WHEN n.endpoint_id = '' THEN false
          WHEN NOT EXISTS (SELECT FROM pgstream.webhook_endpoints e WHERE e.id = n.endpoint_id::uuid) THEN true
          WHEN n.kind = 'endpoint_disabled' THEN NOT EXISTS (SELECT FROM pgstream.endpoint_streams x
            WHERE x.stream = n.stream AND x.endpoint_id = n.endpoint_id::uuid AND x.disabled_reason IS NOT NULL)
          WHEN n.kind = 'endpoint_suspended' THEN NOT EXISTS (SELECT FROM pgstream.endpoint_streams x
            WHERE x.stream = n.stream AND x.endpoint_id = n.endpoint_id::uuid AND x.suspended_reason IS NOT NULL)
          WHEN n.kind = 'first_dead_letter' THEN NOT EXISTS (SELECT FROM pgstream.webhook_deliveries d
            WHERE d.stream = n.stream AND d.endpoint_id = n.endpoint_id::uuid AND d.state = 'dead')
          ELSE false END
        RETURNING n.kind, n.endpoint_id`),
      (rows) => rows.map(({ endpoint_id: endpointId, kind }) => ({ kind, endpointId })))
  })
})

export const layer: Layer.Layer<NoticeStore, never, StoreSql> = Layer.effect(NoticeStore, make)
