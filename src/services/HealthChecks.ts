/**
 * What `/ready` asks. A check is named, ends within its own bound, and says in words what is wrong; it never fails
 * and never shows a value.
 */
import * as Context from "effect/Context"
import type * as Effect from "effect/Effect"

export interface HealthCheck {
  readonly name: string
  /** `undefined`: well. Else one short sentence. */
  readonly problem: Effect.Effect<string | undefined>
}

export class HealthChecks extends Context.Service<HealthChecks, {
  readonly checks: ReadonlyArray<HealthCheck>
}>()("pgstream/services/HealthChecks") {}
