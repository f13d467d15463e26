/**
 * The head of an answer: status line and header fields, as RFC 9112 writes them. No bare LF, no folded lines, no blank
 * before a colon, no field that two readers could take differently.
 */
export interface Head {
  readonly status: number
  /** `undefined`: it does not say. */
  readonly contentLength: number | undefined
  readonly chunked: boolean
  readonly keepAlive: boolean
  /** `Infinity`: it does not say. */
  readonly keepAliveMs: number
  readonly retryAfter: string | undefined
}

const CR = 0x0d
const LF = 0x0a
const COLON = 0x3a
const BLANK = 0x20
const TAB = 0x09

/** Bytes of a field name (RFC 9110, "token"). */
const isToken = new Uint8Array(256)
for (const letter of "!#$%&'*+-.^_`|~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz") isToken[letter.charCodeAt(0)] = 1

const isBlank = (byte: number): boolean => byte === BLANK || byte === TAB
const isDigit = (byte: number): boolean => byte >= 0x30 && byte <= 0x39

const textOf = (bytes: Uint8Array, from: number, to: number): string => {
  let text = ""
  for (let at = from; at < to; at++) text += String.fromCharCode(bytes[at]!)
  return text
}

/** Names that matter, by their length: most fields are passed over without a string. */
const LENGTHS = new Set([10, 11, 14, 17])

class Reading {
  status = 0
  minor = 1
  contentLength: number | undefined
  encodings: Array<string> = []
  close = false
  keep = false
  keepAliveMs = Infinity
  retryAfter: string | undefined

  /** `false`: the field makes the answer unreadable. */
  field(name: string, value: string): boolean {
    if (name === "content-length") {
      if (this.contentLength !== undefined || !/^\d{1,15}$/.test(value)) return false
      this.contentLength = Number(value)
    } else if (name === "transfer-encoding") this.encodings.push(...listOf(value))
    else if (name === "connection") {
      const options = listOf(value)
      this.close ||= options.includes("close")
      this.keep ||= options.includes("keep-alive")
    } else if (name === "keep-alive") {
      const seconds = /(?:^|[,\s])timeout="?(\d{1,9})/i.exec(value)?.[1]
      if (seconds !== undefined) this.keepAliveMs = Number(seconds) * 1_000
    } else if (name === "retry-after") this.retryAfter ??= value
    return true
  }

  /** `undefined`: two readers would see two ends of the body. */
  head(): Head | undefined {
    const chunked = this.encodings.at(-1) === "chunked"
    if (this.encodings.length > 0) {
      if (this.contentLength !== undefined || this.minor === 0) return undefined
      if (this.encodings.indexOf("chunked") !== (chunked ? this.encodings.length - 1 : -1)) return undefined
    }
    return {
      status: this.status, contentLength: this.contentLength, chunked, keepAliveMs: this.keepAliveMs,
      keepAlive: !this.close && (this.minor === 1 || this.keep), retryAfter: this.retryAfter
    }
  }
}

const listOf = (value: string): ReadonlyArray<string> =>
  value.toLowerCase().split(",").map((one) => one.replaceAll(/[ \t]/g, "")).filter((one) => one !== "")

/** `HTTP/1.1 200 OK`: the offset behind its line, or -1. */
const statusLine = (bytes: Uint8Array, from: number, to: number, into: Reading): number => {
  if (textOf(bytes, from, Math.min(from + 7, to)) !== "HTTP/1.") return -1
  const minor = bytes[from + 7]!
  if (minor !== 0x30 && minor !== 0x31 || bytes[from + 8] !== BLANK) return -1
  const [a, b, c] = [bytes[from + 9]!, bytes[from + 10]!, bytes[from + 11]!]
  if (!isDigit(a) || !isDigit(b) || !isDigit(c) || a === 0x30) return -1
  into.minor = minor - 0x30
  into.status = (a - 0x30) * 100 + (b - 0x30) * 10 + c - 0x30
  const behind = bytes[from + 12]
  if (behind !== BLANK && behind !== CR) return -1
  return endOfLine(bytes, from + 12, to)
}

/** Offset behind CRLF; -1: a byte before it is not allowed in a field's value. */
const endOfLine = (bytes: Uint8Array, from: number, to: number): number => {
  for (let at = from; at < to; at++) {
    const byte = bytes[at]!
    if (byte === CR) return bytes[at + 1] === LF ? at + 2 : -1
    if (byte < BLANK && byte !== TAB || byte === 0x7f) return -1
  }
  return -1
}

/** Offset behind the field, or -1. */
const fieldLine = (bytes: Uint8Array, from: number, to: number, into: Reading): number => {
  let colon = from
  while (colon < to && isToken[bytes[colon]!] === 1) colon++
  if (colon === from || bytes[colon] !== COLON) return -1
  const end = endOfLine(bytes, colon + 1, to)
  if (end < 0 || !LENGTHS.has(colon - from)) return end
  let [start, stop] = [colon + 1, end - 2]
  while (start < stop && isBlank(bytes[start]!)) start++
  while (start < stop && isBlank(bytes[stop - 1]!)) stop--
  return into.field(textOf(bytes, from, colon).toLowerCase(), textOf(bytes, start, stop)) ? end : -1
}

/** `to`: behind the empty line. `undefined`: it is no head of an answer. */
export const parseHead = (bytes: Uint8Array, from: number, to: number): Head | undefined => {
  const into = new Reading()
  let at = statusLine(bytes, from, to, into)
  while (at >= 0 && at < to - 2) at = fieldLine(bytes, at, to, into)
  return at === to - 2 ? into.head() : undefined
}
