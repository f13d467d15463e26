/**
 * The definitions in force where the stream is: what selects which event. A definition is a position in the
 * stream: a row of `pgstream.webhook_subscriptions` holds for the transactions that commit after its own.
 *
 * A store in another database has no place in the stream; its definitions take effect when they are seen.
 */
import * as Context from "effect/Context"
import type * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import type { Change } from "../domain/Change.ts"
import type { Commit } from "../domain/Chunk.ts"
import type { Selection, Subscription, SubscriptionId } from "../domain/Subscription.ts"

export type { Selection } from "../domain/Subscription.ts"

/** Plain functions, called for each item of the stream in order. */
export interface DefinitionsInForce {
  /** Endpoints of which a row selects the change: once each. By index, not by scan; the array may be shared: do not change it. */
  select(change: Change): ReadonlyArray<Selection>
  /** A row change of the subscriptions table: held until its commit. `true` = it was one, and is consumed. */
  consume(change: Change): boolean
  /** Applies what the transaction changed, and puts it on the Commit. */
  commit(commit: Commit): void
  /** Whether a row with this id is in force now. */
  has(id: SubscriptionId): boolean
  /** All that are in force now. */
  current(): ReadonlyArray<Subscription>
}

export class SubscriptionCache extends Context.Service<SubscriptionCache, {
  /** Starts from what the checkpoint stored. */
  open(from: ReadonlyArray<Subscription>): Effect.Effect<DefinitionsInForce, SubscriptionCacheError>
}>()("pgstream/services/SubscriptionCache") {}

export class SubscriptionCacheError extends Schema.TaggedError<SubscriptionCacheError>()("SubscriptionCacheError", {
  cause: Schema.Defect()
}) {}
