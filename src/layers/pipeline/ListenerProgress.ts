/**
 * What was handed on, so that a stream that was opened again goes on without a gap and without repeats. Plain code.
 *
 * Transactions come whole and in the order of their commits, so one mark is enough: the last commit that was handed
 * on, and how much of the transaction after it. A message outside of a transaction comes in the order of its LSN.
 */
import type { Item } from "../../domain/Chunk.ts"
import type { Lsn } from "../../domain/Lsn.ts"

export class ListenerProgress {
  /** End LSN of the last whole transaction: where to open again. */
  resumeAt: Lsn
  /** The highest position that was handed on and may be acknowledged. */
  handedOn: Lsn
  #commitLsn: Lsn = -1
  #ordinal = -1
  #finished = true
  #messageLsn: Lsn = -1

  constructor(startedAt: Lsn) {
    this.resumeAt = startedAt
    this.handedOn = startedAt
  }

  /** Changes that were handed on and whose commit was not. */
  get inTransaction(): boolean {
    return !this.#finished
  }

  /** Whether `item` is news; it then counts as handed on. */
  accept(item: Item): boolean {
    if (item._tag === "Keepalive") {
      if (item.walEnd <= this.handedOn) return false
      this.handedOn = item.walEnd
      return true
    }
    if (item._tag === "Commit") {
      if (item.endLsn <= this.resumeAt) return false
      this.resumeAt = item.endLsn
      this.handedOn = Math.max(this.handedOn, item.endLsn)
      this.#commitLsn = item.transaction.commitLsn
      this.#finished = true
      return true
    }
    if (item._tag === "Undecodable" && item.ordinal < 0) return true
    return item.ordinal < 0
      ? this.#acceptOutside(item.lsn)
      : this.#acceptInside(item.transaction.commitLsn, item.ordinal)
  }

  #acceptOutside(lsn: Lsn): boolean {
    if (lsn <= this.#messageLsn) return false
    this.#messageLsn = lsn
    return true
  }

  #acceptInside(commitLsn: Lsn, ordinal: number): boolean {
    if (commitLsn < this.#commitLsn) return false
    if (commitLsn === this.#commitLsn && (this.#finished || ordinal <= this.#ordinal)) return false
    this.#commitLsn = commitLsn
    this.#ordinal = ordinal
    this.#finished = false
    return true
  }
}
