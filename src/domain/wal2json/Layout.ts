/**
 * The columns of one array of a wal2json record, as they were once seen: what stands before each value is compared
 * byte by byte, so a row of a known layout is split without being parsed.
 */
import { type Column, NULL, ValueClass } from "../Change.ts"
import * as TypeName from "../TypeName.ts"
import * as JsonText from "./JsonText.ts"

const QUOTE = 0x22
const COMMA = 0x2c
const CLOSE = 0x5d
const BRACE = 0x7d

const NAME = Buffer.from("{\"name\":\"")
const TYPE = Buffer.from("\"type\":")
const VALUE = Buffer.from(",\"value\":")

export interface Layout {
  readonly columns: ReadonlyArray<Column>
  /** `{"name":"…","type":"…","value":` of each column. */
  readonly prefixes: ReadonlyArray<Buffer>
}

/** What splitting left behind: spans into the record, still escaped where `escaped`. Overwritten by the next row. */
export class Split {
  layout: Layout | undefined = undefined
  spans = new Int32Array(64)
  escaped = false
  count = 0

  /** Bytes of the raw values: an upper bound of the unescaped ones. */
  put(from: number, to: number): void {
    if (this.count + 2 > this.spans.length) {
      const larger = new Int32Array(this.spans.length * 2)
      larger.set(this.spans)
      this.spans = larger
    }
    this.spans[this.count++] = from
    this.spans[this.count++] = to
  }
}

export const matches = (bytes: Buffer, at: number, end: number, expected: Buffer): boolean => {
  const length = expected.length
  if (at + length > end) return false
  for (let i = 0; i < length; i++) if (bytes[at + i] !== expected[i]) return false
  return true
}

/** One value: puts its span and returns the offset behind it, or `-1`. One of another class than its column's is refused. */
const value = (bytes: Buffer, at: number, end: number, valueClass: ValueClass, split: Split): number => {
  const first = bytes[at]!
  if (first === QUOTE) {
    if (valueClass === ValueClass.number || valueClass === ValueClass.boolean) return -1
    let to = at + 1
    for (; to < end; to++) {
      const byte = bytes[to]!
      if (byte === QUOTE) break
      if (byte === 0x5c) {
        split.escaped = true
        to++
      }
    }
    if (to >= end) return -1
    split.put(at + 1, to)
    return to + 1
  }
  let to = at
  while (to < end && bytes[to] !== COMMA && bytes[to] !== BRACE && bytes[to] !== CLOSE) to++
  if (to === at || to >= end) return -1
  if (first === 0x6e) split.put(NULL, NULL)
  else if (valueClass === ValueClass.number || valueClass === ValueClass.boolean) split.put(at, to)
  else return -1
  return to
}

/** Splits an array (at its `[`) by a known layout. The offset behind `]`, or `-1` if it is not of that layout. */
export const read = (layout: Layout, bytes: Buffer, start: number, end: number, split: Split): number => {
  split.count = 0
  split.escaped = false
  split.layout = layout
  const { columns, prefixes } = layout
  const count = prefixes.length
  let at = start
  if (count === 0) return bytes[at + 1] === CLOSE && at + 1 < end ? at + 2 : -1
  for (let i = 0; i < count; i++) {
    at++
    if (!matches(bytes, at, end, prefixes[i]!)) return -1
    at = value(bytes, at + prefixes[i]!.length, end, columns[i]!.valueClass, split)
    if (at < 0 || at + 1 >= end || bytes[at] !== BRACE) return -1
    at++
    if (bytes[at] !== (i === count - 1 ? CLOSE : COMMA)) return -1
  }
  return at + 1
}

const numbers = /^(?:smallint|integer|bigint|oid|real|double precision|numeric(?:\(.*\))?)$/

const classOf = (typeName: string, sample: number): ValueClass => {
  if (sample === QUOTE) return typeName === "bytea" ? ValueClass.bytea : ValueClass.text
  if (sample === 0x6e) {
    if (numbers.test(typeName)) return ValueClass.number
    if (typeName === "bytea") return ValueClass.bytea
    return typeName === "boolean" ? ValueClass.boolean : ValueClass.text
  }
  return sample === 0x74 || sample === 0x66 ? ValueClass.boolean : ValueClass.number
}

/**
 * Text of a type and the offset behind it, or `undefined`. wal2json writes a name that begins with a quote as it is:
 * `"Role"` is valid JSON by chance, `"Sx".plain` and `"we""ird"` are not, and end where `,"value":` follows.
 */
const typeAt = (bytes: Buffer, at: number, end: number): { readonly name: string; readonly end: number } | undefined => {
  if (bytes[at] !== QUOTE) return undefined
  const to = JsonText.stringEnd(bytes, at + 1, end)
  if (to >= 0 && matches(bytes, to + 1, end, VALUE)) return { name: JsonText.text(bytes, at + 1, to), end: to + 1 }
  const next = bytes.indexOf(VALUE, at)
  if (next < 0 || next >= end) return undefined
  return { name: TypeName.unquoted(bytes.toString("utf8", at, next)), end: next }
}

/** Learns the layout of an array (at its `[`); `undefined` if it is not one. */
export const learn = (bytes: Buffer, start: number, end: number): Layout | undefined => {
  const columns: Array<Column> = []
  const prefixes: Array<Buffer> = []
  let at = start + 1
  if (at < end && bytes[at] === CLOSE) return { columns, prefixes }
  for (;;) {
    if (!matches(bytes, at, end, NAME)) return undefined
    const nameEnd = JsonText.stringEnd(bytes, at + NAME.length, end)
    if (nameEnd < 0 || bytes[nameEnd + 1] !== COMMA || !matches(bytes, nameEnd + 2, end, TYPE)) return undefined
    const type = typeAt(bytes, nameEnd + 2 + TYPE.length, end)
    if (type === undefined) return undefined
    const valueAt = type.end + VALUE.length
    columns.push({
      name: JsonText.text(bytes, at + NAME.length, nameEnd),
      typeOid: 0,
      typmod: -1,
      typeName: type.name,
      valueClass: classOf(type.name, bytes[valueAt] ?? 0),
      key: false
    })
    prefixes.push(Buffer.from(bytes.subarray(at, valueAt)))
    const behind = valueAt < end ? JsonText.skipValue(bytes, valueAt, end) : -1
    if (behind < 0 || bytes[behind] !== BRACE || behind + 1 >= end) return undefined
    if (bytes[behind + 1] === CLOSE) return { columns, prefixes }
    if (bytes[behind + 1] !== COMMA) return undefined
    at = behind + 2
  }
}
