/** No transformations: nothing is changed or dropped. */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { Transformer } from "../../services/Transformer.ts"

export const layer = Layer.succeed(Transformer, { version: "transformer:none", transform: Effect.succeed })
