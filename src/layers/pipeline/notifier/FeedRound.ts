/**
 * What one round of a feeder knows: the rows that it passed over, and what changed in the lanes and in the write
 * buffer since its last scan began, since a scan is not atomic with either (DESIGN.md "Feeder").
 */
import * as Latch from "effect/Latch"
import type { Key } from "../../../domain/Key.ts"
import { ParkedKeys } from "../../../domain/OrderParked.ts"
import type { Rules } from "../../../domain/Rules.ts"
import { compare, earlier, END, type Placed } from "./Position.ts"

interface Row extends Placed {
  readonly id: string
  readonly keys: ReadonlyArray<Key>
}

export class FeedRound {
  /** Keys of the rows up to the cursor that are in the table and not in the lanes: later ones that share one stay. */
  readonly held: ParkedKeys
  /** The first row that was passed over. */
  firstPassed: Placed | undefined = undefined
  /** Keys of rows in the lanes that failed before: what is behind them stays until they are decided. */
  readonly probes: ParkedKeys
  /** The last row that was looked at. */
  cursor: Placed | undefined = undefined
  /** When the next row that was passed over is due, ms. */
  nextDueMs = Infinity
  /** Opened when a fed row leaves the lanes. */
  readonly room = Latch.makeUnsafe(false)
  /** Lowest position that the write buffer held since the scan under way began. */
  private low: Placed = END
  /** Rows that left the lanes or the write buffer since the scan under way began: its answer is older. */
  private left = new Set<string>()
  /** Rows that went back to the table during this round. */
  private readonly backIds = new Set<string>()

  constructor(rules: Rules) {
    this.held = new ParkedKeys(rules)
    this.probes = new ParkedKeys(rules)
  }

  beginScan(pending: Iterable<Placed>): void {
    this.low = END
    this.left = new Set()
    for (const place of pending) this.low = earlier(this.low, place)
  }

  get clean(): boolean {
    return this.low === END
  }

  isBelowBuffer(row: Placed): boolean {
    return this.low === END || compare(row, this.low) < 0
  }

  /** The scan's row is not what it was: decided, or changed by a write that the scan may not have seen. */
  isStale(row: Row): boolean {
    return this.left.has(row.id) && !this.backIds.has(row.id)
  }

  isBack(row: Row): boolean {
    return this.backIds.has(row.id)
  }

  blocks(row: Row): boolean {
    return this.held.conflicts(row.keys) || this.probes.conflicts(row.keys)
  }

  pass(row: Placed & { readonly keys: ReadonlyArray<Key> }): void {
    this.firstPassed = this.firstPassed === undefined ? row : earlier(this.firstPassed, row)
    this.held.add(row.keys)
  }

  /** It went to the write buffer. */
  written(row: Row): void {
    this.low = earlier(this.low, row)
    this.hold(row)
  }

  /** It went back to the table, which has it as it is. */
  back(row: Row): void {
    this.backIds.add(row.id)
    this.hold(row)
  }

  /** It is durable, or decided: it left the hands of lanes and write buffer. */
  leaves(id: string): void {
    this.left.add(id)
  }

  /** A dead one frees its keys. */
  dead(row: Row): void {
    if (!this.isPassed(row)) return
    this.held.remove(row.keys)
  }

  private hold(row: Row): void {
    if (this.isPassed(row)) this.pass(row)
  }

  private isPassed(row: Placed): boolean {
    return this.cursor !== undefined && compare(row, this.cursor) <= 0
  }
}
