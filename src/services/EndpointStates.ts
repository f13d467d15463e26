/**
 * What the Notifier itself decides about an endpoint, durable per stream: since when it fails, that it is disabled
 * (410, or days of failure) or suspended (its budget is used up). It acts through `Endpoints` like a pause; whoever
 * resumes the endpoint takes it back.
 *
 * Every layer passes `test/suites/EndpointStatesSuite.ts`.
 */
import * as Context from "effect/Context"
import type * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import type { StreamId } from "../domain/StreamId.ts"
import type { EndpointId } from "../domain/Subscription.ts"

export class EndpointStates extends Context.Service<EndpointStates, {
  /** ms since 1970 of the first failure since the last success; absent: it does not fail. */
  failing(stream: StreamId): Effect.Effect<ReadonlyMap<EndpointId, number>, EndpointStatesError>
  /** `undefined`: it answered. */
  setFailing(stream: StreamId, since: ReadonlyMap<EndpointId, number | undefined>): Effect.Effect<void, EndpointStatesError>
  /** Events are matched, numbered and kept, not sent, until it is resumed. `reason`: in words, no value of a row. */
  disable(stream: StreamId, endpoint: EndpointId, reason: string): Effect.Effect<void, EndpointStatesError>
  /** Events are matched and numbered, not kept, until it is resumed: `SequenceRanges` has which. */
  suspend(stream: StreamId, endpoint: EndpointId, reason: string): Effect.Effect<void, EndpointStatesError>
}>()("pgstream/services/EndpointStates") {}

export class EndpointStatesError extends Schema.TaggedError<EndpointStatesError>()("EndpointStatesError", {
  operation: Schema.Literals(["failing", "setFailing", "disable", "suspend"]),
  takenOver: Schema.optional(Schema.Boolean),
  cause: Schema.Defect()
}) {}
