/**
 * Numbers (`webhook-sequence`) that were given and are not sent, as ranges: with the numbers given, what is parked and
 * what is dead, they account for every event of an endpoint (`pgstream verify`). Per stream, endpoint and epoch.
 *
 * Every layer passes `test/suites/SequenceRangesSuite.ts`.
 */
import * as Context from "effect/Context"
import type * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import type { StreamId } from "../domain/StreamId.ts"
import type { EndpointId } from "../domain/Subscription.ts"

/**
 * withdrawn: only a removed subscription selected it · suspended: over the endpoint's budget, counted and not stored ·
 * purged: erased by an operator.
 */
export type RangeState = "withdrawn" | "suspended" | "purged"

export interface SequenceRange {
  readonly endpointId: EndpointId
  readonly epoch: string
  readonly state: RangeState
  /** First and last number, both in it. */
  readonly first: number
  readonly last: number
}

export class SequenceRanges extends Context.Service<SequenceRanges, {
  /** Durable before it returns. Ranges that touch or overlap become one; the same again changes nothing. Refused when the stream was taken over. */
  add(stream: StreamId, ranges: ReadonlyArray<SequenceRange>): Effect.Effect<void, SequenceRangesError>
  /** In order of endpoint, epoch, state, first; of one endpoint, or in one state, where it is given. */
  list(stream: StreamId, endpoint: EndpointId | undefined, state?: RangeState): Effect.Effect<ReadonlyArray<SequenceRange>, SequenceRangesError>
}>()("pgstream/services/SequenceRanges") {}

export class SequenceRangesError extends Schema.TaggedError<SequenceRangesError>()("SequenceRangesError", {
  operation: Schema.Literals(["add", "list"]),
  takenOver: Schema.optional(Schema.Boolean),
  cause: Schema.Defect()
}) {}
