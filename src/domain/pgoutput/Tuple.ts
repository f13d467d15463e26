/**
 * TupleData of pgoutput: `int16` columns, each `n` NULL · `u` unchanged TOAST · `t` text with `int32` length.
 *
 * Source: PostgreSQL documentation, "Logical Replication Message Formats".
 */
import { type Column, NULL, type Row, UNCHANGED } from "../Change.ts"

const N = 0x6e
const U = 0x75
const T = 0x74

/** Walks a tuple without reading it. The offset behind it; `-1` if it is not one of `columns` columns inside `end`. */
export const skip = (bytes: Buffer, start: number, end: number, columns: number): number => {
  if (start + 2 > end || bytes[start]! * 256 + bytes[start + 1]! !== columns) return -1
  let at = start + 2
  for (let i = 0; i < columns; i++) {
    if (at >= end) return -1
    const kind = bytes[at]!
    if (kind === T) {
      if (at + 5 > end || bytes[at + 1]! >= 0x80) return -1
      at += 5 + bytes[at + 1]! * 0x1000000 + (bytes[at + 2]! << 16) + (bytes[at + 3]! << 8) + bytes[at + 4]!
    } else if (kind === N || kind === U) {
      at += 1
    } else {
      return -1
    }
  }
  return at > end ? -1 : at
}

/** Splits a tuple that `skip` accepted. */
export const read = (bytes: Buffer, start: number, columns: ReadonlyArray<Column>): Row => {
  const count = columns.length
  const spans = new Int32Array(count * 2)
  let at = start + 2
  for (let i = 0; i < count; i++) {
    const kind = bytes[at]!
    if (kind === T) {
      const from = at + 5
      at = from + bytes[at + 1]! * 0x1000000 + (bytes[at + 2]! << 16) + (bytes[at + 3]! << 8) + bytes[at + 4]!
      spans[2 * i] = from
      spans[2 * i + 1] = at
    } else {
      spans[2 * i] = kind === N ? NULL : UNCHANGED
      at += 1
    }
  }
  return { columns, bytes, spans }
}
