/** The stream that the Listener of this process reads. */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { CurrentStream, CurrentStreamError } from "../../services/CurrentStream.ts"
import { Listener } from "../../services/Listener.ts"

export const layer: Layer.Layer<CurrentStream, never, Listener> = Layer.effect(
  CurrentStream,
  Effect.map(Listener, (listener) => ({
    identify: Effect.mapError(listener.identify, (cause) => new CurrentStreamError({ cause }))
  }))
)
