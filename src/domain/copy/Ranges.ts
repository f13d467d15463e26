/**
 * A table cut into ranges of its key, in order: what was planned, is being read, is settled. A range is open below and
 * closed above: `from < key <= to`; `undefined` is the end on that side. A range that turns out too large is cut.
 */

/** Values of the key's columns as text; of a table without a key, one row pointer (`(page,line)`). */
export type Bound = ReadonlyArray<string> | undefined

export interface Range {
  readonly from: Bound
  to: Bound
  /** Rows of the table in it, about; with a condition fewer come. */
  rows: number
  state: "free" | "reading" | "settled"
}

export class Ranges {
  #ranges: Array<Range> = []
  /** Where the next range begins; the table is planned to its end once `#planned`. */
  #next: Bound
  #planned = false
  #through: Bound

  /** Rows up to `settled` are settled already. */
  constructor(settled: Bound) {
    this.#next = settled
    this.#through = settled
  }

  /** Everything up to it is settled. */
  get through(): Bound {
    return this.#through
  }

  /** Below this nothing is planned; where to look for the next bound. */
  get next(): Bound {
    return this.#next
  }

  get planned(): boolean {
    return this.#planned
  }

  /** All of the table was read and is settled. */
  get done(): boolean {
    return this.#planned && this.#ranges.length === 0
  }

  /** Ranges that are free or being read. */
  get open(): number {
    return this.#ranges.filter(({ state }) => state !== "settled").length
  }

  /** The next range ends at `to` and has about `rows` rows; `undefined`: it is the last. */
  plan(to: Bound, rows: number): void {
    this.#ranges.push({ from: this.#next, to, rows, state: "free" })
    if (to === undefined) this.#planned = true
    else this.#next = to
  }

  /** The first range that nobody reads; it is being read then. */
  take(): Range | undefined {
    const range = this.#ranges.find(({ state }) => state === "free")
    if (range !== undefined) range.state = "reading"
    return range
  }

  /** It was read up to `at` only, which was about `rows` rows: the rest is a range of its own. */
  cut(range: Range, at: ReadonlyArray<string>, rows: number): void {
    this.#ranges.splice(this.#ranges.indexOf(range) + 1, 0, { from: at, to: range.to, rows: Math.max(1, range.rows - rows), state: "free" })
    range.to = at
    range.rows = rows
  }

  /** It is to be read again. */
  giveBack(range: Range): void {
    range.state = "free"
  }

  settle(range: Range): void {
    range.state = "settled"
    let settled = 0
    for (const each of this.#ranges) {
      if (each.state !== "settled") break
      this.#through = each.to
      settled++
    }
    this.#ranges.splice(0, settled)
  }
}
