/**
 * What an entry of the schema log says of tables, in the forms of golden/SCHEMA.md: the JSON of
 * `schema_log.schema` and the ids that the injector puts on events.
 *
 * The JSON is jsonb's text form (a space after `:` and `,`, keys by length, then bytes). Defined order: tables
 * by name, columns by attnum, the primary key's columns in the key's order.
 */
import type { EventMetadata } from "./Change.ts"
import type { LoggedTable, ShapeColumn, TableShape } from "./TableShape.ts"

/** Schemas without a history of their own. */
export const isSystemSchema = (schema: string): boolean => schema === "pgstream" || schema === "pgroll"

export const columnId = (tableId: string, attnum: number): string => `${tableId}-${attnum}`

const isUnique = (shape: TableShape, column: ShapeColumn): boolean =>
  shape.indexes.some((index) => index.plainUnique && index.key.length === 1 && index.key[0] === column.attnum)

const primaryKey = (shape: TableShape): ReadonlyArray<number> =>
  shape.indexes.find((index) => index.primary)?.key ?? []

/**
 * Attnums of the columns that identify a row for the injector: the primary key in its order, else the first
 * not-null column that is unique by itself; empty for a table without a key.
 */
export const identityOf = (shape: TableShape): ReadonlyArray<number> => {
  const key = primaryKey(shape)
  if (key.length > 0) return key
  const unique = shape.columns.find((column) => column.notNull && isUnique(shape, column))
  return unique === undefined ? [] : [unique.attnum]
}

const HOLE = "\u0000"

/** All that an entry says of the table, but its id: `HOLE` stands where that goes. */
const describe = (shape: TableShape): string => {
  const quote = JSON.stringify
  const columns = shape.columns.map((c) =>
    `{"name": ${quote(c.name)}, "type": ${quote(c.type)}, "unique": ${isUnique(shape, c)}, ` +
    `"default": ${quote(c.default)}, "metadata": ${quote(c.comment)}, "nullable": ${!c.notNull}, ` +
    `"generated": ${c.generated}, "pgstream_id": "${HOLE}-${c.attnum}"}`)
  const names = new Map(shape.columns.map((c) => [c.attnum, c.name]))
  const key = primaryKey(shape).map((attnum) => quote(names.get(attnum) ?? ""))
  return `{"oid": "${shape.oid}", "name": ${quote(shape.name)}, "columns": [${columns.join(", ")}], ` +
    `"pgstream_id": "${HOLE}", "primary_key_columns": [${key.join(", ")}]}`
}

const descriptions = new WeakMap<TableShape, string>()
const described = (shape: TableShape): string => {
  const known = descriptions.get(shape)
  if (known !== undefined) return known
  const made = describe(shape)
  descriptions.set(shape, made)
  return made
}

/** A table without columns is in no entry. */
export const isListed = (shape: TableShape): boolean => shape.columns.length > 0

/** Would an entry say the same of both? The id is not compared. */
export const saysTheSame = (a: TableShape, b: TableShape): boolean =>
  isListed(a) === isListed(b) && (!isListed(a) || (a.schema === b.schema && described(a) === described(b)))

const byName = (a: TableShape, b: TableShape): number =>
  a.name < b.name ? -1 : a.name > b.name ? 1 : a.oid - b.oid

export const inOrder = (shapes: Iterable<TableShape>): ReadonlyArray<TableShape> => [...shapes].toSorted(byName)

/** The JSON of an entry for these tables, which are in order and have ids. */
export const json = (shapes: ReadonlyArray<TableShape>): string => {
  const listed = shapes.filter(isListed)
  if (listed.length === 0) return `{"tables": null}`
  const texts = listed.map((shape) => described(shape).replaceAll(HOLE, shape.tableId ?? ""))
  return `{"tables": [${texts.join(", ")}]}`
}

export const droppedJson = `{"tables": null, "dropped": true}`

/** Oids of the tables of an entry's JSON; empty for text that is no entry. */
export const tablesOf = (entry: string): ReadonlyArray<number> =>
  [...entry.matchAll(/"oid": ?"(\d+)", ?"name": ?"/g)].map((match) => Number(match[1]))

/** `timestamp without time zone`, UTC, of a `timestamptz` as Postgres prints it under DateStyle ISO, to the µs. */
export const createdAt = (timestamptz: string): string => {
  const match = /^(\d+-\d\d-\d\d [\d:]{8})(\.\d+)?([+-])(\d\d)(?::?(\d\d))?(?::?(\d\d))?$/.exec(timestamptz)
  if (match === null) return timestamptz
  const [, seconds = "", fraction = "", sign, hours = "0", minutes = "0", rest = "0"] = match
  const offset = (Number(hours) * 3600 + Number(minutes) * 60 + Number(rest)) * (sign === "-" ? -1 : 1)
  if (offset === 0) return seconds + fraction
  const utc = new Date(Date.parse(`${seconds.replace(" ", "T")}Z`) - offset * 1000)
  return utc.toISOString().slice(0, 19).replace("T", " ") + fraction
}

/** Do ids or names that events carry differ? Then the entry in force has the older ones. */
export const resolvesTheSame = (a: TableShape, b: TableShape): boolean => {
  if (a.schema !== b.schema || a.name !== b.name || a.columns.length !== b.columns.length) return false
  if (!a.columns.every((c, i) => c.attnum === b.columns[i]!.attnum && c.name === b.columns[i]!.name)) return false
  const [ofA, ofB] = [identityOf(a), identityOf(b)]
  return ofA.length === ofB.length && ofA.every((attnum, i) => attnum === ofB[i])
}

/** Ids for the events of a table, as the entry in force has it. */
export const metadataOf = (logged: LoggedTable): EventMetadata => {
  const { entryId, shape } = logged
  const tableId = shape.tableId ?? ""
  const id = identityOf(shape)
  return {
    schemaId: entryId,
    tableId,
    columnIds: new Map(shape.columns.map((c) => [c.name, columnId(tableId, c.attnum)])),
    idColumnIds: id.length === 0 ? null : id.map((attnum) => columnId(tableId, attnum))
  }
}
