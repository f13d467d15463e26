/**
 * Ids of tables and schema-log entries (`pgstream.xid`), where one has to be made outside the trigger.
 *
 * - Shape: 20 characters of `0-9a-v` (base32hex, lower case) for 12 bytes: seconds (4, big endian), machine
 *   (3), pid (2), counter (3), as golden/SCHEMA.md describes the SQL function.
 * - A derived id keeps the time of the id that it comes from and replaces the other 8 bytes by a hash, so a
 *   replay derives the same one.
 */

const ALPHABET = "0123456789abcdefghijklmnopqrstuv"
const BYTES = 12
const LENGTH = 20

export type Xid = string

/** 20 characters of the alphabet, and no set bit beyond the 96th. */
export const is = (text: string): boolean => /^[0-9a-v]{19}[0g]$/.test(text)

export const encode = (bytes: Uint8Array): Xid => {
  let text = ""
  let bits = 0
  let held = 0
  for (const byte of bytes.subarray(0, BYTES)) {
    held = (held << 8) | byte
    bits += 8
    while (bits >= 5) {
      bits -= 5
      text += ALPHABET[(held >> bits) & 31]
    }
    held &= 255
  }
  return text + ALPHABET[(held << (5 - bits)) & 31]
}

/** The 12 bytes; characters outside the alphabet count as 0. */
export const decode = (xid: Xid): Uint8Array => {
  const bytes = new Uint8Array(BYTES)
  let bits = 0
  let held = 0
  let at = 0
  for (let i = 0; i < LENGTH && at < BYTES; i++) {
    held = (held << 5) | Math.max(0, ALPHABET.indexOf(xid[i] ?? "0"))
    bits += 5
    if (bits >= 8) {
      bits -= 8
      bytes[at++] = (held >> bits) & 255
    }
    held &= 255
  }
  return bytes
}

/** FNV-1a, 32 bits, over the text's UTF-16 units. */
const hash = (text: string, seed: number): number => {
  let h = (0x811c9dc5 ^ seed) >>> 0
  for (let i = 0; i < text.length; i++) {
    const unit = text.charCodeAt(i)
    h = Math.imul(h ^ (unit & 255), 0x01000193)
    h = Math.imul(h ^ (unit >> 8), 0x01000193)
  }
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b)
  return (h ^ (h >>> 13)) >>> 0
}

/** An id of its own for `what`, with the time of `from`: the same arguments give the same id. */
export const derive = (from: Xid, what: string): Xid => {
  const bytes = decode(from)
  const view = new DataView(bytes.buffer)
  view.setUint32(4, hash(`${from}/${what}`, 1))
  view.setUint32(8, hash(`${from}/${what}`, 2))
  return encode(bytes)
}
