/** A change as pgoutput sent it: a view on its frame. */
import type {
  Change, ChangeKind, EventMetadata, LogicalMessage, OldRowKind, Relation, Row, Transaction
} from "../Change.ts"
import type { Lsn } from "../Lsn.ts"
import type { TableShape } from "../TableShape.ts"
import * as Tuple from "./Tuple.ts"

/** Every field is set here, always in this order: one hidden class for all kinds. `0` as offset: no such row. */
export class PgoutputChange implements Change {
  readonly _tag = "Change"
  readonly kind: ChangeKind
  readonly transaction: Transaction
  readonly ordinal: number
  readonly sub: number
  readonly lsn: Lsn
  readonly relation: Relation | undefined
  readonly oldKind: OldRowKind
  readonly message: LogicalMessage | undefined
  readonly byteLength: number
  shape: TableShape | undefined = undefined
  metadata: EventMetadata | undefined = undefined
  affects: ReadonlyArray<number> | undefined = undefined
  private readonly bytes: Buffer
  private readonly newAt: number
  private readonly oldAt: number
  private newOne: Row | undefined = undefined
  private oldOne: Row | undefined = undefined

  constructor(
    kind: ChangeKind, transaction: Transaction, ordinal: number, lsn: Lsn, relation: Relation | undefined,
    oldKind: OldRowKind, message: LogicalMessage | undefined, byteLength: number, bytes: Buffer, newAt: number, oldAt: number
  ) {
    this.kind = kind
    this.transaction = transaction
    this.ordinal = ordinal
    this.sub = -1
    this.lsn = lsn
    this.relation = relation
    this.oldKind = oldKind
    this.message = message
    this.byteLength = byteLength
    this.bytes = bytes
    this.newAt = newAt
    this.oldAt = oldAt
  }

  newRow(): Row | undefined {
    if (this.newAt === 0) return undefined
    return (this.newOne ??= Tuple.read(this.bytes, this.newAt, this.relation!.columns))
  }

  oldRow(): Row | undefined {
    if (this.oldAt === 0) return undefined
    return (this.oldOne ??= Tuple.read(this.bytes, this.oldAt, this.relation!.columns))
  }
}
