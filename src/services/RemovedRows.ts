/**
 * Which subscriptions are gone from the store. Asked at a start, for the definitions that were stored with the
 * checkpoint, and for each row that the stream brings: while the stream is behind, it may have been removed long ago.
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import type { SubscriptionId } from "../domain/Subscription.ts"

export const RemovedRows = Context.Reference<{
  /**
   * Those of `ids` without a row. One that is committed and not visible yet is not gone; where that cannot be told, it
   * is taken for there: the stream says later that it went. Waits while the store is down.
   *
   * `xid`: of the transaction that wrote them, low 32 bits; `0`: not known.
   */
  gone(ids: ReadonlyArray<SubscriptionId>, xid: number): Effect.Effect<ReadonlyArray<SubscriptionId>>
}>("pgstream/services/RemovedRows", { defaultValue: () => ({ gone: () => Effect.succeed([]) }) })
