/**
 * Rows as the server sent them: DataRow messages, split into the spans of a `Row` without a copy of their values.
 *
 * Source: PostgreSQL documentation, "Message Formats", DataRow: `int16` columns, each `int32` length (-1: NULL), bytes.
 */
import { type Column, NULL, type Row, ValueClass } from "../../../domain/Change.ts"
import type { ReadRow } from "../../../services/TableReader.ts"

export class RowBuffer {
  readonly rows: Array<ReadRow> = []
  /** Row pointer of the last row, in a table without a key. */
  lastPointer = ""
  /** Of the values. */
  bytes = 0
  tooLarge = 0
  /** Rows that came and count: those that are too large included. */
  count = 0
  /** The bytes were used up: what came after was dropped. */
  full = false
  readonly #columns: ReadonlyArray<Column>
  readonly #pointers: boolean
  readonly #plainBytea: boolean
  readonly #maxRowBytes: number
  readonly #maxBytes: number

  /**
   * `pointers`: a row pointer comes before the columns. `plainBytea`: a bytea is handed on without its `\x`, as wal2json
   * does, so that keys of both have one hash. `maxBytes`: of all rows; one row more may be in it.
   */
  constructor(columns: ReadonlyArray<Column>, pointers: boolean, plainBytea: boolean, maxRowBytes: number, maxBytes: number) {
    this.#maxBytes = maxBytes
    this.#columns = columns
    this.#pointers = pointers
    this.#plainBytea = plainBytea
    this.#maxRowBytes = maxRowBytes
  }

  readonly add = (bytes: Buffer, start: number, end: number): void => {
    if (this.bytes >= this.#maxBytes) {
      this.full = true
      return
    }
    this.count++
    let at = start + 2
    const text = (): string => {
      const length = bytes.readInt32BE(at)
      at += 4 + Math.max(0, length)
      return bytes.toString("latin1", at - Math.max(0, length), at)
    }
    const xmin = text()
    if (this.#pointers) this.lastPointer = text()
    const version = this.#pointers ? `${xmin} ${this.lastPointer}` : xmin
    if (end - start >= this.#maxRowBytes) {
      this.tooLarge++
      return
    }
    const columns = this.#columns
    const spans = new Int32Array(columns.length * 2)
    for (let i = 0; i < columns.length; i++) {
      const length = bytes.readInt32BE(at)
      at += 4
      if (length < 0) {
        spans[2 * i] = NULL
        continue
      }
      const cut = this.#plainBytea && columns[i]!.valueClass === ValueClass.bytea ? 2 : 0
      spans[2 * i] = at + cut
      at += length
      spans[2 * i + 1] = at
    }
    this.bytes += end - start
    const row: Row = { columns, bytes, spans }
    this.rows.push({ version, row })
  }
}
