/**
 * Definitions of a store in the source database: they come from the stream. A row of the subscriptions table is
 * held until its commit, and holds for the transactions that commit after it; so a replay selects the same.
 */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type { Change } from "../../domain/Change.ts"
import type { Commit } from "../../domain/Chunk.ts"
import { DefinitionIndex } from "../../domain/DefinitionIndex.ts"
import { apply, deltaOf, type PendingRows } from "../../domain/Definitions.ts"
import type { Subscription } from "../../domain/Subscription.ts"
import * as SubscriptionRow from "../../domain/SubscriptionRow.ts"
import { Endpoints } from "../../services/Endpoints.ts"
import { type DefinitionsInForce, SubscriptionCache } from "../../services/SubscriptionCache.ts"

/** `changed` is called after each commit that changed a definition: URLs may be new, too, and those act at once. */
export const make = (from: ReadonlyArray<Subscription>, changed: () => void): DefinitionsInForce => {
  const index = new DefinitionIndex(from)
  /** Of the transaction that is open. */
  const pending: PendingRows = new Map()

  const hold = (change: Change): void => {
    const read = SubscriptionRow.read(change)
    switch (read._tag) {
      case "Put":
        pending.set(read.row.id, read.row)
        return
      case "Remove":
        pending.set(read.id, undefined)
        return
      case "RemoveAll":
        for (const id of pending.keys()) pending.set(id, undefined)
        for (const { id } of index.current()) pending.set(id, undefined)
        return
      case "Unknown":
        return
    }
  }

  return {
    select: (change) => index.select(change),
    consume: (change) => {
      if (!SubscriptionRow.isSubscriptionsTable(change)) return false
      hold(change)
      return true
    },
    commit: (commit: Commit) => {
      if (pending.size === 0) return
      commit.definitions = deltaOf(pending)
      apply(index, pending)
      pending.clear()
      changed()
    },
    has: (id) => index.get(id) !== undefined,
    current: () => index.current()
  }
}

export const layer: Layer.Layer<SubscriptionCache, never, Endpoints> = Layer.effect(
  SubscriptionCache,
  Effect.gen(function*() {
    const endpoints = yield* Endpoints
    return SubscriptionCache.of({
      open: (from) => Effect.sync(() => make(from, () => endpoints.refreshSoon?.()))
    })
  })
)
