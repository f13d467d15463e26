/** Stream order inside one endpoint: by commit, then by place in the transaction. */
import type { Lsn } from "../../../domain/Lsn.ts"

export interface Placed {
  readonly commitLsn: Lsn
  readonly ordinal: number
}

export const compare = (a: Placed, b: Placed): number => a.commitLsn - b.commitLsn || a.ordinal - b.ordinal

/** Beyond every position. */
export const END: Placed = { commitLsn: Infinity, ordinal: Infinity }

export const earlier = (a: Placed, b: Placed): Placed => (compare(a, b) <= 0 ? a : b)
