/** `pgstream.webhook_subscriptions`, as the API and the CLI see it. Every layer passes `test/suites/SubscriptionStoreSuite.ts`. */
import * as Context from "effect/Context"
import type * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import type * as Stream from "effect/Stream"
import type { ChangeKind } from "../domain/Change.ts"
import type { Subscription } from "../domain/Subscription.ts"

export interface SubscriptionKey {
  readonly url: string
  readonly schema: string
  readonly table: string
}

export class SubscriptionStore extends Context.Service<SubscriptionStore, {
  /** All rows, oldest first, without a silent limit. */
  readonly list: Effect.Effect<ReadonlyArray<Subscription>, SubscriptionStoreError>
  /** Inserts, or replaces the event types of the row with that key. Committed (and durable) before it returns. */
  subscribe(key: SubscriptionKey, eventTypes: ReadonlyArray<ChangeKind>): Effect.Effect<Subscription, SubscriptionStoreError>
  /** `false`: there was none. */
  unsubscribe(key: SubscriptionKey): Effect.Effect<boolean, SubscriptionStoreError>
  /** An element whenever the rows may have changed: a hint, never complete. Never fails. */
  readonly hints?: Stream.Stream<void>
}>()("pgstream/services/SubscriptionStore") {}

export class SubscriptionStoreError extends Schema.TaggedError<SubscriptionStoreError>()("SubscriptionStoreError", {
  operation: Schema.Literals(["list", "subscribe", "unsubscribe"]),
  /** The store cannot be reached now: 503, try again. */
  unavailable: Schema.Boolean,
  cause: Schema.Defect()
}) {}
