/**
 * Last stage: takes chunks, sends each event to each endpoint that selected it, and reports how far everything is
 * settled: delivered, or durably parked, for every endpoint.
 */
import * as Context from "effect/Context"
import type * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import type { Chunk } from "../domain/Chunk.ts"
import type { EndpointId } from "../domain/Subscription.ts"
import type { CheckpointState, CheckpointUpdate } from "./Checkpoint.ts"

/** Everything at or below `position` is settled; `update` is what a checkpoint there has to store. */
export interface Settled {
  readonly update: CheckpointUpdate
}

export interface Notifying {
  /** Returns when the chunk is admitted, not when it is delivered: backpressure by bytes. Chunks come in stream order. */
  offer(chunk: Chunk): Effect.Effect<void, NotifierError>
  /** Waits until something new is settled; what settled while nobody asked comes merged into one. One caller at a time. */
  readonly settled: Effect.Effect<Settled, NotifierError>
  /** No more chunks: waits until what is in flight has ended, at most for the grace period. */
  readonly drain: Effect.Effect<void>
  /**
   * The last word before the end, without waiting: what is settled and was not taken from `settled` yet, and what was
   * taken last, since its taker may have been stopped before it was stored. Storing that twice changes nothing.
   */
  readonly rest: Effect.Effect<Settled | undefined>
  /** What the endpoint would be sent now goes to the store. Absent: no endpoint is ever behind. */
  isBehind?(endpoint: EndpointId): boolean
}

export class Notifier extends Context.Service<Notifier, {
  /** Loads parked keys first, then is ready for chunks. Ends with the scope. */
  open(from: CheckpointState): Effect.Effect<Notifying, NotifierError, Scope.Scope>
}>()("pgstream/services/Notifier") {}

export class NotifierError extends Schema.TaggedError<NotifierError>()("NotifierError", {
  operation: Schema.String,
  cause: Schema.Defect()
}) {}
