/**
 * How many rows of one endpoint were parked for events above the stored position P, which a start would find there
 * (`FutureRows`). P stands still inside a transaction, and while a checkpoint takes long; rows that share their keys, have
 * none or are dead are bounded by nothing else. With too many the endpoint is behind, and its reader waits for P.
 */
import type { Lsn } from "../../../domain/Lsn.ts"

/** Rows that are counted as if they had the place of the last of them. */
const STEP_ROWS = 1_024

interface Step {
  upTo: Lsn
  rows: number
}

export interface RowsAheadOptions {
  readonly max: number
  /** Fewer than too many again. */
  readonly fewer: () => void
}

export class RowsAhead {
  private count = 0
  /** In order of `upTo`. */
  private readonly steps: Array<Step> = []
  private readonly options: RowsAheadOptions

  constructor(options: RowsAheadOptions) {
    this.options = options
  }

  get size(): number {
    return this.count
  }

  get isTooMany(): boolean {
    return this.count > this.options.max
  }

  add(commitLsn: Lsn): void {
    this.count++
    const last = this.steps.at(-1)
    if (last === undefined || (last.rows >= STEP_ROWS && commitLsn > last.upTo)) return void this.steps.push({ upTo: commitLsn, rows: 1 })
    last.rows++
    last.upTo = Math.max(last.upTo, commitLsn)
  }

  /** What is below `position` is stored: a start does not bring it again. */
  stored(position: Lsn): void {
    const wereTooMany = this.isTooMany
    while (this.steps.length > 0 && this.steps[0]!.upTo < position) this.count -= this.steps.shift()!.rows
    if (wereTooMany && !this.isTooMany) this.options.fewer()
  }
}
