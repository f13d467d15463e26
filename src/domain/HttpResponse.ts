/**
 * One HTTP/1.1 answer to a POST, read from bytes as they come, in pieces of any size. Strict where two readers could
 * disagree about where an answer ends (RFC 9112, section 6.3): then it is `bad`, and the connection is given up.
 *
 * Kept of the head: what decides how it ends, the status, `Retry-After`. Interim answers (1xx) are passed over. A head
 * that is the one before, byte for byte, is not read again: most servers send the same for a second, or for ever.
 */
import { type Head, parseHead } from "./HttpHead.ts"

/** Bytes of one head, and of all trailers. */
export const MAX_HEAD_BYTES = 16 * 1_024
/** Interim answers before the real one. */
export const MAX_INTERIM = 32
/** A head of up to so many bytes is remembered. */
const MAX_KNOWN_BYTES = 1_024
/** Bytes of the line that says the size of a chunk, extensions included. */
const MAX_CHUNK_LINE_BYTES = 1_024

/** more: it goes on, without a length up to the end of the connection. done: it is whole, `consumed` says what belonged to it. bad: it is no HTTP, `problem` says why. */
export type Progress = "more" | "done" | "bad"

export type Problem = "answer is not HTTP" | "headers of the answer are too long" | "too many interim answers"

/** A part of the body. The bytes hold only until it returns. */
export type Receive = (bytes: Uint8Array, from: number, to: number) => void

type State = "head" | "length" | "close" | "chunkSize" | "chunkData" | "chunkEnd" | "trailers" | "done" | "bad"

const CR = 0x0d
const LF = 0x0a
const SEMICOLON = 0x3b

const hexValue = (byte: number): number => {
  if (byte >= 0x30 && byte <= 0x39) return byte - 0x30
  const lower = byte | 0x20
  return lower >= 0x61 && lower <= 0x66 ? lower - 0x57 : -1
}

export class HttpResponse {
  /** 0 until the head of the real answer is there. */
  status = 0
  retryAfter: string | undefined
  /** Whether another request may follow; known at `done`. */
  keepAlive = false
  /** ms that the server keeps an idle connection, from `Keep-Alive`; `Infinity`: it does not say. */
  keepAliveMs = Infinity
  problem: Problem | undefined
  /** Of the last bytes that were pushed: offset behind the answer. */
  consumed = 0
  /** Some byte of it came. */
  begun = false
  private state: State = "head"
  /** Bytes of the body, or of the chunk, that are still to come. */
  private left = 0
  private interim = 0
  private trailerBytes = 0
  private lineBytes = 0
  private lineEmpty = true
  private sawCr = false
  private digits = 0
  private inExtension = false
  /** The head, where it came in more than one piece. */
  private held: Uint8Array | undefined
  private heldBytes = 0
  /** The last head that could be read, and its bytes. */
  private known: Head | undefined
  private knownBytes = NO_BYTES
  private knownLength = 0
  private readonly receive: Receive

  constructor(receive: Receive) {
    this.receive = receive
  }

  /** For the next answer. */
  reset(): void {
    this.status = 0
    this.retryAfter = undefined
    this.keepAlive = false
    this.keepAliveMs = Infinity
    this.begun = false
    this.state = "head"
    this.interim = 0
    this.trailerBytes = 0
    this.held = undefined
    this.heldBytes = 0
  }

  push(bytes: Uint8Array, length = bytes.length): Progress {
    if (length > 0) this.begun = true
    let at = 0
    while (at < length && this.state !== "done" && this.state !== "bad") {
      if (this.state === "head") at = this.head(bytes, at, length)
      else if (this.state === "length" || this.state === "chunkData") at = this.counted(bytes, at, length)
      else if (this.state === "close") {
        this.receive(bytes, at, length)
        at = length
      } else at = this.framing(bytes, at, length)
    }
    this.consumed = at
    return this.state === "done" || this.state === "bad" ? this.state : "more"
  }

  private bad(problem: Problem): number {
    this.state = "bad"
    this.problem = problem
    return 0
  }

  private head(bytes: Uint8Array, at: number, length: number): number {
    if (this.held !== undefined) return this.heldHead(bytes, at, length)
    const end = endOfHead(bytes, at, Math.min(length, at + MAX_HEAD_BYTES))
    if (end >= 0) {
      this.take(bytes, at, end)
      return end
    }
    if (length - at >= MAX_HEAD_BYTES) return this.bad("headers of the answer are too long")
    this.held = new Uint8Array(MAX_HEAD_BYTES)
    this.held.set(bytes.subarray(at, length))
    this.heldBytes = length - at
    this.startsRight(this.held, this.heldBytes)
    return length
  }

  private heldHead(bytes: Uint8Array, at: number, length: number): number {
    const held = this.held!
    const before = this.heldBytes
    const taken = Math.min(length - at, MAX_HEAD_BYTES - before)
    held.set(bytes.subarray(at, at + taken), before)
    this.heldBytes += taken
    const end = endOfHead(held, Math.max(0, before - 3), this.heldBytes)
    if (end >= 0) {
      this.held = undefined
      this.take(held, 0, end)
      return at + end - before
    }
    if (this.heldBytes === MAX_HEAD_BYTES) return this.bad("headers of the answer are too long")
    this.startsRight(held, this.heldBytes)
    return length
  }

