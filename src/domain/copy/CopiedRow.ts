/**
 * A row of a copy as a change of the stream: an insert at the place of its high mark, for those who asked. It has no
 * number, and an id of its own: `s-<hash>`, the same for the same version of the row in every attempt of one request.
 */
import type { Change, CopyOrigin, EventMetadata, Relation, Row, Transaction } from "../Change.ts"
import type { Lsn } from "../Lsn.ts"
import type { TableShape } from "../TableShape.ts"

/** What all rows of a copy share that enter at one mark. */
export interface EntryPlace {
  readonly transaction: Transaction
  readonly ordinal: number
  readonly lsn: Lsn
}

export class CopiedRow implements Change {
  readonly _tag = "Change"
  readonly kind = "I"
  readonly oldKind = ""
  readonly message = undefined
  readonly transaction: Transaction
  readonly ordinal: number
  readonly sub: number
  readonly lsn: Lsn
  relation: Relation | undefined
  readonly byteLength: number
  shape: TableShape | undefined = undefined
  metadata: EventMetadata | undefined = undefined
  affects: ReadonlyArray<number> | undefined = undefined
  readonly copy: CopyOrigin
  readonly #row: Row

  /** `sub`: its place among the rows of the mark, from 0. */
  constructor(place: EntryPlace, sub: number, relation: Relation, row: Row, copy: CopyOrigin) {
    this.transaction = place.transaction
    this.ordinal = place.ordinal
    this.lsn = place.lsn
    this.sub = sub
    this.relation = relation
    this.byteLength = byteLengthOf(row)
    this.copy = copy
    this.#row = row
  }

  newRow(): Row {
    return this.#row
  }

  oldRow(): undefined {
    return undefined
  }
}

/** Bytes that a row counts for beside its values. */
const OVERHEAD_BYTES = 128

export const byteLengthOf = ({ spans }: Row): number => {
  let bytes = OVERHEAD_BYTES
  for (let i = 0; i < spans.length; i += 2) if (spans[i]! >= 0) bytes += spans[i + 1]! - spans[i]!
  return bytes
}
