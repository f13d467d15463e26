/**
 * `webhook-id`: derived from the WAL alone, so it is the same after any restart, failover or new slot.
 *
 * - `<16 hex digits>-<hex>-<n>`: LSN of the commit record, commit time in µs since 2000, place in the transaction.
 * - `<event id>-<k>`: the k-th schema event made from a row of `pgstream.ddl`.
 * - `<16 hex digits>-m`: a non-transactional message, by its own LSN.
 * - `s-<32 hex digits>`: a row of a copy, by the request, the row's key and its version.
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
  readonly copy?: { readonly id: EventId }
}

/** Of a copy, not of the stream. */
export const isCopied = (id: EventId): boolean => id.charCodeAt(0) === 0x73 && id.charCodeAt(1) === 0x2d

export const of = (change: Identified): EventId => {
  if (change.copy !== undefined) return change.copy.id
  if (change.ordinal < 0) return `${toHex16(change.lsn)}-m`
  const id = change.transaction.idPrefix + change.ordinal
  return change.sub < 0 ? id : `${id}-${change.sub}`
}

const FORM = /^(?:[0-9a-f]{16}-(?:m|[0-9a-f]{1,15}-\d{1,10}(?:-\d{1,10})?)|(?:s|b|test|notice)-[\w-]{1,100})$/

/** Something that is sent as `webhook-id`: also that of a batch (`b-`), a test or a notice. */
export const isOne = (text: string): boolean => FORM.test(text)
