/**
 * What holds others up: of the deliveries that wait for one endpoint, those that must be decided first, and how many
 * wait behind each. By the one rule of Order: an event waits for each earlier one that shares a key.
 */
import { EVERYTHING, type Key, WHOLE } from "./Key.ts"

export interface Blocker<A> {
  readonly delivery: A
  /** barrier: it holds up a whole table (TRUNCATE, a schema event, order `total`) · row: one key. */
  readonly kind: "row" | "barrier"
  /** Deliveries that wait, and of which this is the oldest that must be decided first; for a barrier, all after it. */
  readonly behind: number
}

/** Of one table: the index of the oldest that must go first, by key. */
interface Table {
  readonly byDefinition: Map<number, { readonly values: Map<number, number>; any: number }>
  /** Oldest of all keys. */
  any: number
  /** Oldest to which a barrier leads, and the newest barrier itself. */
  whole: number
  barrier: number
}

const NONE = Number.MAX_SAFE_INTEGER

const isBarrier = (keys: ReadonlyArray<Key>): boolean => keys.some(({ value }) => value === WHOLE)

const isTotal = (keys: ReadonlyArray<Key>): boolean => keys.some(({ leaf }) => leaf === EVERYTHING)

/**
 * `waiting`: of one endpoint, in stream order. Those that nothing waits behind are left out; most behind first.
 * `inSegments`: events that wait there; with order `total` they wait for the oldest.
 */
export const find = <A extends { readonly keys: ReadonlyArray<Key> }>(waiting: ReadonlyArray<A>, inSegments = 0): ReadonlyArray<Blocker<A>> => {
  const tables = new Map<number, Table>()
  const tableOf = (oid: number): Table => {
    let table = tables.get(oid)
    if (table === undefined) tables.set(oid, table = { byDefinition: new Map(), any: NONE, whole: NONE, barrier: -1 })
    return table
  }
  /** Of keys of order `total`, and the oldest of all keys: each of the first waits for each of the second, and holds it. */
  const everything = tableOf(EVERYTHING)
  let first = NONE
  const oldestBefore = (table: Table, key: Key): number => {
    if (key.leaf === EVERYTHING) return first
    if (key.value === WHOLE) return Math.min(table.any, everything.any)
    let oldest = Math.min(table.whole, everything.any)
    for (const [definition, { any, values }] of table.byDefinition) {
      oldest = Math.min(oldest, definition === key.definition ? values.get(key.value) ?? NONE : any)
    }
    return oldest
  }
  const enter = (table: Table, key: Key, oldest: number, index: number): void => {
    table.any = Math.min(table.any, oldest)
    if (key.value === WHOLE) {
      table.whole = Math.min(table.whole, oldest)
      table.barrier = index
      return
    }
    let same = table.byDefinition.get(key.definition)
    if (same === undefined) table.byDefinition.set(key.definition, same = { values: new Map(), any: NONE })
    same.any = Math.min(same.any, oldest)
    same.values.set(key.value, Math.min(same.values.get(key.value) ?? NONE, oldest))
  }
  const behind = new Map<number, number>()
  const count = (index: number) => behind.set(index, (behind.get(index) ?? 0) + 1)
  waiting.forEach(({ keys }, index) => {
    const places = keys.flatMap((key) => [...new Set([key.leaf, key.root])].map((oid) => ({ key, table: tableOf(oid) })))
    const oldest = Math.min(NONE, ...places.map(({ key, table }) => oldestBefore(table, key)))
    if (oldest !== NONE) count(oldest)
    const barrier = places.length === 0 ? -1 : Math.max(everything.barrier, ...places.map(({ table }) => table.barrier))
    if (barrier >= 0 && barrier !== oldest) count(barrier)
    for (const { key, table } of places) enter(table, key, Math.min(oldest, index), index)
    if (places.length > 0) first = Math.min(first, oldest, index)
  })
  const total = inSegments === 0 ? -1 : waiting.findIndex(({ keys }) => isTotal(keys))
  if (total >= 0) behind.set(total, (behind.get(total) ?? 0) + inSegments)
  return [...behind]
    .map(([index, count]): Blocker<A> => {
      const delivery = waiting[index]!
      return { delivery, kind: isBarrier(delivery.keys) ? "barrier" : "row", behind: count }
    })
    .sort((a, b) => b.behind - a.behind)
}
