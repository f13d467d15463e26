/**
 * Rows that were parked before a start, above its position P: the stream brings their events again. Each is skipped
 * then (its number is given), and its keys count from its place on, since what comes before it does not wait for it.
 *
 * A process leaves at most `maxParkedKeys` of an endpoint (`RowsAhead`), and what its lanes held at that moment
 * (`maxEndpointBytes` of bodies): 65,536 are about 30 MiB. On a disk that was restored positions come again, and all rows
 * of before may be above P: those are as many as waited in the table.
 */
import type { Key } from "../../../domain/Key.ts"
import type { ParkedState } from "../../../services/ParkedDeliveries.ts"
import { compare, type Placed } from "./Position.ts"

export interface FutureRow extends Placed {
  readonly id: string
  readonly keys: ReadonlyArray<Key>
  readonly state: ParkedState
  readonly bytes: number
  readonly parkedAtMs: number
}

export class FutureRows {
  /** In stream order. */
  private rows: Array<FutureRow> = []
  private at = 0
  private ids = new Set<string>()

  get size(): number {
    return this.rows.length - this.at
  }

  /** In stream order. */
  add(row: FutureRow): void {
    this.rows.push(row)
    this.ids.add(row.id)
  }

  /** Whether the event was parked before; asked once for each. */
  skips(id: string): boolean {
    return this.ids.delete(id)
  }

  /** The stream has reached `place`: those at or below it, once each. */
  reach(place: Placed, reached: (row: FutureRow) => void): void {
    while (this.at < this.rows.length && compare(this.rows[this.at]!, place) <= 0) reached(this.rows[this.at++]!)
    if (this.at === this.rows.length && this.at > 0) {
      this.rows = []
      this.at = 0
    }
  }

  /** Ids of those whose place is not reached yet. */
  ahead(): ReadonlySet<string> {
    const ids = new Set<string>()
    for (let i = this.at; i < this.rows.length; i++) ids.add(this.rows[i]!.id)
    return ids
  }

  /** Those that are not among these are gone; their events are skipped all the same. */
  keep(ids: ReadonlySet<string>): void {
    this.rows = this.rows.slice(this.at).filter(({ id }) => ids.has(id))
    this.at = 0
  }

  forget(): void {
    this.rows = []
    this.at = 0
    this.ids = new Set()
  }
}
