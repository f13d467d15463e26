/**
 * The body of a request that carries several events: `[{"id":…,"sequence":…,"timestamp":…,"event":{"Data":…}}, …]`, in
 * the order of the items. The bodies of the events are copied as they are, not parsed; no item makes an object.
 */
import type { EventId } from "./EventId.ts"
import * as JsonBytes from "./JsonBytes.ts"

export interface BatchItem {
  /** By which receivers drop duplicates: it is the event's own, in whichever batch it comes. */
  readonly id: EventId
  /** As `webhook-sequence`; 0 = none, the field is left out. */
  readonly sequence: number
  /** `{"Data":…}` */
  readonly body: Uint8Array
}

const OPEN = 0x5b
const COMMA = 0x2c
const CLOSE = 0x5d
const QUOTE = 0x22
const BACKSLASH = 0x5c
const END_OF_ITEM = 0x7d
const idOpen = Buffer.from("{\"id\":")
const sequenceOpen = Buffer.from(",\"sequence\":")
/** Digits of a number at most. */
const MAX_DIGITS = 16
/** Bytes of an item at most, without its id as JSON and its body: comma, names, both numbers. */
const AROUND_BYTES = 1 + idOpen.length + sequenceOpen.length + MAX_DIGITS + ",\"timestamp\":".length + MAX_DIGITS + ",\"event\":".length + 1

/** `webhook-id` of a batch: the same items always have the same. */
export const idOf = (firstId: EventId, count: number): string => `b-${firstId}-${count}`

/** In JSON it is itself, one byte. */
const isPlainCode = (code: number): boolean => code >= 0x20 && code <= 0x7e && code !== QUOTE && code !== BACKSLASH

/** As JSON it is itself between quotes, which holds for every id that we make. */
const isPlain = (text: string): boolean => {
  for (let i = 0; i < text.length; i++) if (!isPlainCode(text.charCodeAt(i))) return false
  return true
}

/** Bytes that `write` needs for these items at most. */
export const roomFor = (items: ReadonlyArray<BatchItem>): number => {
  let size = 2
  for (let i = 0; i < items.length; i++) {
    const { body, id } = items[i]!
    size += AROUND_BYTES + body.length + (isPlain(id) ? id.length + 2 : Buffer.byteLength(JsonBytes.quote(id), "utf8"))
  }
  return size
}

const putId = (target: Buffer, offset: number, id: EventId): number => {
  let at = offset
  target[at++] = QUOTE
  for (let i = 0; i < id.length; i++) {
    const code = id.charCodeAt(i)
    if (!isPlainCode(code)) return offset + target.write(JsonBytes.quote(id), offset, "utf8")
    target[at++] = code
  }
  target[at++] = QUOTE
  return at
}

const putNumber = (target: Buffer, offset: number, value: number): number => {
  let end = offset + 1
  for (let left = value; left >= 10; left = Math.floor(left / 10)) end++
  for (let at = end - 1, left = value; at >= offset; at--) {
    const tens = Math.floor(left / 10)
    target[at] = 0x30 + (left - 10 * tens)
    left = tens
  }
  return end
}

/**
 * The body, in `target`, which has room for it. `timestampSeconds` (s since 1970): when this request was made, as
 * `webhook-timestamp`.
 */
export const write = (items: ReadonlyArray<BatchItem>, timestampSeconds: number, target: Buffer): Uint8Array => {
  const eventOpen = Buffer.from(`,"timestamp":${timestampSeconds},"event":`, "latin1")
  let at = 0
  target[at++] = OPEN
  for (let i = 0; i < items.length; i++) {
    const { body, id, sequence } = items[i]!
    if (i > 0) target[at++] = COMMA
    at = putId(target, JsonBytes.copy(target, at, idOpen, 0, idOpen.length), id)
    if (sequence > 0) at = putNumber(target, JsonBytes.copy(target, at, sequenceOpen, 0, sequenceOpen.length), sequence)
    at = JsonBytes.copy(target, at, eventOpen, 0, eventOpen.length)
    target.set(body, at)
    at += body.length
    target[at++] = END_OF_ITEM
  }
  target[at++] = CLOSE
  return target.subarray(0, at)
}
