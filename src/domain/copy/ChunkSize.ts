/**
 * Rows of a range, so that reading it takes about a second and its rows are about as many bytes as they should be. No
 * statistics: the first range is small, each next one follows from what was seen.
 */
const FIRST_ROWS = 256
/** Below the number of schema events and rows that one place of the stream can hold (2^20). */
export const MAX_ROWS = 100_000
/** How long reading a range should take at most, ms; its limit is 30 s. */
const TARGET_MS = 1_000
/** From one range to the next it grows by this factor at most. */
const GROWTH = 4

export class ChunkSize {
  rows = FIRST_ROWS
  readonly #maxBytes: number

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes
  }

  /** `rows` rows of the table were looked at in `ms`, and gave `bytes` bytes of values. */
  read(rows: number, bytes: number, ms: number): void {
    if (rows === 0) return
    const byBytes = this.#maxBytes / Math.max(1, bytes / rows)
    const byTime = TARGET_MS / Math.max(0.01, ms / rows)
    this.#set(Math.min(byBytes, byTime, this.rows * GROWTH))
  }

  /** It ran into its limit. `false`: it cannot be smaller. */
  tooLong(): boolean {
    if (this.rows <= 1) return false
    this.#set(this.rows / 8)
    return true
  }

  #set(rows: number): void {
    this.rows = Math.max(1, Math.min(MAX_ROWS, Math.floor(rows)))
  }
}
