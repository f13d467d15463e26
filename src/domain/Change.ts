/**
 * One change of a committed transaction, as a view on the bytes that were received.
 *
 * Decoding is lazy: the rows are split into columns when somebody asks (`newRow`, `oldRow`), so a change of a
 * table that nobody subscribed to costs only its frame. A view reads its chunk's buffer, which is written
 * to again when the chunk is done: whoever keeps something for longer copies it.
 */
import type * as EventId from "./EventId.ts"
import type { Lsn } from "./Lsn.ts"
import type { TableShape } from "./TableShape.ts"

/** I insert · U update · D delete · T truncate (one change a table) · M logical message. */
export type ChangeKind = "I" | "U" | "D" | "T" | "M"

/** How a value is written in the payload (golden/SCENARIOS.md, "Values"). Domains are always `text`. */
export const ValueClass = { text: 0, number: 1, boolean: 2, bytea: 3 } as const
export type ValueClass = (typeof ValueClass)[keyof typeof ValueClass]

/** One column as the plugin described it. */
export interface Column {
  readonly name: string
  /** Type oid; `0` where the plugin does not say (wal2json). */
  readonly typeOid: number
  /** `atttypmod`; `-1` for none or unknown. */
  readonly typmod: number
  /** Type name known without the shapes: wal2json's own text, a built-in's `format_type`, or pgoutput's Type message; else `oid:<n>`. */
  readonly typeName: string
  readonly valueClass: ValueClass
  /** pgoutput: part of the replica identity. wal2json: `false`. */
  readonly key: boolean
}

/**
 * A description of a table by the plugin. The object is the cache key of everything derived from it: the same
 * object means the same description; a table that changes gets a new one.
 */
export interface Relation {
  /** `pg_class.oid`; `0` for wal2json, which does not say. */
  readonly oid: number
  readonly schema: string
  readonly table: string
  /** d default · n nothing · f full · i index · "" unknown (wal2json). */
  readonly replicaIdentity: "d" | "n" | "f" | "i" | ""
  /** Columns of the new row. wal2json: those of that message (an unchanged TOAST value has no column). */
  readonly columns: ReadonlyArray<Column>
}

/** `spans` value of a column that is NULL, and of an unchanged TOAST value that was not sent. */
export const NULL = -1
export const UNCHANGED = -2

/**
 * The values of one row. Column *i* is `bytes[spans[2i] … spans[2i + 1])`, in Postgres' text form (wal2json:
 * unescaped; a boolean may be `t` or `true`, a bytea may lack `\x`), or `spans[2i]` is `NULL` or `UNCHANGED`.
 */
export interface Row {
  readonly columns: ReadonlyArray<Column>
  readonly bytes: Buffer
  readonly spans: Int32Array
}

/** What all changes of one transaction share. */
export interface Transaction {
  /** LSN of the commit record (pgoutput: BEGIN's final LSN; wal2json: `lsn` of `B`). */
  readonly commitLsn: Lsn
  /** Commit time, µs since 2000-01-01 UTC. */
  readonly commitTimeUs: number
  /** Commit time as Postgres prints a `timestamptz` in the walsender's zone: `2026-11-24 00:12:21.22944+00`. */
  readonly timestamp: string
  /** Low 32 bits of the top-level xid; `0` where unknown. */
  readonly xid: number
  /** The first two parts of every event id of this transaction, with the trailing `-`. */
  readonly idPrefix: EventId.IdPrefix
}

export interface LogicalMessage {
  readonly prefix: string
  readonly transactional: boolean
  /** `bytes[start … end)` of the message's content. */
  readonly bytes: Buffer
  readonly start: number
  readonly end: number
}

/** What the old row holds: nothing sent · K the key columns · O the whole row. */
export type OldRowKind = "" | "K" | "O"

export interface Change {
  readonly _tag: "Change"
  readonly kind: ChangeKind
  readonly transaction: Transaction
  /** `n` of the event id: place in the transaction as the plugin hands it out, from 0. `-1`: a non-transactional message. */
  readonly ordinal: number
  /** `k` of a schema event's id (`<event id>-<k>`), from 0; `-1` for all others. */
  readonly sub: number
  /** LSN of the change itself (XLogData's start). Neither unique nor monotonic. */
  readonly lsn: Lsn
  /** `undefined` only for M. The TableShapes stage replaces it where pgoutput still names a renamed schema as before. */
  relation: Relation | undefined
  readonly oldKind: OldRowKind
  /** New row of I and U; `undefined` otherwise. */
  newRow(): Row | undefined
  /** Old row of U and D, if one was sent. wal2json's has only the identity columns. */
  oldRow(): Row | undefined
  readonly message: LogicalMessage | undefined
  /** Bytes of its frame: what it counts for in every budget. */
  readonly byteLength: number

  /** Set by the TableShapes stage: the shape in force at this place of the stream. */
  shape: TableShape | undefined
  /** Set by the Injector stage: ids for the payload; `undefined` = the empty form. */
  metadata: EventMetadata | undefined
  /** Schema events only: oids of the tables that their statement changed, for the order. */
  affects: ReadonlyArray<number> | undefined
  /** Only what a copy sends: who asked. It has no number. */
  readonly copy?: CopyOrigin
}

/** Where a row of a copy, or the schema entry before it, comes from. */
export interface CopyOrigin {
  /** `webhook-id`: `s-<32 hex digits>`. */
  readonly id: EventId.EventId
  /** The subscription that asked, whatever event types it takes; `undefined`: every one that takes inserts of the table. */
  readonly subscription: string | undefined
}

/** `metadata` and column ids of a payload (golden/SCENARIOS.md). One object per (table shape, schema entry): a cache key too. */
export interface EventMetadata {
  /** Id of the schema-log entry in force. */
  readonly schemaId: string | null
  readonly tableId: string
  /** Column ids by column name. */
  readonly columnIds: ReadonlyMap<string, string>
  /** Ids of the identity columns, in the key's order; `null` for a table without a key. */
  readonly idColumnIds: ReadonlyArray<string> | null
}
