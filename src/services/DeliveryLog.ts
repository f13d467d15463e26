/**
 * What became of attempts: all that failed, and the last `successes` of each endpoint. Kept in the store, flushed at
 * most once a second, trimmed by itself. Bodies only where the settings ask for them.
 *
 * `attempted` is plain: it is called for each request, on the hot path. Without a Layer nothing is recorded.
 */
import * as Context from "effect/Context"
import type { AttemptFacts } from "../domain/AttemptBuffer.ts"
import type { AttemptResult } from "../domain/Delivery.ts"
import type { StreamId } from "../domain/StreamId.ts"

export type Attempted = AttemptFacts

export interface DeliveryLogShape {
  /** Copies what it keeps. `startedAtMs`: ms since 1970. Calls for one endpoint end in the order of their answers. */
  attempted(stream: StreamId, delivery: Attempted, result: AttemptResult, startedAtMs: number, tookMs: number): void
}

export const DeliveryLog = Context.Reference<DeliveryLogShape>("pgstream/services/DeliveryLog", {
  defaultValue: () => ({ attempted: () => {} })
})
