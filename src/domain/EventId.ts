/**
 * `webhook-id`: derived from the WAL alone, so it is the same after any restart, failover or new slot.
 *
 * - `<16 hex digits>-<hex>-<n>`: LSN of the commit record, commit time in µs since 2000, place in the transaction.
 * - `<event id>-<k>`: the k-th schema event made from a row of `pgstream.ddl`.
 * - `<16 hex digits>-m`: a non-transactional message, by its own LSN.
 */
import { type Lsn, toHex16 } from "./Lsn.ts"

export type EventId = string
export type IdPrefix = string

export const prefixOf = (commitLsn: Lsn, commitTimeUs: number): IdPrefix =>
  `${toHex16(commitLsn)}-${commitTimeUs.toString(16)}-`

interface Identified {
  readonly transaction: { readonly idPrefix: IdPrefix }
  readonly ordinal: number
  readonly sub: number
  readonly lsn: Lsn
}

export const of = (change: Identified): EventId => {
  if (change.ordinal < 0) return `${toHex16(change.lsn)}-m`
  const id = change.transaction.idPrefix + change.ordinal
  return change.sub < 0 ? id : `${id}-${change.sub}`
}
