/** What is read of `pgstream.webhook_deliveries`: pages of an endpoint with bodies, keys of all, numbers. */
import type * as SqlClient from "effect/sql/SqlClient"
import * as Lsn from "../../../domain/Lsn.ts"
import type { ParkedCursor } from "../../../services/ParkedDeliveries.ts"
import type { DeliveryRow, KeysRow } from "./ParkedDeliveriesPgRow.ts"
import { MAGIC, OVERHEAD_BYTES } from "./Seals.ts"

/** Below every place. */
export const START: ParkedCursor = { commitLsn: 0, ordinal: Number.MIN_SAFE_INTEGER }
export const NO_LIMIT = Number.MAX_SAFE_INTEGER

/** Of the body as it is sent. */
const plainLength = (sql: SqlClient.SqlClient) =>
  sql`octet_length(d.body) - CASE WHEN substring(d.body FROM 1 FOR ${sql.literal(String(MAGIC.length))}) = ${MAGIC}::bytea
    THEN ${sql.literal(String(OVERHEAD_BYTES))} ELSE 0 END`

export const page = (
  sql: SqlClient.SqlClient,
  stream: string,
  endpoint: string,
  after: ParkedCursor,
  limit: number,
  maxBytes: number
) =>
  sql<DeliveryRow>`
    SELECT q.event_id, q.commit_lsn::text AS commit_lsn, q.ordinal, q.state, q.due_at, q.attempts, q.retries,
      q.sequence, q.epoch, q.last_error, q.table_name, q.kind, q.selected_by, q.keys, q.body
    FROM (
      SELECT p.*, sum(p.size) OVER (ORDER BY p.commit_lsn, p.ordinal)
        - sum(p.size) OVER (PARTITION BY p.commit_lsn, p.ordinal) AS bytes_before
      FROM (
        SELECT d.*, ${plainLength(sql)} AS size FROM pgstream.webhook_deliveries d
        WHERE d.stream = ${stream} AND d.endpoint_id = ${endpoint}::uuid AND d.state = 'waiting'
          AND (d.commit_lsn, d.ordinal) > (${Lsn.format(after.commitLsn)}::pg_lsn, ${String(after.ordinal)}::bigint)
        ORDER BY d.commit_lsn, d.ordinal
        FETCH FIRST (${String(limit)}::bigint) ROWS WITH TIES) p) q
    WHERE q.bytes_before <= ${String(maxBytes)}::bigint
    ORDER BY q.commit_lsn, q.ordinal, q.event_id COLLATE "C"`

/**
 * Waiting ones along their index; the dead at or above a place, of which there are few, along theirs: not past all that
 * died before. The state and the place of the first condition are written so that only that index serves.
 */
export const keysPage = (
  sql: SqlClient.SqlClient,
  stream: string,
  endpoint: string,
  after: ParkedCursor,
  limit: number,
  idsFrom: Lsn.Lsn
) => {
  // The length of a body is known without reading it.
  const columns = sql.literal("d.endpoint_id, d.event_id, d.commit_lsn, d.ordinal, d.state, d.keys, d.parked_at, octet_length(d.body) AS bytes")
  const isAfter = sql`(d.endpoint_id, d.commit_lsn, d.ordinal)
    > (${endpoint}::uuid, ${Lsn.format(after.commitLsn)}::pg_lsn, ${String(after.ordinal)}::bigint)`
  const first = sql`ORDER BY d.endpoint_id, d.commit_lsn, d.ordinal FETCH FIRST (${String(limit)}::bigint) ROWS WITH TIES`
  return sql<KeysRow>`
    SELECT d.endpoint_id, d.event_id, d.commit_lsn::text AS commit_lsn, d.ordinal, d.state, d.bytes, d.parked_at,
      CASE WHEN d.state = 'waiting' THEN d.keys ELSE '' END AS keys
    FROM (
      (SELECT ${columns} FROM pgstream.webhook_deliveries d WHERE d.stream = ${stream} AND d.state = 'waiting'
        AND ${isAfter} ${first})
      UNION ALL
      (SELECT ${columns} FROM pgstream.webhook_deliveries d WHERE d.stream = ${stream} AND d.state = 'dead'
        AND d.commit_lsn >= ${Lsn.format(idsFrom)}::pg_lsn AND ${isAfter} ${first})) d
    ${first}`
}

/** By number within each epoch: neighbours share the difference of number and row. */
export const numbers = (sql: SqlClient.SqlClient, stream: string, endpoint: string) =>
  sql<{ readonly epoch: string; readonly first: string; readonly last: string }>`
    SELECT r.epoch, min(r.sequence)::text AS first, max(r.sequence)::text AS last
    FROM (
      SELECT d.epoch, d.sequence, d.sequence - row_number() OVER (PARTITION BY d.epoch ORDER BY d.sequence) AS run
      FROM (
        SELECT DISTINCT epoch, sequence FROM pgstream.webhook_deliveries
        WHERE stream = ${stream} AND endpoint_id = ${endpoint}::uuid AND sequence > 0) d) r
    GROUP BY r.epoch, r.run ORDER BY r.epoch COLLATE "C", min(r.sequence)`

export const FIRST_ENDPOINT = "00000000-0000-0000-0000-000000000000"
