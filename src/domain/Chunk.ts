/**
 * What flows between the stages: a run of the stream, in its order, with bounded bytes. A transaction may span
 * many chunks; nothing is ever collected to its end.
 */
import type { Change, Transaction } from "./Change.ts"
import type { DefinitionsDelta } from "./Subscription.ts"
import type { Lsn } from "./Lsn.ts"
import type { ShapesDelta } from "./TableShape.ts"

/** The end of a transaction. Everything of it came before. */
export interface Commit {
  readonly _tag: "Commit"
  readonly transaction: Transaction
  /** End LSN of the commit record: what is acknowledged once all before it is settled. */
  readonly endLsn: Lsn
  /** Set by the TableShapes stage: shapes and versions that this transaction changed. */
  shapes: ShapesDelta | undefined
  /** Set by the Dispatcher's cache: definitions that this transaction changed. */
  definitions: DefinitionsDelta | undefined
}

/** The server's WAL end while nothing is being sent: also a position that may be acknowledged. */
export interface Keepalive {
  readonly _tag: "Keepalive"
  readonly walEnd: Lsn
}

/** Something that could not be decoded or is over a limit: dead-lettered with its position; the stream goes on. */
export interface Undecodable {
  readonly _tag: "Undecodable"
  readonly transaction: Transaction
  readonly ordinal: number
  readonly lsn: Lsn
  /** What and why, without a value of the row. */
  readonly reason: string
  /** `schema.table`, where known. */
  readonly table: string | undefined
}

export type Item = Change | Commit | Keepalive | Undecodable

export interface Chunk {
  readonly items: ReadonlyArray<Item>
  /** Sum of the frames' bytes. */
  readonly bytes: number
}
