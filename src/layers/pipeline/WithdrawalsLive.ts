/**
 * `unsubscribe` reaches the Notifier that is open: what only the removed row selects is withdrawn before the answer. So
 * do the tools for deliveries (`LiveDeliveries`).
 *
 * While none is open there is nothing to do: the next one compares the definitions that it starts with, and each row
 * that its stream brings, with the store (`RemovedRows`).
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import type { EndpointId, SubscriptionId } from "../../domain/Subscription.ts"
import { LiveDeliveries, type LiveDeliveriesShape } from "../../services/LiveDeliveries.ts"
import { RemovedRows } from "../../services/RemovedRows.ts"
import type { SubscriptionKey } from "../../services/SubscriptionStore.ts"
import { Withdrawals } from "../../services/Withdrawals.ts"

/** What an open Notifier does when it is asked. */
export interface OpenNotifier {
  /** Rows in force with this key: one, but for a row that was removed and added again. */
  rowsOf(key: SubscriptionKey): ReadonlyArray<SubscriptionId>
  /** No request that only these rows select starts any more. */
  withdraw(ids: ReadonlyArray<SubscriptionId>): void
  /** As `LiveDeliveries` has them. */
  revive: LiveDeliveriesShape["revive"]
  retryNow: LiveDeliveriesShape["retryNow"]
  /** Runs `write` while nothing of the endpoint is in memory, and reads what is left again. */
  erase<A, E>(endpoint: EndpointId, write: Effect.Effect<A, E>): Effect.Effect<A, E>
}

/** Where a Notifier says that it is open. Without this layer nobody asks it. */
export const OpenNotifiers = Context.Reference<{
  /** For as long as the scope. */
  add(notifier: OpenNotifier): Effect.Effect<void, never, Scope.Scope>
}>("pgstream/layers/pipeline/OpenNotifiers", { defaultValue: () => ({ add: () => Effect.void }) })

export const layer: Layer.Layer<never> = Layer.effectContext(Effect.gen(function*() {
  const removed = yield* RemovedRows
  const open = new Set<OpenNotifier>()
  const add = (notifier: OpenNotifier) =>
    Effect.asVoid(Effect.acquireRelease(
      Effect.sync(() => open.add(notifier)),
      () => Effect.sync(() => open.delete(notifier))
    ))
  const withdraw = Effect.fn("Withdrawals.withdraw")(function*(key: SubscriptionKey) {
    for (const notifier of open) notifier.withdraw(yield* removed.gone(notifier.rowsOf(key), 0))
  })
  const one = (): OpenNotifier | undefined => open.values().next().value
  const live: LiveDeliveriesShape = {
    revive: (endpoint, rows, write) => Effect.suspend(() => one()?.revive(endpoint, rows, write) ?? write),
    retryNow: (endpoint) => Effect.suspend(() => one()?.retryNow(endpoint) ?? Effect.void),
    purge: (endpoint, write) => Effect.suspend(() => one()?.erase(endpoint, write) ?? write)
  }
  return Context.make(Withdrawals, { withdraw }).pipe(
    Context.add(OpenNotifiers, { add }),
    Context.add(LiveDeliveries, live)
  )
}))
