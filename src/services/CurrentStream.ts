/** The stream of this process: of the configured slot on the source that it names. Tools ask it once. */
import * as Context from "effect/Context"
import type * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import type { StreamId } from "../domain/StreamId.ts"

export class CurrentStream extends Context.Service<CurrentStream, {
  readonly identify: Effect.Effect<StreamId, CurrentStreamError>
}>()("pgstream/services/CurrentStream") {}

/** The source does not answer, so that which stream it is cannot be known. */
export class CurrentStreamError extends Schema.TaggedError<CurrentStreamError>()("CurrentStreamError", {
  cause: Schema.Defect()
}) {}
