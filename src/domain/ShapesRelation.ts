/**
 * A shape beside what the plugin says of the same table. They differ when a row of `pgstream.ddl` is missing or
 * was read too early (event triggers off, a trigger that raised, another isolation level): then the plugin is
 * right, and a look at the catalog has to tell the rest.
 */
import type { Column, Relation } from "./Change.ts"
import type { ShapeColumn, ShapeIndex, TableShape } from "./TableShape.ts"

const unknownColumn = (column: Column): ShapeColumn => ({
  attnum: 0,
  name: column.name,
  typeOid: column.typeOid,
  typmod: column.typmod,
  type: column.typeName,
  notNull: false,
  default: null,
  generated: false,
  identity: "",
  comment: null
})

/** wal2json says names only, without unchanged TOAST values; pgoutput leaves out generated columns (before 18). */
const hasColumns = (shape: TableShape, relation: Relation): boolean => {
  const byName = new Map(shape.columns.map((c) => [c.name, c]))
  const known = relation.columns.every((column) => {
    const of = byName.get(column.name)
    if (of === undefined || relation.oid === 0) return of !== undefined
    return of.typeOid === column.typeOid && of.typmod === column.typmod
  })
  if (!known || relation.oid === 0) return known
  const sent = new Set(relation.columns.map((c) => c.name))
  return shape.columns.every((c) => c.generated || sent.has(c.name))
}

/** The columns that pgoutput flags are those of the index that is the replica identity, where one is. */
const hasKey = (shape: TableShape, relation: Relation): boolean => {
  if (relation.oid === 0 || (relation.replicaIdentity !== "d" && relation.replicaIdentity !== "i")) return true
  const isIt = relation.replicaIdentity === "d" ? "primary" : "replicaIdentity"
  const index = shape.indexes.find((each) => each.immediate && each[isIt])
  const names = new Set(shape.columns.filter((c) => index?.key.includes(c.attnum)).map((c) => c.name))
  return relation.columns.every((column) => column.key === names.has(column.name))
}

/** Same names, columns, replica identity and its key, as far as the plugin says them. */
export const agrees = (shape: TableShape, relation: Relation): boolean =>
  shape.schema === relation.schema &&
  shape.name === relation.table &&
  (relation.replicaIdentity === "" || relation.replicaIdentity === shape.replicaIdentity) &&
  hasColumns(shape, relation) &&
  hasKey(shape, relation)

/** The indexes that are surely still there: with identity `d`, the relation's key columns are the primary key. */
const keptIndexes = (
  shape: TableShape,
  relation: Relation,
  columns: ReadonlyArray<ShapeColumn>
): ReadonlyArray<ShapeIndex> => {
  const attnums = new Set(columns.map((c) => c.attnum))
  const kept = shape.indexes.filter((index) => index.key.every((attnum) => attnums.has(attnum)))
  if (relation.replicaIdentity !== "d") return kept
  const key = relation.columns.flatMap((column, i) => column.key ? [columns[i]!.attnum] : [])
  const isSame = (index: ShapeIndex) =>
    index.key.length === key.length && index.key.every((attnum) => key.includes(attnum))
  return kept.filter((index) => !index.primary || isSame(index))
}

/**
 * The shape as the relation has it: its names, columns, types and identity; ids, parents and root stay. A column
 * that the shape does not know has attnum 0, and no id.
 */
export const adopt = (shape: TableShape, relation: Relation): TableShape => {
  const byName = new Map(shape.columns.map((c) => [c.name, c]))
  const read = relation.columns.map((column) => {
    const of = byName.get(column.name)
    if (of === undefined) return unknownColumn(column)
    const same = relation.oid === 0 || (of.typeOid === column.typeOid && of.typmod === column.typmod)
    return same ? of : { ...of, typeOid: column.typeOid, typmod: column.typmod, type: column.typeName }
  })
  const sent = new Set(relation.columns.map((c) => c.name))
  const unsent = shape.columns.filter((c) => !sent.has(c.name) && (relation.oid === 0 || c.generated))
  const columns = [...read, ...unsent]
  const replicaIdentity = relation.replicaIdentity === "" ? shape.replicaIdentity : relation.replicaIdentity
  return {
    ...shape,
    schema: relation.schema,
    name: relation.table,
    replicaIdentity,
    fullIsOurs: replicaIdentity === "f" ? shape.fullIsOurs : undefined,
    columns,
    indexes: keptIndexes(shape, relation, columns)
  }
}
