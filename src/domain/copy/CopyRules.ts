/**
 * The rules of a copy (DESIGN.md "Copy"), each by name. Production has them all; a test takes one back and has to see
 * a receiver end with another table than the source has.
 */
export interface CopyRules {
  /** A chunk is read only when its low mark came in the stream. */
  readonly waitForLowMark: boolean
  /** A snapshot that does not see what the stream has delivered is taken anew. */
  readonly seeDelivered: boolean
  /** The table is locked before the snapshot is taken. */
  readonly lockFirst: boolean
  /** A row whose key an event touched in the window stays out. */
  readonly rowsYield: boolean
  /** Of these, rows of which the event did not tell all are read again by their key. */
  readonly readUncoveredAgain: boolean
  /** So are rows whose key changed, until the table's copy is done. */
  readonly readMovedAgain: boolean
  /** A table that was rewritten meanwhile is copied anew. */
  readonly restartRewritten: boolean
}

export type CopyRuleName = keyof CopyRules

export const all: CopyRules = {
  waitForLowMark: true,
  seeDelivered: true,
  lockFirst: true,
  rowsYield: true,
  readUncoveredAgain: true,
  readMovedAgain: true,
  restartRewritten: true
}

/** All rules but one: for tests. */
export const without = (name: CopyRuleName): CopyRules => ({ ...all, [name]: false })
