/**
 * The payload of an event: `{"Data":{…}}`, key order and byte form of golden/SCENARIOS.md, written in one pass from the
 * bytes that were received. It does not depend on the plugin.
 */
import {
  type Change, type Column, type EventMetadata, NULL, type Relation, type Row, type Transaction, UNCHANGED, ValueClass
} from "./Change.ts"
import * as Identity from "./Identity.ts"
import * as JsonBytes from "./JsonBytes.ts"
import { type Slab, Slabs } from "./Slabs.ts"
import type { TableShape } from "./TableShape.ts"
import * as TypeName from "./TypeName.ts"

/** Bytes of one slab. A body keeps its slab: who keeps one for long copies it. A larger slab gains nothing (measured). */
export const SLAB_BYTES = 64 * 1024
/** Slabs that are kept while no body is in them. */
const FREE_SLABS = 64
/** A body up to this worst-case size is written without counting first. */
const UNCOUNTED_BYTES = 16 * 1024

const bytesOf = (text: string): Buffer => Buffer.from(text, "utf8")

const COMMA = 0x2c
const QUOTE = 0x22
const nullText = bytesOf("null")
const trueText = bytesOf("true")
const falseText = bytesOf("false")
const columnsOpen = bytesOf("\"columns\":[")
const columnsNull = bytesOf("\"columns\":null")
const identityOpen = bytesOf(",\"identity\":[")
const identityNull = bytesOf(",\"identity\":null")
const lsnEnd = bytesOf("\",\"schema\":")
const messageTable = bytesOf("\"\",\"table\":\"\",")

const listText = (ids: ReadonlyArray<string> | null): string =>
  ids === null ? "null" : `[${ids.map(JsonBytes.quote).join(",")}]`

const metadataText = (metadata: EventMetadata | undefined): string =>
  metadata === undefined
    ? "{\"schema_id\":null,\"table_pgstream_id\":\"\",\"id_col_pgstream_id\":null,\"version_col_pgstream_id\":\"\"}"
    : `{"schema_id":${metadata.schemaId === null ? "null" : JsonBytes.quote(metadata.schemaId)}` +
      `,"table_pgstream_id":${JsonBytes.quote(metadata.tableId)}` +
      `,"id_col_pgstream_id":${listText(metadata.idColumnIds)}` +
      ",\"version_col_pgstream_id\":\"\"}"

const emptyTail = bytesOf(`,"metadata":${metadataText(undefined)}}}`)
const tails = new WeakMap<EventMetadata, Buffer>()
const tailOf = (metadata: EventMetadata | undefined): Buffer => {
  if (metadata === undefined) return emptyTail
  let tail = tails.get(metadata)
  if (tail === undefined) tails.set(metadata, tail = bytesOf(`,"metadata":${metadataText(metadata)}}}`))
  return tail
}

const tableTexts = new WeakMap<Relation, Buffer>()
const tableTextOf = (relation: Relation): Buffer => {
  let text = tableTexts.get(relation)
  if (text === undefined) {
    text = bytesOf(`${JsonBytes.quote(relation.schema)},"table":${JsonBytes.quote(relation.table)},`)
    tableTexts.set(relation, text)
  }
  return text
}

/** What stands before each value of a row with these columns, for one shape and metadata. */
interface Form {
  readonly columns: ReadonlyArray<Column>
  readonly shape: TableShape | undefined
  readonly metadata: EventMetadata | undefined
  /** `{"id":"…","name":"…","type":"…","value":` */
  readonly prefixes: ReadonlyArray<Buffer>
  readonly classes: Uint8Array
  /** Bytes of all prefixes, and of what surrounds each value: comma, brace, and `null` or `false` in place of less. */
  readonly size: number
}

