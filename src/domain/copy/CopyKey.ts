/** What a row is known by during a copy: the values of its key as text, exact (a hash could leave a row out). */
import { type Change, type Column, type Row, ValueClass } from "../Change.ts"
import { keyDefinition, type KeyDefinition, placesOf } from "../Identity.ts"

/** One text for the values: the same values give the same text, others another. */
export type CopyKey = string

export const keyOf = (values: ReadonlyArray<string>): CopyKey => JSON.stringify(values)
export const valuesOf = (key: CopyKey): ReadonlyArray<string> => JSON.parse(key) as ReadonlyArray<string>

const places = new WeakMap<ReadonlyArray<Column>, { readonly names: ReadonlyArray<string>; readonly at: ReadonlyArray<number> }>()

const placesIn = (names: ReadonlyArray<string>, columns: ReadonlyArray<Column>): ReadonlyArray<number> => {
  const known = places.get(columns)
  if (known?.names === names) return known.at
  const at = placesOf(names, columns)
  places.set(columns, { names, at })
  return at
}

/** wal2json writes a boolean as `true`, a bytea without `\x`: both have the form of Postgres here. */
const asText = (row: Row, place: number): string => {
  const from = row.spans[2 * place]!
  const text = row.bytes.toString("utf8", from, row.spans[2 * place + 1]!)
  const { valueClass } = row.columns[place]!
  if (valueClass === ValueClass.boolean) return text.startsWith("t") ? "t" : "f"
  if (valueClass === ValueClass.bytea && !text.startsWith("\\x")) return `\\x${text}`
  return text
}

/** Values of `names` in the row; where it has none (unchanged TOAST), in `other`. `undefined`: one is missing. */
export const valuesIn = (
  names: ReadonlyArray<string>, row: Row, other: Row | undefined
): ReadonlyArray<string> | undefined => {
  const at = placesIn(names, row.columns)
  const values: Array<string> = []
  for (let i = 0; i < names.length; i++) {
    const place = at[i]!
    if (place >= 0 && row.spans[2 * place]! >= 0) {
      values.push(asText(row, place))
      continue
    }
    const there = other === undefined ? -1 : placesIn(names, other.columns)[i]!
    if (there < 0 || other!.spans[2 * there]! < 0) return undefined
    values.push(asText(other!, there))
  }
  return values
}

/** The key by which events of the change's table are told apart, at its place of the stream. */
export const definitionOf = (change: Change): KeyDefinition | undefined =>
  change.relation === undefined ? undefined : keyDefinition(change.relation, change.shape)
