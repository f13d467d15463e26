/** No global lists: everything goes on. */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { Filter } from "../../services/Filter.ts"

export const layer = Layer.succeed(Filter, { version: "filter:none", apply: Effect.succeed })
