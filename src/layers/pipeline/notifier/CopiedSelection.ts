/** Which endpoints what a copy sends goes to: those of who asked, and nobody else. */
import type { Change } from "../../../domain/Change.ts"
import { takesTable } from "../../../domain/Subscription.ts"
import type { DefinitionsInForce, Selection } from "../../../services/SubscriptionCache.ts"

const NONE: ReadonlyArray<Selection> = []

export class CopiedSelection {
  readonly #definitions: DefinitionsInForce
  /** The last answer: rows of a copy come in runs of one table. */
  #relation: Change["relation"]
  #subscription: string | undefined
  #answer: ReadonlyArray<Selection> | undefined

  constructor(definitions: DefinitionsInForce) {
    this.#definitions = definitions
  }

  /** The definitions changed. */
  forget(): void {
    this.#answer = undefined
  }

  select(change: Change): ReadonlyArray<Selection> {
    const subscription = change.copy?.subscription
    if (subscription === undefined) return this.#definitions.select(change)
    if (this.#answer !== undefined && change.relation === this.#relation && subscription === this.#subscription) return this.#answer
    this.#relation = change.relation
    this.#subscription = subscription
    return this.#answer = this.#of(change, subscription)
  }

  /** Its row, whatever event types it takes. */
  #of({ relation }: Change, subscription: string): ReadonlyArray<Selection> {
    const row = this.#definitions.current().find(({ id }) => id === subscription)
    if (row === undefined || relation === undefined) return NONE
    return takesTable(row, relation) ? [{ endpointId: row.endpointId, selectedBy: [row.id] }] : NONE
  }
}
