/**
 * What a snapshot without a slot has in place of a stream: one transaction at the place of the snapshot, of which only
 * this process knows. Marks, schema entries and ends are its items; no event comes between them.
 */
import type { Change, ChangeKind, Column, EventMetadata, LogicalMessage, Relation, Row, Transaction } from "../Change.ts"
import { ValueClass } from "../Change.ts"
import type { Chunk, Item } from "../Chunk.ts"
import * as EventId from "../EventId.ts"
import type { Lsn } from "../Lsn.ts"
import { SchemaChange } from "../SchemaEntryChange.ts"
import type { SchemaLogEntry } from "../TableShape.ts"
import * as Mark from "./Mark.ts"

/** Where the snapshot is: the WAL's end and the time when it was taken. */
export interface SnapshotPlace {
  readonly lsn: Lsn
  /** µs since 2000-01-01 UTC. */
  readonly timeUs: number
  /** As Postgres prints a `timestamptz` in the zone of the sessions. */
  readonly timestamp: string
}

/** A new entry of a schema: `entryId` and `at` as a row of `pgstream.ddl` has them. */
export interface Refresh {
  readonly schema: string
  readonly entryId: string
  readonly at: string
}

/** Bytes that one counts for. */
const ITEM_BYTES = 64

class LocalChange implements Change {
  readonly _tag = "Change"
  readonly kind: ChangeKind
  readonly transaction: Transaction
  readonly ordinal: number
  readonly sub = -1
  readonly lsn: Lsn
  relation: Relation | undefined
  readonly oldKind = ""
  readonly message: LogicalMessage | undefined
  readonly byteLength = ITEM_BYTES
  shape: undefined = undefined
  metadata: EventMetadata | undefined = undefined
  affects: undefined = undefined
  readonly #row: Row | undefined

  constructor(transaction: Transaction, ordinal: number, what: { readonly message: LogicalMessage } | { readonly row: Row; readonly relation: Relation }) {
    this.transaction = transaction
    this.ordinal = ordinal
    this.lsn = transaction.commitLsn
    this.kind = "message" in what ? "M" : "I"
    this.message = "message" in what ? what.message : undefined
    this.relation = "message" in what ? undefined : what.relation
    this.#row = "message" in what ? undefined : what.row
  }

  newRow(): Row | undefined {
    return this.#row
  }

  oldRow(): undefined {
    return undefined
  }
}

const column = (name: string): Column =>
  ({ name, typeOid: 25, typmod: -1, typeName: "text", valueClass: ValueClass.text, key: name === "id" })

const ddlColumns = ["id", "entry_id", "at", "xid", "tag", "isolation", "skip", "schemas"].map(column)
const ddl: Relation = { oid: 0, schema: "pgstream", table: "ddl", replicaIdentity: "d", columns: ddlColumns }

const rowOf = (values: ReadonlyArray<string>): Row => {
  const parts = values.map((value) => Buffer.from(value, "utf8"))
  const spans = new Int32Array(values.length * 2)
  let at = 0
  parts.forEach((part, i) => {
    spans[2 * i] = at
    spans[2 * i + 1] = at += part.length
  })
  return { columns: ddlColumns, bytes: Buffer.concat(parts), spans }
}

export class LocalStream {
  readonly transaction: Transaction
  #ordinal = -1

  constructor({ lsn, timestamp, timeUs }: SnapshotPlace) {
    this.transaction = {
      commitLsn: lsn, commitTimeUs: timeUs, timestamp, xid: 0, idPrefix: EventId.prefixOf(lsn, timeUs)
    }
  }

  /** Comes to the stage of the copies as a mark of a stream does. */
  mark(id: string): Chunk {
    const bytes = Buffer.from(Mark.textOf(id), "latin1")
    const message: LogicalMessage = { prefix: "pgstream", transactional: true, bytes, start: 0, end: bytes.length }
    return this.#chunk((ordinal) => new LocalChange(this.transaction, ordinal, { message }))
  }

  /** A new version of the schema's entry. */
  refresh({ at, entryId, schema }: Refresh): Chunk {
    const schemas = JSON.stringify([[null, schema, "REFRESH"]])
    return this.#chunk((ordinal) =>
      new LocalChange(this.transaction, ordinal, {
        relation: ddl,
        row: rowOf([String(ordinal), entryId, at, "0", "REFRESH", "read committed", "f", schemas])
      }))
  }

  /** An entry that was logged before. */
  entry(entry: SchemaLogEntry): Chunk {
    const { transaction } = this
    return this.#chunk((ordinal) =>
      new SchemaChange({ _tag: "Entry", place: { transaction, ordinal, lsn: transaction.commitLsn, nextSub: 1 }, sub: 0, entry, affects: [] }))
  }

  /** Each chunk ends above the one before, so that it is known which of them is settled. */
  #chunk(of: (ordinal: number) => Change): Chunk {
    const ordinal = ++this.#ordinal
    const endLsn = this.transaction.commitLsn + ordinal + 1
    const items: ReadonlyArray<Item> = [of(ordinal), { _tag: "Commit", transaction: this.transaction, endLsn, shapes: undefined, definitions: undefined }]
    return { items, bytes: ITEM_BYTES }
  }
}
