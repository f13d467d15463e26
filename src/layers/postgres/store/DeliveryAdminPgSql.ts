/** Conditions and columns that the statements of `DeliveryAdminPg` share. */
import * as Duration from "effect/Duration"
import type * as Effect from "effect/Effect"
import type * as SqlClient from "effect/sql/SqlClient"
import type { SqlError } from "effect/sql/SqlError"
import type { Fragment } from "effect/sql/Statement"
import type { DeliverySelector } from "../../../domain/DeliverySelector.ts"
import { DeliveryAdminError } from "../../../services/DeliveryAdmin.ts"
import { answering } from "./StoreRetry.ts"

/** One statement; a list over millions of rows may take some. */
const TIMEOUT = Duration.seconds(30)

export const operation = <A>(name: string, work: Effect.Effect<A, SqlError>): Effect.Effect<A, DeliveryAdminError> =>
  answering(TIMEOUT, work, (why) => new DeliveryAdminError({ operation: name, ...why }))

/** Commit time of the transaction by the id (ms since 1970), else `fallback`: the same as `DeliverySelector.committedAtMs`. */
const committedMs = (sql: SqlClient.SqlClient, fallback: string): Fragment =>
  sql.literal(`(CASE WHEN d.event_id ~ '^[0-9a-f]{16}-[0-9a-f]{1,15}-'
    THEN 946684800000 + ('x' || lpad(split_part(d.event_id, '-', 2), 16, '0'))::bit(64)::bigint / 1000
    ELSE floor(extract(epoch FROM ${fallback}) * 1000)::bigint END)`)

/** All of a selector but state and key, for an alias `d`. `time`: its column for what has no commit time. */
export const meant = (sql: SqlClient.SqlClient, selector: DeliverySelector, time: "d.parked_at" | "d.at"): ReadonlyArray<Fragment> => {
  const { endpointId, fromMs, ids, table, toMs } = selector
  return [
    ...(endpointId === undefined ? [] : [sql`d.endpoint_id = ${endpointId}::uuid`]),
    ...(ids === undefined ? [] : [sql`d.event_id = ANY (${ids}::text[])`]),
    ...(table === undefined ? [] : [sql`d.table_name = ${table}`]),
    ...(fromMs === undefined ? [] : [sql`${committedMs(sql, time)} >= ${String(Math.floor(fromMs))}::bigint`]),
    ...(toMs === undefined ? [] : [sql`${committedMs(sql, time)} < ${String(Math.floor(toMs))}::bigint`])
  ]
}

/** Columns of `DeliveryRow`, but for the body. */
export const ROW_COLUMNS = `d.endpoint_id, d.event_id, d.commit_lsn::text AS commit_lsn, d.ordinal, d.state, d.due_at, d.attempts, d.retries,
  d.sequence, d.epoch, d.last_error, d.table_name, d.kind, d.selected_by, d.keys, d.parked_at`

/** A CTE `endpoints`: those that have rows of the stream, found by jumps along the index. */
export const endpointsWithRows = (sql: SqlClient.SqlClient, stream: string): Fragment => sql`
  endpoints (endpoint_id) AS (
    (SELECT w.endpoint_id FROM pgstream.webhook_deliveries w WHERE w.stream = ${stream} ORDER BY w.endpoint_id LIMIT 1)
    UNION ALL
    SELECT (SELECT w.endpoint_id FROM pgstream.webhook_deliveries w WHERE w.stream = ${stream} AND w.endpoint_id > e.endpoint_id
      ORDER BY w.endpoint_id LIMIT 1)
    FROM endpoints e WHERE e.endpoint_id IS NOT NULL)`
