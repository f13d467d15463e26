/** The numbers that one endpoint got: a bit for each, so that millions cost little. */

/** Numbers that are kept at most: 32 MiB. What is above is not checked. */
const MOST = 2 ** 28

export class Seen {
  /** Came again. */
  twice = 0
  /** How far, at most, a number was behind the highest that had come. */
  backBy = 0
  private bits = new Uint8Array(1024)
  private lowest = Number.POSITIVE_INFINITY
  private highest = 0
  private distinct = 0

  add(number: number): void {
    if (number >= MOST) return
    const byte = number >> 3
    if (byte >= this.bits.length) {
      const grown = new Uint8Array(Math.max(this.bits.length * 2, byte + 1))
      grown.set(this.bits)
      this.bits = grown
    }
    const bit = 1 << (number & 7)
    if ((this.bits[byte]! & bit) !== 0) {
      this.twice++
      return
    }
    this.bits[byte]! |= bit
    this.distinct++
    if (number < this.lowest) this.lowest = number
    if (number > this.highest) this.highest = number
    else if (this.highest - number > this.backBy) this.backBy = this.highest - number
  }

  /** Between the lowest and the highest. */
  get missing(): number {
    return this.distinct === 0 ? 0 : this.highest - this.lowest + 1 - this.distinct
  }
}
