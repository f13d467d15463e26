/** One signed test event to an endpoint, also to one that is paused: whether it is reached, and what it answers. */
import * as Context from "effect/Context"
import type * as Effect from "effect/Effect"
import type { Endpoint } from "../domain/Subscription.ts"

export interface EndpointTested {
  /** `webhook-id` of the request: `test-…`. */
  readonly id: string
  /** 2xx. */
  readonly accepted: boolean
  /** `undefined`: no answer. */
  readonly status: number | undefined
  /** Why not, in constant words, without a host and without the receiver's own; `undefined`: accepted. */
  readonly reason: string | undefined
  /** From the connection to the end of the answer, ms. */
  readonly tookMs: number
}

export class EndpointTests extends Context.Service<EndpointTests, {
  /** One attempt, held to the address guard and to the time of an attempt. Leaves no trace in the delivery log. */
  send(endpoint: Endpoint): Effect.Effect<EndpointTested>
}>()("pgstream/services/EndpointTests") {}
