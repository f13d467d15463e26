/** What was changed at an endpoint holds when the API has answered, where the service that answers sends to it, too. */
import * as Effect from "effect/Effect"
import { type Endpoint, sendsAlike } from "../../domain/Subscription.ts"
import type { Endpoints } from "../../services/Endpoints.ts"

/** It is durable: an answer does not wait for longer than this, ms, for a store that is slow to be read again. */
const LIMIT_MS = 2_000
const LOOK_MS = 2

/** Until this process goes by `changed`, or has never asked for the endpoint. */
export const inForce = (endpoints: Endpoints["Service"], changed: Endpoint): Effect.Effect<void> => {
  const isSeen = () => {
    const known = endpoints.get(changed.id)
    return known === undefined || sendsAlike(known, changed)
  }
  const look: Effect.Effect<void> = Effect.suspend(() => isSeen() ? Effect.void : Effect.andThen(Effect.sleep(LOOK_MS), look))
  return Effect.suspend(() => {
    if (!isSeen()) endpoints.refreshSoon?.()
    return Effect.asVoid(Effect.timeoutOption(look, LIMIT_MS))
  })
}
