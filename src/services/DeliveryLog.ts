/**
 * What became of attempts: all that failed, and the last `successes` of each endpoint. Kept in the store, flushed at
 * most once a second, trimmed by itself. Bodies only where the settings ask for them.
 *
 * `attempted` is plain: it is called for each request, on the hot path. Without a Layer nothing is recorded.
 */
import * as Context from "effect/Context"
import type { AttemptResult } from "../domain/Delivery.ts"
import type { Key } from "../domain/Key.ts"
import type { Lsn } from "../domain/Lsn.ts"
import type { StreamId } from "../domain/StreamId.ts"

/** What is known of the delivery when its attempt ends. */
export interface Attempted {
  readonly endpointId: string
  readonly id: string
  readonly sequence: number
  readonly epoch: string
  readonly table: string
  readonly kind: string
  readonly body: Uint8Array
  /** Its place in the stream, and what it was ordered by: for a replay of what was accepted. */
  readonly commitLsn: Lsn
  readonly ordinal: number
  readonly keys: ReadonlyArray<Key>
  /** Which attempt of the delivery it was, from 1. */
  readonly attempts: number
}

export interface DeliveryLogShape {
  /** Copies what it keeps. `startedAtMs`: ms since 1970. Calls for one endpoint end in the order of their answers. */
  attempted(stream: StreamId, delivery: Attempted, result: AttemptResult, startedAtMs: number, tookMs: number): void
}

export const DeliveryLog = Context.Reference<DeliveryLogShape>("pgstream/services/DeliveryLog", {
  defaultValue: () => ({ attempted: () => {} })
})
