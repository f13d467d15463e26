/**
 * Transactions that the stream brought and that a snapshot may not see yet: a commit is in the WAL before others see
 * it, with a synchronous standby much before. A chunk that is read meanwhile has their rows as they were.
 *
 * Each is remembered until a snapshot sees it. `order` counts transactions: which of them came before a mark.
 */
import { sees, type SnapshotText } from "./SnapshotText.ts"

/** Above this many a snapshot is to be asked for, to forget what it sees. */
export const MAX_REMEMBERED = 65_536

export class Delivered {
  readonly #orders = new Map<number, number>()
  #order = 0

  /** How many transactions came so far. */
  get order(): number {
    return this.#order
  }

  get size(): number {
    return this.#orders.size
  }

  /** A transaction's end in the stream. `xid`: low 32 bits; 0: unknown. */
  add(xid: number): void {
    this.#order++
    if (xid !== 0) this.#orders.set(xid, this.#order)
  }

  /** Transactions that committed in the WAL before the stream starts, and may not be seen yet. */
  addBefore(xids: Iterable<number>): void {
    for (const xid of xids) this.#orders.set(xid, 0)
  }

  /** Forgets what `snapshot` sees. Is there one left that came up to `order`? Then the snapshot is too old. */
  unseen(snapshot: SnapshotText, order: number): boolean {
    let left = false
    for (const [xid, came] of this.#orders) {
      if (sees(snapshot, xid)) this.#orders.delete(xid)
      else if (came <= order) left = true
    }
    return left
  }
}
