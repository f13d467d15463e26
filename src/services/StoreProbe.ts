/** Whether the store answers at this moment, for `/ready`. */
import * as Context from "effect/Context"
import type * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"

export class StoreProbe extends Context.Service<StoreProbe, {
  /** A round trip that reads nothing. It may wait; who asks has a limit. */
  readonly reach: Effect.Effect<void, StoreUnreachable>
}>()("pgstream/services/StoreProbe") {}

export class StoreUnreachable extends Schema.TaggedError<StoreUnreachable>()("StoreUnreachable", {
  cause: Schema.Defect()
}) {}
