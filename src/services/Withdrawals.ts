/**
 * What `unsubscribe` asks of the running Notifier, so that it takes effect before the answer,
 * wherever the stream is. Without a Notifier in the process there is nothing to do.
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import type { SubscriptionKey } from "./SubscriptionStore.ts"

export const Withdrawals = Context.Reference<{
  /**
   * The row is gone from the store. When this returns, no request that only this row selects starts
   * any more; those in flight end by themselves. A row that is added again with the same key counts
   * from its place in the stream.
   */
  withdraw(removed: SubscriptionKey): Effect.Effect<void>
}>("pgstream/services/Withdrawals", { defaultValue: () => ({ withdraw: () => Effect.void }) })
