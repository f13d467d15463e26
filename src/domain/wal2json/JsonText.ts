/**
 * JSON tokens as wal2json writes them: no spaces, and strings whose bytes above 0x7f are as the database has them,
 * valid UTF-8 or not.
 */
const QUOTE = 0x22
const BACKSLASH = 0x5c

/** Offset of the quote that ends a string whose text starts at `from`; `-1` if there is none before `end`. */
export const stringEnd = (bytes: Buffer, from: number, end: number): number => {
  for (let at = from; at < end; at++) {
    const byte = bytes[at]!
    if (byte === QUOTE) return at
    if (byte === BACKSLASH) at++
  }
  return -1
}

export const hasEscape = (bytes: Buffer, from: number, to: number): boolean => {
  if (to - from > 64) {
    const at = bytes.indexOf(BACKSLASH, from)
    return at >= 0 && at < to
  }
  for (let at = from; at < to; at++) if (bytes[at] === BACKSLASH) return true
  return false
}

const simple: Record<number, number> = { 0x62: 8, 0x66: 12, 0x6e: 10, 0x72: 13, 0x74: 9 }

const hex4 = (bytes: Buffer, at: number, to: number): number => {
  const text = at + 4 > to ? "" : bytes.toString("latin1", at, at + 4)
  return /^[0-9a-fA-F]{4}$/.test(text) ? parseInt(text, 16) : -1
}

/**
 * Writes the text of a string without its escapes to `target` and returns the offset behind it: never more bytes than
 * were read. An escape that JSON does not know stands for itself (type names that wal2json wrote unescaped).
 */
export const unescape = (bytes: Buffer, from: number, to: number, target: Buffer, offset: number): number => {
  let write = offset
  for (let at = from; at < to; at++) {
    const byte = bytes[at]!
    if (byte !== BACKSLASH || at + 1 >= to) {
      target[write++] = byte
      continue
    }
    const escape = bytes[++at]!
    const control = simple[escape]
    if (control !== undefined) target[write++] = control
    else if (escape === QUOTE || escape === BACKSLASH || escape === 0x2f) target[write++] = escape
    else if (escape === 0x75 && hex4(bytes, at + 1, to) >= 0) {
      let code = hex4(bytes, at + 1, to)
      at += 4
      const low = bytes[at + 1] === BACKSLASH && bytes[at + 2] === 0x75 ? hex4(bytes, at + 3, to) : -1
      if (code >= 0xd800 && code < 0xdc00 && low >= 0xdc00 && low < 0xe000) {
        code = 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00)
        at += 6
      }
      write += target.write(String.fromCodePoint(code), write, "utf8")
    } else {
      target[write++] = BACKSLASH
      target[write++] = escape
    }
  }
  return write
}

/** The text of a string as a JavaScript string. */
export const text = (bytes: Buffer, from: number, to: number): string => {
  if (!hasEscape(bytes, from, to)) return bytes.toString("utf8", from, to)
  const target = Buffer.allocUnsafe(to - from)
  return target.toString("utf8", 0, unescape(bytes, from, to, target, 0))
}

/**
 * Offset behind any value that starts at `from` (`end` exclusive), or `-1`. Nested values are skipped by their
 * brackets, without recursion.
 */
export const skipValue = (bytes: Buffer, from: number, end: number): number => {
  let depth = 0
  for (let at = from; at < end; at++) {
    const byte = bytes[at]!
    if (byte === QUOTE) {
      at = stringEnd(bytes, at + 1, end)
      if (at < 0) return -1
      if (depth === 0) return at + 1
    } else if (byte === 0x5b || byte === 0x7b) {
      depth++
    } else if (byte === 0x5d || byte === 0x7d) {
      if (depth === 0) return at > from ? at : -1
      if (--depth === 0) return at + 1
    } else if (byte === 0x2c && depth === 0) {
      return at > from ? at : -1
    }
  }
  return -1
}
