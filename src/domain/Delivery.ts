/**
 * One event on its way to one endpoint. A plain mutable object: there is one per event and endpoint, and the
 * hot path makes no other.
 */
import type { EventId } from "./EventId.ts"
import type { Key } from "./Key.ts"
import type { Lsn } from "./Lsn.ts"
import type { EndpointId, SubscriptionId } from "./Subscription.ts"

export interface Delivery {
  readonly endpointId: EndpointId
  readonly id: EventId
  /** The bytes that are sent. Shared by every endpoint that gets this form. Not written to again. */
  readonly body: Uint8Array
  readonly keys: ReadonlyArray<Key>
  /** `webhook-sequence`: ordinal among the events of the endpoint, from 1; 0 = none. */
  readonly sequence: number
  /** `webhook-epoch` under which `sequence` was given; empty: not known (a row of an earlier version). */
  readonly epoch: string
  /** Rows that selected it, for withdrawal. */
  readonly selectedBy: ReadonlyArray<SubscriptionId>
  /**
   * Stream order, and the place in the parked table: commit LSN of its transaction, and `placeOf` its change (not
   * the bare ordinal: schema events share one). A safe integer beyond 2^31: `bigint` in SQL.
   */
  readonly commitLsn: Lsn
  readonly ordinal: number
  /** `schema.table` and kind, for lists and logs: no values. */
  readonly table: string
  readonly kind: string
  /** Attempts made so far. */
  attempts: number
}

const SUBS = 2 ** 20

/** Place of a change in its transaction: by ordinal, then by the number of the schema event (below 2^20 of them). */
export const placeOf = (change: { readonly ordinal: number; readonly sub: number }): number =>
  change.ordinal * SUBS + change.sub + 1

/** How one attempt ended: a plain code, since there is one per request (FACTS.md: a TaggedError costs 7 µs). */
export type AttemptResult =
  | { readonly _tag: "Accepted"; readonly status: number }
  /** An answer outside 2xx. `retryAfterMs`: from Retry-After, if any. */
  | { readonly _tag: "Refused"; readonly status: number; readonly retryAfterMs: number | undefined; readonly bodyStart: string | undefined }
  /** No answer: `reason` is a short constant text such as `timeout after 10 s`, `connection refused`. */
  | { readonly _tag: "NoAnswer"; readonly reason: string }
