/** Whether a service follows the stream now: it works on the copies that are requested. */
import * as Context from "effect/Context"
import type * as Effect from "effect/Effect"

export class StreamFollowed extends Context.Service<StreamFollowed, {
  /** no slot: nobody has run `init` · idle: the slot is there and nobody reads it · followed. Unknown when it cannot be asked. */
  readonly now: Effect.Effect<"no slot" | "idle" | "followed" | "unknown">
}>()("pgstream/services/StreamFollowed") {}