const makeForm = (
  columns: ReadonlyArray<Column>, shape: TableShape | undefined, metadata: EventMetadata | undefined
): Form => {
  const prefixes = columns.map((column) => {
    const id = metadata?.columnIds.get(column.name) ?? ""
    return bytesOf(`{"id":${JsonBytes.quote(id)},"name":${JsonBytes.quote(column.name)}` +
      `,"type":${JsonBytes.quote(TypeName.of(column, shape))},"value":`)
  })
  return {
    columns, shape, metadata, prefixes,
    classes: Uint8Array.from(columns, (column) => column.valueClass),
    size: prefixes.reduce((sum, prefix) => sum + prefix.length + 8, 0)
  }
}

const forms = new WeakMap<ReadonlyArray<Column>, Form>()
/** The last form of these columns; a table has one at a time. */
const formOf = (
  columns: ReadonlyArray<Column>, shape: TableShape | undefined, metadata: EventMetadata | undefined
): Form => {
  const known = forms.get(columns)
  if (known !== undefined && known.shape === shape && known.metadata === metadata) return known
  const form = makeForm(columns, shape, metadata)
  forms.set(columns, form)
  return form
}

const utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true })
const messageText = (bytes: Uint8Array): string => {
  try {
    return `"content":${JsonBytes.quote(utf8.decode(bytes))}`
  } catch {
    return `"content_base64":"${Buffer.from(bytes).toString("base64")}"`
  }
}

const valueBytes = (row: Row): number => {
  const { spans } = row
  let size = 0
  for (let i = 0; i < spans.length; i += 2) if (spans[i]! >= 0) size += spans[i + 1]! - spans[i]!
  return size
}

const escapedBytes = (row: Row): number => {
  const { bytes, spans } = row
  let size = 0
  for (let i = 0; i < spans.length; i += 2) {
    if (spans[i]! >= 0) size += JsonBytes.escapedSize(bytes, spans[i]!, spans[i + 1]!) + 2
  }
  return size
}

/** Writes bodies. Not shared between fibers that interleave inside `write`, which nothing does: it is synchronous. */
export class BodyWriter {
  /** Counts what bodies hold, in whole slabs. */
  readonly slabs: Slabs
  /** Where the last body is. Who holds it says when that is not needed any more. */
  memory: Slab
  private slab: Buffer
  private at = 0
  private transaction: Transaction | undefined = undefined
  /** `{"Data":{"action":"I","timestamp":"…","lsn":"` of that transaction; byte 19 is the action. */
  private head: Buffer = Buffer.alloc(0)

  constructor(slabBytes = SLAB_BYTES) {
    this.slabs = new Slabs(slabBytes, FREE_SLABS)
    this.memory = this.slabs.take()
    this.slab = this.memory.bytes
  }

  /**
   * The body. It keeps its slab (64 KiB, or its own size if larger) in memory, and is not written to again unless that
   * slab (`memory`) was held and released.
   */
  write(change: Change): Uint8Array {
    const newRow = change.kind === "I" || change.kind === "U" ? change.newRow() : undefined
    const identity = Identity.identityColumns(change)
    const newForm = newRow === undefined ? undefined : formOf(newRow.columns, change.shape, change.metadata)
    const oldForm = identity === undefined ? undefined : formOf(identity.row.columns, change.shape, change.metadata)
    const tail = change.message === undefined ? tailOf(change.metadata) : this.messageTail(change)
    const table = change.relation === undefined ? messageTable : tableTextOf(change.relation)
    this.begin(change.transaction)
    const fixed = this.head.length + JsonBytes.LSN_SIZE + lsnEnd.length + table.length + tail.length + 64 +
      (newForm?.size ?? 0) + (oldForm?.size ?? 0)
    this.reserve(fixed, newRow, identity?.row)
    const start = this.at
    this.put(this.head)
    this.slab[start + 19] = change.kind.charCodeAt(0)
    this.at = JsonBytes.writeLsn(this.slab, this.at, change.lsn)
    this.put(lsnEnd)
    this.put(table)
    if (newRow === undefined) {
      this.put(columnsNull)
    } else {
      this.put(columnsOpen)
      this.columns(newRow, newForm!)
    }
    if (identity === undefined) {
      this.put(identityNull)
    } else {
      this.put(identityOpen)
      this.identity(identity, oldForm!)
    }
    this.put(tail)
    return this.slab.subarray(start, this.at)
  }

