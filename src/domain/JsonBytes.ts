/**
 * JSON written as bytes: text in UTF-8 becomes a JSON string exactly as `JSON.stringify` writes it, but for
 * `\b` and `\f`, which are `\u0008` and `\u000c` (golden/SCENARIOS.md "Byte form").
 */
const hex = Buffer.from("0123456789abcdef")

/** Per byte: 0 as it is · 6 as `\u00xx` · else the letter behind a backslash. */
const escapes = new Uint8Array(256)
for (let byte = 0; byte < 0x20; byte++) escapes[byte] = 6
escapes[0x09] = 0x74
escapes[0x0a] = 0x6e
escapes[0x0d] = 0x72
escapes[0x22] = 0x22
escapes[0x5c] = 0x5c

/** A byte of text never becomes more bytes than this. */
export const MAX_GROWTH = 6

/** Exact size of the escaped text, without its quotes. */
export const escapedSize = (source: Uint8Array, from: number, to: number): number => {
  let size = to - from
  for (let at = from; at < to; at++) {
    const escape = escapes[source[at]!]!
    if (escape !== 0) size += escape === 6 ? 5 : 1
  }
  return size
}

/** Writes the escaped text, without quotes, and returns the offset behind it. The caller made room. */
export const writeEscaped = (
  target: Uint8Array, offset: number, source: Uint8Array, from: number, to: number
): number => {
  let write = offset
  for (let at = from; at < to; at++) {
    const byte = source[at]!
    const escape = escapes[byte]!
    if (escape === 0) {
      target[write++] = byte
    } else if (escape === 6) {
      target[write] = 0x5c
      target[write + 1] = 0x75
      target[write + 2] = 0x30
      target[write + 3] = 0x30
      target[write + 4] = hex[byte >> 4]!
      target[write + 5] = hex[byte & 15]!
      write += 6
    } else {
      target[write] = 0x5c
      target[write + 1] = escape
      write += 2
    }
  }
  return write
}

/** Copies bytes: short ones by a loop, which is faster than a call, others at once. */
export const copy = (target: Uint8Array, offset: number, source: Uint8Array, from: number, to: number): number => {
  if (to - from > 96) {
    target.set(source.subarray(from, to), offset)
    return offset + to - from
  }
  let write = offset
  for (let at = from; at < to; at++) target[write++] = source[at]!
  return write
}

/** Largest text of a position: `FFFFFFFF/FFFFFFFF`. */
export const LSN_SIZE = 17

const writeHex = (target: Uint8Array, offset: number, value: number): number => {
  let digits = 1
  for (let rest = value >>> 4; rest !== 0; rest >>>= 4) digits++
  for (let i = digits - 1, rest = value; i >= 0; i--, rest >>>= 4) {
    const digit = rest & 15
    target[offset + i] = digit < 10 ? 0x30 + digit : 0x37 + digit
  }
  return offset + digits
}

/** Writes a position as Postgres prints it. */
export const writeLsn = (target: Uint8Array, offset: number, lsn: number): number => {
  const high = Math.floor(lsn / 2 ** 32)
  const at = writeHex(target, offset, high)
  target[at] = 0x2f
  return writeHex(target, at + 1, lsn - high * 2 ** 32)
}

/** A JavaScript string as a JSON string, quotes included, in this module's form. */
export const quote = (text: string): string =>
  JSON.stringify(text).replaceAll(/\\(?:u[0-9a-f]{4}|.)/g, (escape) =>
    escape === "\\b" ? "\\u0008" : escape === "\\f" ? "\\u000c" : escape)
