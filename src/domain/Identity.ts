/**
 * Which columns name a row: `identity` of a payload, and the key that events are ordered by.
 *
 * - Payload (golden 11, 13): the columns of the replica identity in the table's order: primary key, index, with FULL
 *   all (NULL ones too), with NOTHING none. While FULL is ours and a usable key is in force, cut to that key.
 *   Without an old row (pgoutput, key unchanged) the new row's key columns.
 * - Order (DESIGN.md "Order"): the columns of the replica identity; with FULL (or NOTHING, which becomes FULL) the
 *   primary key, else the whole table.
 */
import type { Change, Column, Relation, Row } from "./Change.ts"
import type { ShapeIndex, TableShape } from "./TableShape.ts"

/** A row and the places of its identity columns in `row.columns`. */
export interface IdentityOf {
  readonly row: Row
  readonly indexes: ReadonlyArray<number>
}

const namesOf = (shape: TableShape, index: ShapeIndex): ReadonlyArray<string> =>
  index.key.flatMap((attnum) => shape.columns.find((column) => column.attnum === attnum)?.name ?? [])

/** The key that would be the replica identity if we had not set FULL. */
const cutKey = (shape: TableShape): ReadonlyArray<string> | undefined => {
  if (shape.replicaIdentity !== "f" || shape.fullIsOurs === undefined || shape.fullIsOurs === "n") return undefined
  const index = shape.fullIsOurs === "d"
    ? shape.indexes.find((each) => each.primary && each.immediate)
    : shape.indexes.find((each) => each.replicaIdentity && each.immediate)
  if (index === undefined) return undefined
  const names = namesOf(shape, index)
  return names.length === index.key.length && names.length > 0 ? names : undefined
}

const every = (columns: ReadonlyArray<Column>): ReadonlyArray<number> => columns.map((_, index) => index)

const choose = (
  columns: ReadonlyArray<Column>, shape: TableShape | undefined, whole: boolean
): ReadonlyArray<number> => {
  if (!whole) return columns.flatMap((column, index) => (column.key ? [index] : []))
  const key = shape === undefined ? undefined : cutKey(shape)
  if (key === undefined || !key.every((name) => columns.some((column) => column.name === name))) return every(columns)
  return columns.flatMap((column, index) => (key.includes(column.name) ? [index] : []))
}

interface Chosen {
  readonly shape: TableShape | undefined
  readonly whole: boolean
  readonly indexes: ReadonlyArray<number>
}
const chosen = new WeakMap<ReadonlyArray<Column>, Array<Chosen>>()
/** Entries kept for one array of columns: (shape, whole). */
const MAX_CHOSEN = 4

/**
 * Places of the identity columns in a row. `whole`: the row has all columns of the identity and no others are known to
 * be none of it (pgoutput's `O`, wal2json's `identity`); else the columns that pgoutput marks as key.
 */
export const indexes = (
  columns: ReadonlyArray<Column>, shape: TableShape | undefined, whole: boolean
): ReadonlyArray<number> => {
  let list = chosen.get(columns)
  if (list === undefined) chosen.set(columns, list = [])
  for (const each of list) if (each.shape === shape && each.whole === whole) return each.indexes
  const made = { shape, whole, indexes: choose(columns, shape, whole) }
  if (list.length >= MAX_CHOSEN) list.shift()
  list.push(made)
  return made.indexes
}

/** wal2json's old row has the identity's columns and no others; pgoutput's has all, and says which are key. */
export const isWhole = (change: Change): boolean => change.oldKind === "O" || change.relation?.replicaIdentity === ""

/** The row and columns of `identity`; `undefined` for I, T and M. */
export const identityColumns = (change: Change): IdentityOf | undefined => {
  if (change.kind !== "U" && change.kind !== "D") return undefined
  const old = change.oldRow()
  if (old !== undefined) return { row: old, indexes: indexes(old.columns, change.shape, isWhole(change)) }
  const row = change.newRow()
  return row === undefined ? undefined : { row, indexes: indexes(row.columns, change.shape, false) }
}

