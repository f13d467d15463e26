/** Whom a copy is for: which event types they take of a table, and whether they take it at all. */
import * as Effect from "effect/Effect"
import type { Copy, TableName } from "../../domain/copy/Copy.ts"
import type { Takes } from "../../domain/copy/TableWatch.ts"
import type { ChangeKind } from "../../domain/Change.ts"
import { type Subscription, takesTable } from "../../domain/Subscription.ts"
import { SubscriptionStore } from "../../services/SubscriptionStore.ts"

const takesKind = (row: Subscription, kind: ChangeKind): boolean =>
  row.eventTypes.length === 0 || row.eventTypes.includes(kind)

/** The rows that asked; those of everybody who takes inserts of the table, where nobody in particular did. */
export const targetsOf = (copy: Pick<Copy, "subscription">, name: TableName, rows: ReadonlyArray<Subscription>) =>
  rows.filter((row) =>
    takesTable(row, name) && (copy.subscription === undefined ? takesKind(row, "I") : row.id === copy.subscription))

/** Event types that every one of them is sent. */
export const takesOf = (targets: ReadonlyArray<Subscription>): Takes => ({
  inserts: targets.every((row) => takesKind(row, "I")),
  updates: targets.every((row) => takesKind(row, "U"))
})

/** Nothing differs that says who is sent a row. */
export const sameRows = (a: ReadonlyArray<Subscription>, b: ReadonlyArray<Subscription>): boolean =>
  a.length === b.length && a.every((row, i) => {
    const other = b[i]!
    return row.id === other.id && row.endpointId === other.endpointId && row.schema === other.schema &&
      row.table === other.table && row.eventTypes.join() === other.eventTypes.join()
  })

/** All subscriptions, as they are now; the last answer while the store cannot be reached. */
export const subscriptions = Effect.gen(function*() {
  const store = yield* SubscriptionStore
  let last: ReadonlyArray<Subscription> | undefined
  return store.list.pipe(
    Effect.tap((rows) => Effect.sync(() => void (last = rows))),
    Effect.catchTag("SubscriptionStoreError", (error) => last === undefined ? Effect.fail(error) : Effect.succeed(last))
  )
})
