/**
 * `pg_current_snapshot()`: which transactions a snapshot does not see.
 *
 * - Text form: `xmin:xmax:xip,xip,…`, 64-bit transaction ids. All below xmin have ended; of those from xmin below xmax
 *   the listed ones run; none from xmax on is seen. Only top-level transactions are listed.
 * - The stream knows the low 32 bits of an id: they are compared around the circle.
 * - Source: PostgreSQL documentation, "Transaction ID and Snapshot Information Functions".
 */
export interface SnapshotText {
  /** Low 32 bits each. */
  readonly xmax: number
  readonly running: ReadonlySet<number>
}

const MASK = 0xffffffffn

const low = (text: string): number => Number(BigInt(text) & MASK)

export const parse = (text: string): SnapshotText | undefined => {
  const match = /^(\d+):(\d+):((?:\d+(?:,\d+)*)?)$/.exec(text)
  if (match === null) return undefined
  const list = match[3]!
  return { xmax: low(match[2]!), running: new Set(list === "" ? [] : list.split(",").map(low)) }
}

/** Does the snapshot see what transaction `xid` (low 32 bits) committed, if it has? */
export const sees = (snapshot: SnapshotText, xid: number): boolean =>
  ((xid - snapshot.xmax) | 0) < 0 && !snapshot.running.has(xid)
