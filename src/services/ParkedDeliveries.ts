/**
 * Deliveries that wait in Postgres (`pgstream.webhook_deliveries`), per stream and endpoint: what failed beyond
 * its live time, and what waits behind such a one. Nothing is ever dropped here; a dead one keeps its body.
 */
import * as Context from "effect/Context"
import type * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import type { Delivery } from "../domain/Delivery.ts"
import type { Key } from "../domain/Key.ts"
import type { Lsn } from "../domain/Lsn.ts"
import type { EndpointId } from "../domain/Subscription.ts"
import type { StreamId } from "../domain/StreamId.ts"
import type { NumberRange } from "../domain/Segment.ts"

/** waiting: due at `dueAtMs` · dead: no more attempts by itself; frees its keys. */
export type ParkedState = "waiting" | "dead"

export interface ParkedDelivery extends Delivery {
  readonly state: ParkedState
  /** ms since 1970. */
  readonly dueAtMs: number
  /** Attempts made since it was parked: the place in the schedule of what is parked. `attempts` counts all. */
  readonly retries: number
  /** Short text of the last failure: status or reason, no body. */
  readonly lastError: string | undefined
}

/** What is known of a parked delivery without its body: loaded at start for every endpoint. */
export interface ParkedKeys {
  readonly endpointId: EndpointId
  readonly id: string
  readonly keys: ReadonlyArray<Key>
  readonly commitLsn: Lsn
  readonly ordinal: number
}

/** What a start loads of one. */
export interface LoadedKeys extends ParkedKeys {
  readonly state: ParkedState
  /** Of its body as it is stored. */
  readonly bytes: number
  /** When its row was written, by the store's clock, ms since 1970: attempts and retries leave it as it is. */
  readonly parkedAtMs: number
}

/** Stream order inside one endpoint: (commitLsn, ordinal), exclusive. */
export interface ParkedCursor {
  readonly commitLsn: Lsn
  readonly ordinal: number
}

export class ParkedDeliveries extends Context.Service<ParkedDeliveries, {
  /** Durable before it returns. Idempotent by (stream, endpoint, id): one that is there keeps its attempts. */
  write(stream: StreamId, batch: ReadonlyArray<ParkedDelivery>): Effect.Effect<void, ParkedDeliveriesError>
  /**
   * Waiting ones of an endpoint in stream order after `after`, with bodies: `limit` of them, and those that share
   * the last one's place (WAL positions come again on a restored disk), so that a cursor never cuts them. With `maxBytes` the
   * page ends early, at the group whose bodies pass that sum: only an empty page means that there are no more.
   */
  scan(stream: StreamId, endpoint: EndpointId, after: ParkedCursor | undefined, limit: number, maxBytes?: number): Effect.Effect<ReadonlyArray<ParkedDelivery>, ParkedDeliveriesError>
  /** Delivered: their rows go. */
  remove(stream: StreamId, endpoint: EndpointId, ids: ReadonlyArray<string>): Effect.Effect<void, ParkedDeliveriesError>
  /** Numbers of all rows of the endpoint, dead ones too, in order; those without a number are left out. To be recorded before `end`. */
  numbers(stream: StreamId, endpoint: EndpointId): Effect.Effect<ReadonlyArray<NumberRange>, ParkedDeliveriesError>
  /** The endpoint ended with its last subscription: all its rows go, dead ones too. Returns how many. While a subscription names it, none. */
  end(stream: StreamId, endpoint: EndpointId): Effect.Effect<number, ParkedDeliveriesError>
  /** After an attempt: new attempts, due time, state and error. */
  update(stream: StreamId, batch: ReadonlyArray<ParkedDelivery>): Effect.Effect<void, ParkedDeliveriesError>
  /**
   * Keys of all waiting ones, and ids of those that are dead and committed at or above `idsFrom` (default: all), page by
   * page in order of (endpoint, place): what a start loads before the stream. Pages end as in `scan`. A dead one has no
   * keys: it frees them.
   */
  loadKeys(stream: StreamId, after: { readonly endpointId: EndpointId; readonly cursor: ParkedCursor } | undefined, limit: number, idsFrom?: Lsn): Effect.Effect<ReadonlyArray<LoadedKeys>, ParkedDeliveriesError>
}>()("pgstream/services/ParkedDeliveries") {}

export class ParkedDeliveriesError extends Schema.TaggedError<ParkedDeliveriesError>()("ParkedDeliveriesError", {
  operation: Schema.String,
  /** Another process reads this stream since: this one may write nothing of it any more, and starts again. */
  takenOver: Schema.optional(Schema.Boolean),
  cause: Schema.Defect()
}) {}