/** What the rows of a table are told apart by. One object per (columns, shape): a cache key. */
export interface KeyDefinition {
  /** In the key's order. Empty: no key, every event of the table conflicts with every other. */
  readonly names: ReadonlyArray<string>
  /** Place of each name in `relation.columns`; `-1` where that message had no such column. */
  readonly indexes: ReadonlyArray<number>
  /** 1 … 2^32 - 1, of the names and their types, the same in every process; `0` without a key. */
  readonly hash: number
}

export const noKey: KeyDefinition = { names: [], indexes: [], hash: 0 }

/** FNV-1a of the text's UTF-16 units, both bytes each; never 0. */
const hashOf = (text: string): number => {
  let hash = 0x811c9dc5
  for (let i = 0; i < text.length; i++) {
    const unit = text.charCodeAt(i)
    hash = Math.imul(hash ^ (unit & 0xff), 0x01000193)
    hash = Math.imul(hash ^ (unit >> 8), 0x01000193)
  }
  return (hash >>> 0) || 1
}

const orderIndex = (shape: TableShape): ShapeIndex | undefined => {
  const primary = shape.indexes.find((each) => each.primary)
  if (shape.replicaIdentity !== "i") return primary
  return shape.indexes.find((each) => each.replicaIdentity && each.immediate) ?? primary
}

const ofShape = (shape: TableShape, columns: ReadonlyArray<Column>): KeyDefinition => {
  const index = orderIndex(shape)
  const key = (index?.key ?? []).map((attnum) => shape.columns.find((column) => column.attnum === attnum))
  if (key.length === 0 || key.includes(undefined)) return noKey
  const names = key.map((column) => column!.name)
  return {
    names,
    indexes: placesOf(names, columns),
    hash: hashOf(key.map((column) => `${column!.name}\0${column!.typeOid}\0`).join(""))
  }
}

/** Without a shape: pgoutput's key flags, unless FULL sets them all. wal2json says nothing of an I's key: none. */
const ofRelation = (relation: Relation): KeyDefinition => {
  if (relation.replicaIdentity !== "d" && relation.replicaIdentity !== "i") return noKey
  const key = relation.columns.filter((column) => column.key)
  if (key.length === 0) return noKey
  const names = key.map((column) => column.name)
  return {
    names,
    indexes: placesOf(names, relation.columns),
    hash: hashOf(key.map((column) => `${column.name}\0${column.typeOid}\0`).join(""))
  }
}

/** Places of `names` in the columns of a row (old rows of wal2json have other columns than the new one). */
export const placesOf = (names: ReadonlyArray<string>, columns: ReadonlyArray<Column>): ReadonlyArray<number> =>
  names.map((name) => columns.findIndex((column) => column.name === name))

const withoutShape = new WeakMap<Relation, KeyDefinition>()
const withShape = new WeakMap<Relation, { readonly shape: TableShape; readonly definition: KeyDefinition }>()

export const keyDefinition = (relation: Relation, shape: TableShape | undefined): KeyDefinition => {
  if (shape === undefined) {
    let definition = withoutShape.get(relation)
    if (definition === undefined) withoutShape.set(relation, definition = ofRelation(relation))
    return definition
  }
  const known = withShape.get(relation)
  if (known?.shape === shape) return known.definition
  const definition = ofShape(shape, relation.columns)
  withShape.set(relation, { shape, definition })
  return definition
}

interface Places {
  readonly definition: KeyDefinition
  readonly indexes: ReadonlyArray<number>
}
const places = new WeakMap<ReadonlyArray<Column>, Places>()

/** Places of the key's columns in a row of either kind, cached by the row's columns; `-1` where it has none. */
export const keyPlaces = (definition: KeyDefinition, columns: ReadonlyArray<Column>): ReadonlyArray<number> => {
  const known = places.get(columns)
  if (known?.definition === definition) return known.indexes
  const indexes = placesOf(definition.names, columns)
  places.set(columns, { definition, indexes })
  return indexes
}
