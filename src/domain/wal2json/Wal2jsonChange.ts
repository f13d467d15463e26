/** A change as wal2json wrote it: a view on its record. */
import type {
  Change, ChangeKind, Column, EventMetadata, LogicalMessage, OldRowKind, Relation, Row, Transaction
} from "../Change.ts"
import type { Lsn } from "../Lsn.ts"
import type { TableShape } from "../TableShape.ts"
import * as JsonText from "./JsonText.ts"
import type { Split } from "./Layout.ts"

/** A row whose values are still as the record has them. */
export interface RawRow {
  readonly columns: ReadonlyArray<Column>
  readonly spans: Int32Array
  readonly escaped: boolean
}

export const rawRow = (split: Split): RawRow => ({
  columns: split.layout!.columns,
  spans: split.spans.slice(0, split.count),
  escaped: split.escaped
})

const unescaped = (raw: RawRow, bytes: Buffer): Row => {
  const { columns, spans } = raw
  if (!raw.escaped) return { columns, bytes, spans }
  let size = 0
  for (let i = 0; i < spans.length; i += 2) size += spans[i + 1]! - spans[i]!
  const target = Buffer.allocUnsafe(size)
  const moved = new Int32Array(spans.length)
  let at = 0
  for (let i = 0; i < spans.length; i += 2) {
    const from = spans[i]!
    moved[i] = from < 0 ? from : at
    if (from >= 0) at = JsonText.unescape(bytes, from, spans[i + 1]!, target, at)
    moved[i + 1] = from < 0 ? from : at
  }
  return { columns, bytes: target, spans: moved }
}

/** Every field is set here, always in this order: one hidden class for all kinds. */
export class Wal2jsonChange implements Change {
  readonly _tag = "Change"
  readonly kind: ChangeKind
  readonly transaction: Transaction
  readonly ordinal: number
  readonly sub: number
  readonly lsn: Lsn
  readonly relation: Relation | undefined
  /** wal2json sends the identity's columns; whether those are all of the table it does not say. */
  readonly oldKind: OldRowKind
  readonly message: LogicalMessage | undefined
  readonly byteLength: number
  shape: TableShape | undefined = undefined
  metadata: EventMetadata | undefined = undefined
  affects: ReadonlyArray<number> | undefined = undefined
  private readonly bytes: Buffer
  private readonly newRaw: RawRow | undefined
  private readonly oldRaw: RawRow | undefined
  private newOne: Row | undefined = undefined
  private oldOne: Row | undefined = undefined

  constructor(
    kind: ChangeKind, transaction: Transaction, ordinal: number, lsn: Lsn, relation: Relation | undefined,
    message: LogicalMessage | undefined, byteLength: number, bytes: Buffer, newRaw: RawRow | undefined,
    oldRaw: RawRow | undefined
  ) {
    this.kind = kind
    this.transaction = transaction
    this.ordinal = ordinal
    this.sub = -1
    this.lsn = lsn
    this.relation = relation
    this.oldKind = oldRaw === undefined ? "" : "K"
    this.message = message
    this.byteLength = byteLength
    this.bytes = bytes
    this.newRaw = newRaw
    this.oldRaw = oldRaw
  }

  newRow(): Row | undefined {
    if (this.newRaw === undefined) return undefined
    return (this.newOne ??= unescaped(this.newRaw, this.bytes))
  }

  oldRow(): Row | undefined {
    if (this.oldRaw === undefined) return undefined
    return (this.oldOne ??= unescaped(this.oldRaw, this.bytes))
  }
}
