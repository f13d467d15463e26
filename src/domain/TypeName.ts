/**
 * The `type` of a column in a payload: `format_type` as a session with `search_path = public` prints it, and a
 * single quoted name without its quotes (golden/SCENARIOS.md "Values").
 *
 * Sources, in this order (DESIGN.md "Schema log"): the shape; the plugin's own description; `oid:<n>`.
 */
import { type Column, ValueClass } from "./Change.ts"
import { builtinTypes } from "./pgoutput/BuiltinTypes.ts"
import type { ShapeColumn, TableShape } from "./TableShape.ts"

interface Builtin {
  readonly name: string
  readonly array: boolean
}

const byOid = new Map<number, Builtin>()
const sqlNames = new Map<string, string>()
for (const [oid, name, array, sqlName] of builtinTypes) {
  byOid.set(oid, { name, array: false })
  if (array !== 0) byOid.set(array, { name, array: true })
  sqlNames.set(name, sqlName ?? name)
}

/** Bits of an interval's fields: year 2, month 1, day 3, hour 10, minute 11, second 12 (`utils/timestamp.h`). */
const intervalFields = new Map<number, string>([
  [4, " year"], [2, " month"], [8, " day"], [1 << 10, " hour"], [1 << 11, " minute"], [1 << 12, " second"],
  [6, " year to month"], [8 | (1 << 10), " day to hour"], [8 | (3 << 10), " day to minute"],
  [8 | (7 << 10), " day to second"], [3 << 10, " hour to minute"], [7 << 10, " hour to second"],
  [3 << 11, " minute to second"]
])

const interval = (typmod: number): string => {
  const precision = typmod & 0xffff
  const fields = intervalFields.get((typmod >> 16) & 0x7fff) ?? ""
  return `interval${fields}${precision === 0xffff ? "" : `(${precision})`}`
}

const numeric = (typmod: number): string => {
  const packed = typmod - 4
  const scale = ((packed & 0x7ff) ^ 1024) - 1024
  return `numeric(${(packed >> 16) & 0xffff},${scale})`
}

/** A base type with a typmod ≥ 0. Types without a form of their own ignore it. */
const modified = (name: string, typmod: number): string | undefined => {
  switch (name) {
    case "bpchar": return `character(${typmod - 4})`
    case "varchar": return `character varying(${typmod - 4})`
    case "numeric": return numeric(typmod)
    case "bit": return `bit(${typmod})`
    case "varbit": return `bit varying(${typmod})`
    case "time": return `time(${typmod}) without time zone`
    case "timetz": return `time(${typmod}) with time zone`
    case "timestamp": return `timestamp(${typmod}) without time zone`
    case "timestamptz": return `timestamp(${typmod}) with time zone`
    case "interval": return interval(typmod)
    default: return undefined
  }
}

const formatBuiltin = (name: string, array: boolean, typmod: number): string => {
  const base = (typmod >= 0 ? modified(name, typmod) : undefined) ?? sqlNames.get(name) ?? name
  return array ? `${base}[]` : base
}

const SINGLE_QUOTED = /^"((?:[^"]|"")*)"$/

/** What golden does: a name that is one quoted identifier loses its quotes; arrays and qualified names keep them. */
export const unquoted = (type: string): string => {
  if (type.charCodeAt(0) !== 0x22) return type
  const match = SINGLE_QUOTED.exec(type)
  return match === null ? type : match[1]!.replaceAll("\"\"", "\"")
}

/** Payload form of a built-in type; `undefined` for all others. */
export const ofOid = (oid: number, typmod: number): string | undefined => {
  const builtin = byOid.get(oid)
  return builtin === undefined ? undefined : unquoted(formatBuiltin(builtin.name, builtin.array, typmod))
}

const quoted = (name: string): string => (/^[a-z_][a-z0-9_$]*$/.test(name) ? name : `"${name.replaceAll("\"", "\"\"")}"`)

/**
 * Payload form of what pgoutput's Type message says (`schema` is `""` for pg_catalog). An array's name is `_` and its
 * element's. A domain is named as the type under it: the message has no more, the shape has.
 */
export const ofTypeMessage = (schema: string, name: string, typmod: number): string => {
  const array = name.charCodeAt(0) === 0x5f && name.length > 1
  const element = array ? name.slice(1) : name
  if (schema === "" || schema === "pg_catalog") return unquoted(formatBuiltin(element, array, typmod))
  const prefix = schema === "public" && !sqlNames.has(element) ? "" : `${quoted(schema)}.`
  return unquoted(`${prefix}${quoted(element)}${array ? "[]" : ""}`)
}

/** Name part of `public.<name>` where no built-in type hides it: those stay qualified, as `format_type` does. */
const inPublic = /^public\.((?:[a-z_][a-z0-9_$]*|"(?:[^"]|"")*").*)$/s

/** Payload form of a shape's type (`format_type` under `pg_catalog`: user types qualified). */
export const ofShapeType = (type: string): string => {
  const match = inPublic.exec(type)
  if (match === null) return unquoted(type)
  const rest = match[1]!
  const name = /^[a-z0-9_$]+/.exec(rest)?.[0]
  return name !== undefined && sqlNames.has(name) ? type : unquoted(rest)
}

const columnsByName = new WeakMap<TableShape, ReadonlyMap<string, ShapeColumn>>()

/** The shape's column of that name, if its type is the one that pgoutput describes (a shape may lag behind). */
const shapeColumn = (shape: TableShape, column: Column): ShapeColumn | undefined => {
  let columns = columnsByName.get(shape)
  if (columns === undefined) {
    columns = new Map(shape.columns.map((each) => [each.name, each]))
    columnsByName.set(shape, columns)
  }
  const found = columns.get(column.name)
  return found?.typeOid === column.typeOid && found.typmod === column.typmod ? found : undefined
}

/** `type` of a column: the shape's, else what the plugin said. wal2json's own text has this form already, and is never late. */
export const of = (column: Column, shape: TableShape | undefined): string => {
  if (shape === undefined || column.typeOid === 0) return column.typeName
  const known = shapeColumn(shape, column)
  return known === undefined ? column.typeName : ofShapeType(known.type)
}

/** How values of a type are written. Domains have oids of their own, so they are `text`. */
export const valueClassOf = (oid: number): ValueClass => {
  switch (oid) {
    case 20: case 21: case 23: case 26: case 700: case 701: case 1700: return ValueClass.number
    case 16: return ValueClass.boolean
    case 17: return ValueClass.bytea
    default: return ValueClass.text
  }
}
