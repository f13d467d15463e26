/**
 * What events are ordered by (DESIGN.md "Order").
 *
 * Two keys conflict if a leaf or root of one is a leaf or root of the other, and one is the whole table, or their
 * definitions differ, or their values agree. Hashes may collide: a collision only serialises. The key of a `total` endpoint
 * conflicts with every key: its order may have been another before.
 */
export interface Key {
  /** The table that has the row: its oid, or a negative hash of its name where no oid is known. */
  readonly leaf: number
  /** Its topmost partitioned parent, or itself. */
  readonly root: number
  /** Hash of the key definition (columns and their types); `0` with `value` 0. */
  readonly definition: number
  /** Hash of the values; `0` = the whole table. */
  readonly value: number
}

export const WHOLE = 0
/** Leaf and root of the one key of a `total` endpoint. No table has oid 0. */
export const EVERYTHING = 0

export const conflicts = (a: Key, b: Key): boolean =>
  a.leaf === EVERYTHING || b.leaf === EVERYTHING || (
    (a.leaf === b.leaf || a.leaf === b.root || a.root === b.leaf || a.root === b.root) &&
    (a.value === WHOLE || b.value === WHOLE || a.definition !== b.definition || a.value === b.value)
  )
