/**
 * Parked deliveries that have been dead for longer than they are kept. Part of the same table as `ParkedDeliveries`; a
 * layer of one gives the other. What goes is recorded in `SequenceRanges` first (`DeadRetention`).
 *
 * Every layer passes `test/suites/ParkedDeliveriesSuite.ts`.
 */
import * as Context from "effect/Context"
import type * as Effect from "effect/Effect"
import type { StreamId } from "../domain/StreamId.ts"
import type { EndpointId } from "../domain/Subscription.ts"
import type { ParkedDeliveriesError } from "./ParkedDeliveries.ts"

export interface Expired {
  readonly endpointId: EndpointId
  readonly id: string
  readonly epoch: string
  /** 0: none. */
  readonly sequence: number
}

export class DeadDeliveries extends Context.Service<DeadDeliveries, {
  /** `limit` at most of those that became dead before `beforeMs` (since 1970), oldest first. */
  expired(stream: StreamId, beforeMs: number, limit: number): Effect.Effect<ReadonlyArray<Expired>, ParkedDeliveriesError>
  /** Their rows go, but for those that are dead no more. */
  remove(stream: StreamId, rows: ReadonlyArray<Expired>): Effect.Effect<void, ParkedDeliveriesError>
}>()("pgstream/services/DeadDeliveries") {}
