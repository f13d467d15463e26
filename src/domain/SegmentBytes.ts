/**
 * Numbers and texts as bytes, for `SegmentCodec`.
 *
 * - Unsigned: seven bits a byte, low ones first, the high bit says that more come. Exact to 2^53 - 1.
 * - Signed: the same, but the lowest bit of the first byte is the sign.
 * - Text: its length in bytes, then UTF-8.
 */
const MORE = 0x80
const SEVEN = 0x7f
const SIGN = 1

/** A buffer that grows. */
export class ByteWriter {
  bytes: Buffer
  at = 0

  constructor(size: number) {
    this.bytes = Buffer.allocUnsafe(Math.max(size, 64))
  }

  /** Room for `size` bytes. */
  private need(size: number): void {
    if (this.at + size <= this.bytes.length) return
    const larger = Buffer.allocUnsafe(Math.max(this.bytes.length * 2, this.at + size))
    this.bytes.copy(larger, 0, 0, this.at)
    this.bytes = larger
  }

  unsigned(value: number): void {
    this.need(8)
    let rest = value
    while (rest >= MORE) {
      this.bytes[this.at++] = (rest % MORE) | MORE
      rest = Math.floor(rest / MORE)
    }
    this.bytes[this.at++] = rest
  }

  signed(value: number): void {
    this.need(8)
    const size = Math.abs(value)
    const first = ((size % 64) << 1) | (value < 0 ? SIGN : 0)
    if (size < 64) {
      this.bytes[this.at++] = first
      return
    }
    this.bytes[this.at++] = first | MORE
    this.unsigned(Math.floor(size / 64))
  }

  double(value: number): void {
    this.need(8)
    this.at = this.bytes.writeDoubleLE(value, this.at)
  }

  text(value: string): void {
    const length = Buffer.byteLength(value)
    this.unsigned(length)
    this.need(length)
    this.at += this.bytes.write(value, this.at)
  }

  /** The rest of `value` from one of its characters on, as `text`. Such of one byte each, as ids have, are no string of their own. */
  textFrom(value: string, from: number): void {
    const length = value.length - from
    if (length >= MORE) return this.text(value.slice(from))
    this.need(length + 1)
    const start = this.at
    this.bytes[this.at++] = length
    for (let n = from; n < value.length; n++) {
      const code = value.charCodeAt(n)
      if (code >= 0x80) {
        this.at = start
        return this.text(value.slice(from))
      }
      this.bytes[this.at++] = code
    }
  }

  raw(value: Uint8Array): void {
    this.need(value.byteLength)
    this.bytes.set(value, this.at)
    this.at += value.byteLength
  }

  /** What was written. */
  written(): Buffer {
    return this.bytes.subarray(0, this.at)
  }
}

/** Reads what `ByteWriter` wrote. Never throws: past the end, or where no such value is, `isBroken` and 0 or empty. */
export class ByteReader {
  readonly bytes: Buffer
  at: number
  isBroken = false

  constructor(bytes: Buffer, at: number) {
    this.bytes = bytes
    this.at = at
  }

  private broken(): 0 {
    this.isBroken = true
    this.at = this.bytes.length
    return 0
  }

  byte(): number {
    return this.at < this.bytes.length ? this.bytes[this.at++]! : this.broken()
  }

  private more(value: number, weight: number): number {
    let sum = value
    for (let place = weight; ; place *= MORE) {
      const byte = this.byte()
      sum += (byte & SEVEN) * place
      if (sum > Number.MAX_SAFE_INTEGER) return this.broken()
      if (byte < MORE) return sum
    }
  }

  unsigned(): number {
    const byte = this.byte()
    return byte < MORE ? byte : this.more(byte & SEVEN, MORE)
  }

  signed(): number {
    const byte = this.byte()
    const low = (byte & SEVEN) >> 1
    const size = byte < MORE ? low : this.more(low, 64)
    return (byte & SIGN) === 0 ? size : -size
  }

  /** How many things follow that take at least one byte each. */
  count(): number {
    const count = this.unsigned()
    return count > this.bytes.length - this.at ? this.broken() : count
  }

  double(): number {
    if (this.at + 8 > this.bytes.length) return this.broken()
    this.at += 8
    return this.bytes.readDoubleLE(this.at - 8)
  }

  text(): string {
    const length = this.count()
    this.at += length
    return this.bytes.toString("utf8", this.at - length, this.at)
  }

  skip(length: number): void {
    if (length > this.bytes.length - this.at) this.broken()
    else this.at += length
  }
}
