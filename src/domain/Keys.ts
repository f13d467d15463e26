/**
 * The keys of an event, taken before transformation (DESIGN.md "Order").
 *
 * - A row change: (leaf, root, key definition, values). A change of the key: the old one, then the new one.
 * - TRUNCATE, a table without a key, a key value that was not sent: the whole table.
 * - A schema event: each table that its statement changed. A message: none.
 * - `total`: one key for all. `none`: no keys.
 */
import { type Change, type Relation, type Row, ValueClass } from "./Change.ts"
import { keyDefinition, type KeyDefinition, keyPlaces } from "./Identity.ts"
import { EVERYTHING, type Key, WHOLE } from "./Key.ts"
import type { OrderMode } from "./Subscription.ts"

const NONE: ReadonlyArray<Key> = []

/** The one key of every event of a `total` endpoint. */
export const TOTAL: ReadonlyArray<Key> = [{ leaf: EVERYTHING, root: EVERYTHING, definition: 0, value: 1 }]

const OFFSET = 0x811c9dc5
const PRIME = 0x01000193

/** FNV-1a of one value, its length included, so that ("ab", "c") and ("a", "bc") differ. */
const mix = (hash: number, bytes: Buffer, start: number, end: number): number => {
  for (let i = start; i < end; i++) hash = Math.imul(hash ^ bytes[i]!, PRIME)
  return Math.imul(hash ^ (end - start), PRIME)
}

/** End of what counts of a value: of a boolean, which wal2json writes as `true` and a copy as `t`, the first letter. */
const endOf = (row: Row, place: number): number =>
  row.columns[place]!.valueClass === ValueClass.boolean ? row.spans[2 * place]! + 1 : row.spans[2 * place + 1]!

/** 1 … 2^32 - 1; `WHOLE` where a value of the key is missing. `other`: has what `row` does not (unchanged TOAST). */
const valueOf = (definition: KeyDefinition, row: Row, other: Row | undefined): number => {
  const places = keyPlaces(definition, row.columns)
  let hash = OFFSET
  for (let i = 0; i < places.length; i++) {
    const place = places[i]!
    const start = place < 0 ? -1 : row.spans[2 * place]!
    if (start >= 0) hash = mix(hash, row.bytes, start, endOf(row, place))
    else {
      const there = other === undefined ? -1 : keyPlaces(definition, other.columns)[i]!
      const from = there < 0 ? -1 : other!.spans[2 * there]!
      if (from < 0) return WHOLE
      hash = mix(hash, other!.bytes, from, endOf(other!, there))
    }
  }
  return hash >>> 0 || 1
}

const names = new WeakMap<Relation, number>()

/** A table whose oid is not known, by name: a negative number. */
const nameOf = (relation: Relation): number => {
  let id = names.get(relation)
  if (id === undefined) {
    const bytes = Buffer.from(`${relation.schema}\0${relation.table}`)
    id = -(mix(OFFSET, bytes, 0, bytes.length) >>> 0) - 1
    names.set(relation, id)
  }
  return id
}

const place = (change: Change, relation: Relation, definition: number, value: number): ReadonlyArray<Key> => {
  const shape = change.shape
  if (relation.oid !== 0) {
    const leaf = relation.oid
    return [{ leaf, root: shape?.root ?? leaf, definition, value }]
  }
  // wal2json: an event before the shape is known has only the name, one after it has both, so that they conflict.
  const name = nameOf(relation)
  if (shape === undefined) return [{ leaf: name, root: name, definition, value }]
  if (shape.root === shape.oid) return [{ leaf: shape.oid, root: name, definition, value }]
  return [{ leaf: shape.oid, root: shape.root, definition, value }, { leaf: name, root: name, definition, value }]
}

const ofRow = (change: Change, relation: Relation): ReadonlyArray<Key> => {
  const definition = keyDefinition(relation, change.shape)
  if (definition.hash === 0) return place(change, relation, 0, WHOLE)
  const before = change.oldRow()
  const after = change.newRow()
  const old = before === undefined ? undefined : valueOf(definition, before, after)
  const now = after === undefined ? undefined : valueOf(definition, after, before)
  if (old === WHOLE || now === WHOLE) return place(change, relation, 0, WHOLE)
  const keys = place(change, relation, definition.hash, (old ?? now)!)
  if (old === undefined || now === undefined || old === now) return keys
  return [...keys, ...place(change, relation, definition.hash, now)]
}

export const keysOf = (change: Change, order: OrderMode): ReadonlyArray<Key> => {
  if (order === "none") return NONE
  if (order === "total") return TOTAL
  if (change.affects !== undefined) return change.affects.map((oid) => ({ leaf: oid, root: oid, definition: 0, value: WHOLE }))
  const relation = change.relation
  if (relation === undefined) return NONE
  return change.kind === "T" ? place(change, relation, 0, WHOLE) : ofRow(change, relation)
}
