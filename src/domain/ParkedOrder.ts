/**
 * The order of parked deliveries of one endpoint: that of the stream, (commit LSN, place in the transaction). Two may
 * share a place only when WAL positions came again (a restored disk); a page ends between such groups, not inside one.
 */
import type { EndpointId } from "./Subscription.ts"
import type { Lsn } from "./Lsn.ts"

interface Placed {
  readonly endpointId: EndpointId
  readonly id: string
  readonly commitLsn: Lsn
  readonly ordinal: number
}

export const inStreamOrder = (a: Placed, b: Placed): number =>
  a.commitLsn - b.commitLsn || a.ordinal - b.ordinal || (a.id < b.id ? -1 : 1)

const samePlace = (a: Placed, b: Placed): boolean =>
  a.endpointId === b.endpointId && a.commitLsn === b.commitLsn && a.ordinal === b.ordinal

/**
 * How many of the sorted `rows` make the next page: `limit`, or fewer when their bodies pass `maxBytes`, and on to
 * the end of the last one's group. At least one group.
 */
export const endOfPage = (
  rows: ReadonlyArray<Placed & { readonly body?: Uint8Array }>,
  limit: number,
  maxBytes = Number.POSITIVE_INFINITY
): number => {
  let bytes = 0
  let end = 0
  while (end < rows.length) {
    const row = rows[end]!
    const continues = end > 0 && samePlace(rows[end - 1]!, row)
    if (!continues && end > 0 && (end >= limit || bytes > maxBytes)) return end
    bytes += row.body?.byteLength ?? 0
    end++
  }
  return end
}