  /** Another protocol is told at once, not at a timeout. */
  private startsRight(bytes: Uint8Array, length: number): void {
    for (let i = 0; i < START.length && i < length; i++) if (bytes[i] !== START[i]) return void this.bad("answer is not HTTP")
  }

  private take(bytes: Uint8Array, from: number, to: number): void {
    const head = this.isKnown(bytes, from, to) ? this.known : this.learn(bytes, from, to)
    if (head === undefined || head.status === 101) return void this.bad("answer is not HTTP")
    if (head.status >= 200) return this.begin(head)
    if (++this.interim > MAX_INTERIM) this.bad("too many interim answers")
  }

  private isKnown(bytes: Uint8Array, from: number, to: number): boolean {
    const { knownBytes, knownLength } = this
    if (to - from !== knownLength) return false
    // The end first: that is where most heads differ.
    for (let i = knownLength - 1; i >= 0; i--) if (bytes[from + i] !== knownBytes[i]) return false
    return true
  }

  private learn(bytes: Uint8Array, from: number, to: number): Head | undefined {
    const head = parseHead(bytes, from, to)
    const length = to - from
    if (head === undefined || length > MAX_KNOWN_BYTES) return head
    if (this.knownBytes.length < length) this.knownBytes = new Uint8Array(Math.min(2 * length, MAX_KNOWN_BYTES))
    for (let i = 0; i < length; i++) this.knownBytes[i] = bytes[from + i]!
    this.known = head
    this.knownLength = length
    return head
  }

  private begin(head: Head): void {
    this.status = head.status
    this.retryAfter = head.retryAfter
    this.keepAlive = head.keepAlive
    this.keepAliveMs = head.keepAliveMs
    if (head.status === 204 || head.status === 304) this.state = "done"
    else if (head.chunked) this.nextChunk()
    else if (head.contentLength !== undefined) {
      this.left = head.contentLength
      this.state = this.left === 0 ? "done" : "length"
    } else {
      this.keepAlive = false
      this.state = "close"
    }
  }

  private counted(bytes: Uint8Array, at: number, length: number): number {
    const to = Math.min(length, at + this.left)
    this.left -= to - at
    if (this.left === 0) {
      this.state = this.state === "length" ? "done" : "chunkEnd"
      this.sawCr = false
    }
    this.receive(bytes, at, to)
    return to
  }

  private nextChunk(): void {
    this.state = "chunkSize"
    this.left = 0
    this.digits = 0
    this.lineBytes = 0
    this.inExtension = false
    this.sawCr = false
  }

  /** What stands between the data of chunks, byte by byte. */
  private framing(bytes: Uint8Array, at: number, length: number): number {
    let next = at
    while (next < length) {
      const byte = bytes[next++]!
      const { state } = this
      if (state === "chunkSize") this.chunkSize(byte)
      else if (state === "chunkEnd") this.chunkEnd(byte)
      else if (state === "trailers") this.trailer(byte)
      else return next - 1
    }
    return next
  }

  private chunkSize(byte: number): void {
    if (++this.lineBytes > MAX_CHUNK_LINE_BYTES) return void this.bad("answer is not HTTP")
    if (this.sawCr) {
      if (byte !== LF || this.digits === 0) return void this.bad("answer is not HTTP")
      this.state = this.left === 0 ? "trailers" : "chunkData"
      this.sawCr = false
      this.lineEmpty = true
      return
    }
    if (byte === CR) {
      this.sawCr = true
      return
    }
    if (this.inExtension) {
      if (byte < 0x20 && byte !== 0x09) this.bad("answer is not HTTP")
      return
    }
    const digit = hexValue(byte)
    if (digit >= 0) {
      this.left = this.left * 16 + digit
      // 2^52 and more is a mistake, and would lose digits.
      if (++this.digits > 13) this.bad("answer is not HTTP")
    } else if (this.digits > 0 && (byte === SEMICOLON || byte === 0x20 || byte === 0x09)) this.inExtension = true
    else this.bad("answer is not HTTP")
  }

  private chunkEnd(byte: number): void {
    if (byte !== (this.sawCr ? LF : CR)) return void this.bad("answer is not HTTP")
    if (this.sawCr) this.nextChunk()
    else this.sawCr = true
  }

  /** Read and dropped, up to an empty line. */
  private trailer(byte: number): void {
    if (++this.trailerBytes > MAX_HEAD_BYTES) return void this.bad("headers of the answer are too long")
    if (this.sawCr) {
      if (byte !== LF) return void this.bad("answer is not HTTP")
      this.sawCr = false
      if (this.lineEmpty) this.state = "done"
      else this.lineEmpty = true
    } else if (byte === CR) this.sawCr = true
    else if (byte === LF) this.bad("answer is not HTTP")
    else this.lineEmpty = false
  }
}

const NO_BYTES = new Uint8Array(0)
const START = Uint8Array.from("HTTP/1.", (letter) => letter.charCodeAt(0))

/** Offset behind the first empty line; -1: it is not there. */
const endOfHead = (bytes: Uint8Array, from: number, to: number): number => {
  for (let at = bytes.indexOf(LF, from); at >= 0 && at < to; at = bytes.indexOf(LF, at + 1)) {
    if (at >= from + 3 && bytes[at - 1] === CR && bytes[at - 2] === LF && bytes[at - 3] === CR) return at + 1
  }
  return -1
}
