/** Stream order inside one endpoint: by commit, then by place in the transaction. */
import type { Lsn } from "../../../domain/Lsn.ts"

export interface Placed {
  readonly commitLsn: Lsn
  readonly ordinal: number
}

export const compare = (a: Placed, b: Placed): number => a.commitLsn - b.commitLsn || a.ordinal - b.ordinal

/** Before every position, and beyond. */
export const START: Placed = { commitLsn: -Infinity, ordinal: -Infinity }
export const END: Placed = { commitLsn: Infinity, ordinal: Infinity }

export const earlier = (a: Placed, b: Placed): Placed => (compare(a, b) <= 0 ? a : b)

/** The last position that is earlier: places are whole numbers. */
export const before = ({ commitLsn, ordinal }: Placed): Placed => ({ commitLsn, ordinal: ordinal - 1 })

export const later = (a: Placed, b: Placed): Placed => (compare(a, b) >= 0 ? a : b)
