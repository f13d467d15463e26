/** `pgstream.webhook_subscriptions`, as the API and the CLI see it. Every layer passes `test/suites/SubscriptionStoreSuite.ts`. */
import * as Context from "effect/Context"
import type * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import type * as Stream from "effect/Stream"
import type { ChangeKind } from "../domain/Change.ts"
import type { Subscription, SubscriptionId } from "../domain/Subscription.ts"

export interface SubscriptionKey {
  readonly url: string
  readonly schema: string
  readonly table: string
}

export interface RemovedSubscription {
  readonly subscription: Subscription
  /** It was the last row of its endpoint, which ends with it. */
  readonly endpointEnded: boolean
  /**
   * Parked and dead deliveries that no other row selects: they are withdrawn. Counted up to `COUNTED_DELIVERIES`;
   * those in segments are not counted.
   */
  readonly withdrawn: number
}

/** Deliveries of an endpoint that are looked at, at most, to say what goes with a subscription. */
export const COUNTED_DELIVERIES = 100_000

export class SubscriptionStore extends Context.Service<SubscriptionStore, {
  /** All rows, oldest first, without a silent limit. */
  readonly list: Effect.Effect<ReadonlyArray<Subscription>, SubscriptionStoreError>
  /**
   * Inserts, or replaces the event types of the row with that key. Committed (and durable) before it returns. A row
   * more than `SubscriptionSettings.max` is refused; exact, also when several are added at once.
   */
  subscribe(
    key: SubscriptionKey, eventTypes: ReadonlyArray<ChangeKind>
  ): Effect.Effect<Subscription, SubscriptionStoreError | TooManySubscriptions>
  /** Replaces the event types; `undefined`: there is no such row. */
  update(
    id: SubscriptionId, eventTypes: ReadonlyArray<ChangeKind>
  ): Effect.Effect<Subscription | undefined, SubscriptionStoreError>
  /** `false`: there was none. */
  unsubscribe(key: SubscriptionKey): Effect.Effect<boolean, SubscriptionStoreError>
  /** By its id, as `unsubscribe`. `undefined`: there was none. */
  remove(id: SubscriptionId): Effect.Effect<RemovedSubscription | undefined, SubscriptionStoreError>
  /** An element whenever the rows may have changed: a hint, never complete. Never fails. */
  readonly hints?: Stream.Stream<void>
}>()("pgstream/services/SubscriptionStore") {}

export class SubscriptionStoreError extends Schema.TaggedError<SubscriptionStoreError>()("SubscriptionStoreError", {
  operation: Schema.Literals(["list", "subscribe", "update", "unsubscribe", "remove"]),
  /** The store cannot be reached now: 503, try again. */
  unavailable: Schema.Boolean,
  cause: Schema.Defect()
}) {}

/** Nothing was changed: `max` subscriptions are there. */
export class TooManySubscriptions extends Schema.TaggedError<TooManySubscriptions>()("TooManySubscriptions", {
  max: Schema.Int
}) {}
