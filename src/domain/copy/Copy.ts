/**
 * A copy: rows that are there already, for the subscriptions that asked (DESIGN.md "Copy"). What is asked for, and how
 * far it is. All of it is kept in `pgstream.copies` and `pgstream.copy_tables`, so it survives a kill.
 */
import type { SubscriptionId } from "../Subscription.ts"

/** Decimal, from 1: `pgstream.copies.id`. */
export type CopyId = string

/** What could be the id of a copy. */
export const isCopyId = (text: string): boolean => /^[1-9]\d{0,18}$/.test(text)

/**
 * requested: nothing was read yet · running · paused: by the operator, what was read is kept · done: each row is settled ·
 * failed: the tables that could be copied are, at least one could not · cancelled: nothing more is read or sent.
 */
export type CopyState = "requested" | "running" | "paused" | "done" | "failed" | "cancelled"

export const isOver = (state: CopyState): boolean => state === "done" || state === "failed" || state === "cancelled"

/** full: the schema's entry, then its rows · data: rows only · schema: entries only. */
export type CopyMode = "full" | "data" | "schema"

/** Exact and case-sensitive, without quotes. */
export interface TableName {
  readonly schema: string
  readonly table: string
}

export const nameOf = (name: TableName): string => `${name.schema}.${name.table}`

export interface CopySpec {
  /** The subscription that asked, whatever event types it takes; `undefined`: every one that takes the table's inserts. */
  readonly subscription: SubscriptionId | undefined
  /** Patterns are resolved by who asks. A partitioned parent stands for its leaves, a parent by inheritance for itself. */
  readonly tables: ReadonlyArray<TableName>
  /** A condition in SQL on the rows of each table; `undefined`: all rows. */
  readonly where: string | undefined
  readonly mode: CopyMode
  /**
   * Only where nobody in particular asked: whether a table is copied again that such a copy has copied. A copy that is
   * not over goes on in both cases.
   */
  readonly repeatable: boolean
}

export type CopyTableState = "waiting" | "running" | "done" | "failed"

/** How far one table is. A partition counts for itself. */
export interface TableProgress extends TableName {
  readonly state: CopyTableState
  /** Rows that were settled: delivered or parked. */
  readonly rows: number
  /** Their values' bytes. */
  readonly bytes: number
  /** Estimates from what Postgres knows; `undefined`: it was never analysed. For a bar, nothing depends on them. */
  readonly totalRows: number | undefined
  /** Bytes of the table's main and TOAST relations; `undefined` until the table was looked at. */
  readonly totalBytes: number | undefined
  /** Why it failed, without a value of a row. */
  readonly error: string | undefined
}

export interface Copy extends CopySpec {
  readonly id: CopyId
  readonly state: CopyState
  /** Why it failed as a whole; tables have their own. */
  readonly error: string | undefined
  /** ms since 1970. */
  readonly createdAtMs: number
  readonly updatedAtMs: number
  /** One per table that is read; empty while nothing was read. */
  readonly progress: ReadonlyArray<TableProgress>
}

/** What happens to a copy in `state` on the wish; `undefined`: it cannot. */
export const after = (state: CopyState, wish: "pause" | "resume" | "cancel"): CopyState | undefined => {
  if (isOver(state)) return undefined
  if (wish === "cancel") return "cancelled"
  if (wish === "pause") return "paused"
  return state === "paused" ? "requested" : state
}
