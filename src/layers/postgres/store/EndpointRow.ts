/** An endpoint as the store has it: `webhook_endpoints`, its pause for one stream, and what its requests carry. */
import * as Redacted from "effect/Redacted"
import * as Result from "effect/Result"
import type * as SqlClient from "effect/sql/SqlClient"
import * as Sending from "../../../domain/Sending.ts"
import type { Endpoint, EndpointId, OrderMode } from "../../../domain/Subscription.ts"
import * as EndpointSecrets from "./EndpointSecrets.ts"
import type { Seals } from "./Seals.ts"

export interface EndpointRow {
  readonly id: string
  readonly url: string
  readonly order_mode: OrderMode
  readonly concurrency: number | null
  readonly paused: boolean
  readonly paused_reason: string | null
  readonly disabled_reason: string | null
  readonly suspended_reason: string | null
  readonly stopped_at_ms: number | null
  readonly rate: number | null
  readonly batch_events: number | null
  readonly batch_delay_ms: number | null
  readonly gzip: boolean
  readonly version: string | null
  readonly content: Uint8Array | null
}

/**
 * Of an endpoint `u.id` that has no count yet, by the checkpoint `c` of its stream, if there is one: what the Notifier makes
 * of the seed (`Directory`), so that a row changes no epoch.
 */
export const FIRST_EPOCH = `left(encode(sha256(convert_to(coalesce(c.epoch_seed, gen_random_uuid()::text) || ' ' || u.id::text, 'UTF8')), 'hex'), 16)`

/** Oldest first. `id`: one, else all. `stream`: whose pauses hold. */
export const select = (sql: SqlClient.SqlClient, stream: string, id: EndpointId | undefined) =>
  sql<EndpointRow>`
    SELECT e.id, e.url, e.order_mode, e.concurrency, coalesce(x.paused, false) AS paused, x.paused_reason,
      x.disabled_reason, x.suspended_reason, e.rate, e.batch_events, e.batch_delay_ms, e.gzip,
      floor(extract(epoch FROM coalesce(x.suspended_at, x.disabled_at)) * 1000)::float8 AS stopped_at_ms,
      k.version::text AS version, k.content
    FROM pgstream.webhook_endpoints e
    LEFT JOIN pgstream.endpoint_streams x ON x.endpoint_id = e.id AND x.stream = ${stream}
    LEFT JOIN pgstream.webhook_endpoint_secrets k ON k.endpoint_id = e.id
    ${id === undefined ? sql.literal("") : sql`WHERE e.id = ${id}::uuid`}
    ORDER BY e.created_at, e.id`

/** Why an endpoint is stopped whose secrets do not open: unsigned, or without its authorization, nothing is sent. */
const UNREADABLE = "its secrets do not open"

/** The same `Sending` as before where its version is: opening costs, and connections stay as they are. */
const sendingOf = (seals: Seals, { content, id, version }: EndpointRow, before: Endpoint | undefined) => {
  if (content === null || version === null) return Result.succeed(undefined)
  if (before?.sending?.version === version) return Result.succeed(before.sending)
  return Result.map(EndpointSecrets.open(seals, id, content), (opened) => Sending.make(version, opened))
}

/** Everything that holds it up, and in words what keeps most from it. */
const stops = (row: EndpointRow, unreadable: string | undefined) => {
  const reason = unreadable ?? row.suspended_reason ?? row.disabled_reason ?? (row.paused ? row.paused_reason ?? "paused" : undefined)
  return {
    paused: reason !== undefined,
    pausedReason: reason,
    ...(row.disabled_reason === null ? {} : { disabled: true }),
    ...(row.suspended_reason === null ? {} : { suspended: true }),
    ...(row.stopped_at_ms === null ? {} : { stoppedAtMs: row.stopped_at_ms }),
    ...(unreadable === undefined ? {} : { unreadable: true })
  }
}

const batchOf = ({ batch_delay_ms: maxDelayMs, batch_events: maxEvents }: EndpointRow) =>
  maxEvents === null ? {} : { batch: { maxEvents, maxDelayMs: maxDelayMs ?? 0 } }

/** `concurrency`: of an endpoint that has none of its own. */
export const endpointOf = (
  seals: Seals, concurrency: number, row: EndpointRow, before: Endpoint | undefined
): Endpoint => {
  const sending = sendingOf(seals, row, before)
  return {
    id: row.id,
    url: row.url,
    order: row.order_mode,
    concurrency: row.concurrency ?? concurrency,
    ...stops(row, Result.isFailure(sending) ? `${UNREADABLE}: ${sending.failure.message}` : undefined),
    ...(row.rate === null ? {} : { rate: row.rate }),
    ...batchOf(row),
    ...(row.gzip ? { gzip: true } : {}),
    ...(Result.isSuccess(sending) && sending.success !== undefined ? { sending: sending.success } : {})
  }
}

/** The content, for a change of it. */
export const contentOf = (sending: Sending.Sending | undefined): Sending.SendingContent =>
  sending === undefined ? Sending.empty : Redacted.value(sending.content)