  private begin(transaction: Transaction): void {
    if (transaction === this.transaction) return
    this.transaction = transaction
    this.head = bytesOf(`{"Data":{"action":" ","timestamp":${JsonBytes.quote(transaction.timestamp)},"lsn":"`)
  }

  /** Metadata, and what a message holds, behind it. */
  private messageTail(change: Change): Buffer {
    const { bytes, end, prefix, start } = change.message!
    return bytesOf(`,"metadata":${metadataText(change.metadata)},"prefix":${JsonBytes.quote(prefix)},` +
      `${messageText(bytes.subarray(start, end))}}}`)
  }

  /** Makes room for a body: by its worst case if that is small, else counted. */
  private reserve(fixed: number, newRow: Row | undefined, oldRow: Row | undefined): void {
    const values = (newRow === undefined ? 0 : valueBytes(newRow)) + (oldRow === undefined ? 0 : valueBytes(oldRow))
    let size = fixed + values * JsonBytes.MAX_GROWTH
    if (size > UNCOUNTED_BYTES) {
      size = fixed + (newRow === undefined ? 0 : escapedBytes(newRow)) + (oldRow === undefined ? 0 : escapedBytes(oldRow))
    }
    if (this.at + size <= this.slab.length) return
    this.memory.close()
    this.memory = this.slabs.take(size)
    this.slab = this.memory.bytes
    this.at = 0
  }

  private put(source: Buffer): void {
    this.at = JsonBytes.copy(this.slab, this.at, source, 0, source.length)
  }

  private columns(row: Row, form: Form): void {
    const { spans } = row
    const count = form.prefixes.length
    let first = true
    for (let i = 0; i < count; i++) {
      if (spans[2 * i] === UNCHANGED) continue
      if (!first) this.slab[this.at++] = COMMA
      first = false
      this.column(row, form, i)
    }
    this.slab[this.at++] = 0x5d
  }

  private identity(identity: Identity.IdentityOf, form: Form): void {
    const { indexes, row } = identity
    let first = true
    for (const i of indexes) {
      if (row.spans[2 * i] === UNCHANGED) continue
      if (!first) this.slab[this.at++] = COMMA
      first = false
      this.column(row, form, i)
    }
    this.slab[this.at++] = 0x5d
  }

  private column(row: Row, form: Form, index: number): void {
    const slab = this.slab
    const prefix = form.prefixes[index]!
    const { bytes } = row
    let from = row.spans[2 * index]!
    const to = row.spans[2 * index + 1]!
    let at = JsonBytes.copy(slab, this.at, prefix, 0, prefix.length)
    const valueClass = form.classes[index]!
    if (from === NULL) {
      at = JsonBytes.copy(slab, at, nullText, 0, 4)
    } else if (valueClass === ValueClass.number) {
      at = writeNumber(slab, at, bytes, from, to)
    } else if (valueClass === ValueClass.boolean) {
      const text = bytes[from] === 0x74 ? trueText : falseText
      at = JsonBytes.copy(slab, at, text, 0, text.length)
    } else {
      if (valueClass === ValueClass.bytea && bytes[from] === 0x5c && bytes[from + 1] === 0x78) from += 2
      slab[at++] = QUOTE
      at = JsonBytes.writeEscaped(slab, at, bytes, from, to)
      slab[at++] = QUOTE
    }
    slab[at++] = 0x7d
    this.at = at
  }
}

/** Digits as they are; `-0` is `0`, as golden has it. `NaN`, `Infinity` and `-Infinity` have no JSON: `null`. */
const writeNumber = (slab: Buffer, at: number, bytes: Buffer, from: number, to: number): number => {
  const last = bytes[to - 1]!
  if (to <= from || last < 0x30 || last > 0x39) return JsonBytes.copy(slab, at, nullText, 0, 4)
  const negativeZero = last === 0x30 && to - from === 2 && bytes[from] === 0x2d
  return JsonBytes.copy(slab, at, bytes, negativeZero ? from + 1 : from, to)
}
