/** The injector is off: nothing is set, nothing is dropped. */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { Injector } from "../../services/Injector.ts"

export const layer = Layer.succeed(Injector, { version: "injector:off", inject: Effect.succeed })
