/**
 * What is wrong at the source while the slot is read, for `/ready`: as it was seen last, without asking anybody.
 * Without a layer nothing is watched.
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"

export const SourceProbe = Context.Reference<{
  /** `undefined`: well, or not known. Else one sentence with the mend. */
  readonly problem: Effect.Effect<string | undefined>
}>("pgstream/services/SourceProbe", { defaultValue: () => ({ problem: Effect.undefined }) })
