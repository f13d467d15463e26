/** What changes of the definitions: collected while a transaction is open, applied and stored at its commit. */
import type { DefinitionIndex } from "./DefinitionIndex.ts"
import type { DefinitionsDelta, Subscription, SubscriptionId } from "./Subscription.ts"

/** By row id: the new row, or `undefined` when it went. The last word counts. */
export type PendingRows = Map<SubscriptionId, Subscription | undefined>

export const deltaOf = (rows: PendingRows): DefinitionsDelta => {
  const upserted: Array<Subscription> = []
  const removed: Array<SubscriptionId> = []
  for (const [id, row] of rows) {
    if (row === undefined) removed.push(id)
    else upserted.push(row)
  }
  return { upserted, removed }
}

export const apply = (index: DefinitionIndex, rows: PendingRows): void => {
  for (const [id, row] of rows) {
    if (row === undefined) index.remove(id)
    else index.put(row)
  }
}

const same = (a: Subscription, b: Subscription): boolean =>
  a.endpointId === b.endpointId && a.url === b.url && a.schema === b.schema && a.table === b.table &&
  a.createdAtUs === b.createdAtUs && a.eventTypes.length === b.eventTypes.length &&
  a.eventTypes.every((kind, i) => kind === b.eventTypes[i])

/** What turns the rows of `index` into `wanted`. */
export const difference = (index: DefinitionIndex, wanted: ReadonlyArray<Subscription>): PendingRows => {
  const rows: PendingRows = new Map()
  const ids = new Set<SubscriptionId>()
  for (const row of wanted) {
    ids.add(row.id)
    const old = index.get(row.id)
    if (old === undefined || !same(old, row)) rows.set(row.id, row)
  }
  for (const { id } of index.current()) if (!ids.has(id)) rows.set(id, undefined)
  return rows
}
