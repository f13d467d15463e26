/**
 * What the store knows of the numbers that endpoints were given (`webhook-sequence`), for `pgstream verify`. What is
 * computed of it: `domain/Verify.ts`.
 */
import * as Context from "effect/Context"
import type * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import type { StreamId } from "../domain/StreamId.ts"
import type { EndpointId } from "../domain/Subscription.ts"
import type { Known } from "../domain/Verify.ts"

export interface KnownEndpoint extends Known {
  /** May hold userinfo and a query: show it only without. `""`: the endpoint ended. */
  readonly url: string
  /** Deliveries of earlier epochs that wait or are dead. */
  readonly earlier: number
}

export class Verify extends Context.Service<Verify, {
  /**
   * Of one endpoint, or of all that were given numbers, by id. A number at or below the count is found in each place
   * that it was in while this was asked, so that none is taken for delivered which was on its way from one to another.
   */
  known(stream: StreamId, endpoint: EndpointId | undefined): Effect.Effect<ReadonlyArray<KnownEndpoint>, VerifyError>
}>()("pgstream/services/Verify") {}

export class VerifyError extends Schema.TaggedError<VerifyError>()("VerifyError", {
  unavailable: Schema.Boolean,
  cause: Schema.Defect()
}) {}
