/** What both decoders know of the open transaction: its values, and the count of what was handed out. */
import type { Transaction } from "./Change.ts"
import type { Undecodable } from "./Chunk.ts"
import * as EventId from "./EventId.ts"
import type { Frame } from "./Frame.ts"
import type { Lsn } from "./Lsn.ts"

/** Tables of the schema `pgstream` whose rows the pipeline reads. */
export const readTables: ReadonlySet<string> = new Set(["ddl", "webhook_subscriptions", "marks"])
export const ownSchema = "pgstream"

export const transactionOf = (commitLsn: Lsn, commitTimeUs: number, timestamp: string, xid: number): Transaction => ({
  commitLsn, commitTimeUs, timestamp, xid, idPrefix: EventId.prefixOf(commitLsn, commitTimeUs)
})

/** Stands for a transaction where there is none: a non-transactional message, or a frame outside of BEGIN and COMMIT. */
export const outside = (lsn: Lsn): Transaction => transactionOf(lsn, 0, "", 0)

export class OpenTransaction {
  private transaction: Transaction | undefined = undefined
  private count = 0

  begin(transaction: Transaction): void {
    this.transaction = transaction
    this.count = 0
  }

  /** `undefined` outside of a transaction. */
  get current(): Transaction | undefined {
    return this.transaction
  }

  end(): void {
    this.transaction = undefined
  }

  /** The place of the next thing handed out. */
  next(): number {
    return this.count++
  }

  /** A frame that could not be read. `counted`: it is a change, so it takes a place in the transaction. */
  undecodable(frame: Frame, counted: boolean, reason: string, table: string | undefined): Undecodable {
    return {
      _tag: "Undecodable",
      transaction: this.transaction ?? outside(frame.lsn),
      ordinal: counted && this.transaction !== undefined ? this.count++ : -1,
      lsn: frame.lsn,
      reason,
      table
    }
  }
}
