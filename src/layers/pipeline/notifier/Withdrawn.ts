/**
 * Subscriptions that were removed and whose removal the stream has not reached yet: still in force for the numbers,
 * not for the requests. Empty but for that while, so the hot path asks `size` first.
 */
import type { SubscriptionId } from "../../../domain/Subscription.ts"
import type { DefinitionsInForce } from "../../../services/SubscriptionCache.ts"

export class Withdrawn {
  private readonly ids = new Set<SubscriptionId>()
  private readonly definitions: Pick<DefinitionsInForce, "has">

  constructor(definitions: Pick<DefinitionsInForce, "has">) {
    this.definitions = definitions
  }

  /** At most as many as there are definitions in force. */
  get size(): number {
    return this.ids.size
  }

  add(ids: ReadonlyArray<SubscriptionId>): void {
    for (const id of ids) if (this.definitions.has(id)) this.ids.add(id)
  }

  /** The stream has reached their removal. */
  forget(ids: ReadonlyArray<SubscriptionId>): void {
    for (const id of ids) this.ids.delete(id)
  }

  /** An event at the stream's place: its rows are all in force. */
  hasAll(selectedBy: ReadonlyArray<SubscriptionId>): boolean {
    for (let i = 0; i < selectedBy.length; i++) if (!this.ids.has(selectedBy[i]!)) return false
    return selectedBy.length > 0
  }

  /** An earlier event, at or below the stream's place. Without rows (a test event) it is nobody's to withdraw. */
  isGone(selectedBy: ReadonlyArray<SubscriptionId>): boolean {
    for (const id of selectedBy) if (this.definitions.has(id) && !this.ids.has(id)) return false
    return selectedBy.length > 0
  }
}
