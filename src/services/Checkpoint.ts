/**
 * Durable record of how far every delivery is final, per stream: position P, what was numbered, the definitions
 * and the shapes in force there.
 *
 * Postgres may discard WAL up to the acknowledged position, so a position is acknowledged only after `save`
 * returned for it, or when nothing but the position changed.
 */
import * as Context from "effect/Context"
import type * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import type { Lsn } from "../domain/Lsn.ts"
import type { EndpointId, Subscription, SubscriptionId } from "../domain/Subscription.ts"
import type { ShapesDelta, ShapesSnapshot } from "../domain/TableShape.ts"
import type { StreamId } from "../domain/StreamId.ts"

export interface CheckpointState {
  readonly stream: StreamId
  /** `0`: none yet; the slot's own position holds. */
  readonly position: Lsn
  /** Per endpoint: numbers given at P, and its epoch. */
  readonly counts: ReadonlyMap<EndpointId, EndpointCount>
  readonly definitions: ReadonlyArray<Subscription>
  readonly shapes: ShapesSnapshot
  /** Settings outside the stream that decide matching (filter, injector, plugin, transformer) when P was stored. */
  readonly versions: string
  /**
   * What `webhook-epoch` of an endpoint without a stored count is made from, so that numbers which were sent and not yet
   * stored are sent again under the same epoch. New whenever the counts start anew. `load` always has it.
   */
  readonly epochSeed?: string
}

export interface EndpointCount {
  readonly count: number
  /** `webhook-epoch`: random; changes when the numbering starts anew. */
  readonly epoch: string
}

/** What is newly settled at `position`: only what changed since the update before. */
export interface CheckpointUpdate {
  readonly position: Lsn
  readonly counts: ReadonlyMap<EndpointId, EndpointCount>
  readonly upserted: ReadonlyArray<Subscription>
  readonly removed: ReadonlyArray<SubscriptionId>
  readonly shapes: ShapesDelta
}

export class Checkpoint extends Context.Service<Checkpoint, {
  /** Of what was stored last, `0` if none: where to open the slot. Changes nothing: the stream may be another's still. */
  position(stream: StreamId): Effect.Effect<Lsn, CheckpointError>
  /**
   * For who holds the slot: takes the stream over, so that what an earlier process saves or parks from here on, late as
   * its writes may come, is refused. What was stored last; what `init` stored at the slot's snapshot, if nothing was saved since.
   */
  load(stream: StreamId, versions: string): Effect.Effect<CheckpointState, CheckpointError>
  /** `init` made a slot: forgets all that was stored for the stream and stores `state` (position 0: the slot's own). */
  reset(state: CheckpointState): Effect.Effect<void, CheckpointError>
  /** Durable before it returns, in one transaction. Monotonic: a lower position changes nothing. Fails when the stream was taken over. */
  save(stream: StreamId, update: CheckpointUpdate): Effect.Effect<void, CheckpointError>
}>()("pgstream/services/Checkpoint") {}

export class CheckpointError extends Schema.TaggedError<CheckpointError>()("CheckpointError", {
  operation: Schema.Literals(["load", "save", "reset"]),
  cause: Schema.Defect()
}) {}
