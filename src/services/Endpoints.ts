/**
 * How to send: URL, order, concurrency, paused. Acts at once, wherever the stream is, also on what is parked.
 * One row of `pgstream.webhook_endpoints` each.
 */
import * as Context from "effect/Context"
import type * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import type * as Stream from "effect/Stream"
import type { Endpoint, EndpointId } from "../domain/Subscription.ts"

export class Endpoints extends Context.Service<Endpoints, {
  /** As known now; plain, for the hot path. `undefined`: not seen yet, ask `fetch`. */
  get(id: EndpointId): Endpoint | undefined
  /** Reads it from the store. `undefined`: gone. Waits while the store is down. */
  fetch(id: EndpointId): Effect.Effect<Endpoint | undefined, EndpointsError>
  /** Rows changed just now (the stream has them): looks soon, not only at the next interval. Plain, coalesced. */
  refreshSoon?(): void
  /**
   * Each endpoint that changed, was added or went (`id` alone), soon after it did. Begins with those that changed
   * since the layer was made, so that nothing is missed between a `get` and the subscription.
   */
  readonly changes: Stream.Stream<{ readonly id: EndpointId; readonly endpoint: Endpoint | undefined }, EndpointsError>
}>()("pgstream/services/Endpoints") {}

export class EndpointsError extends Schema.TaggedError<EndpointsError>()("EndpointsError", {
  cause: Schema.Defect()
}) {}
