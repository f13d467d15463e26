/**
 * What tools ask of the Notifier that is running in this process, since it knows in memory which rows wait. Without a
 * Notifier there is nothing to do but the write.
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import type { EndpointId } from "../domain/Subscription.ts"
import type { ParkedKeys } from "./ParkedDeliveries.ts"

export interface LiveDeliveriesShape {
  /**
   * Dead ones are to be tried again: takes their keys, runs `write` (which makes the rows waiting, due now), and asks
   * the feeder for them, oldest first. If `write` fails the keys are freed again.
   */
  revive<A, E>(endpoint: EndpointId, rows: ReadonlyArray<ParkedKeys>, write: Effect.Effect<A, E>): Effect.Effect<A, E>
  /** Everything that waits for the endpoint is due at once, oldest first. */
  retryNow(endpoint: EndpointId): Effect.Effect<void>
  /**
   * An operator erases deliveries: they leave the lanes, and are neither sent nor parked again; requests in flight
   * end first. Then `write` removes them from the store.
   */
  purge<A, E>(endpoint: EndpointId, write: Effect.Effect<A, E>): Effect.Effect<A, E>
}

export const LiveDeliveries = Context.Reference<LiveDeliveriesShape>("pgstream/services/LiveDeliveries", {
  defaultValue: () => ({
    revive: (_endpoint, _rows, write) => write,
    retryNow: () => Effect.void,
    purge: (_endpoint, write) => write
  })
})
