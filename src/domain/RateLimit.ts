/**
 * A token bucket as two numbers: `rate` requests a second, a tenth of them at once (at least one). No clock; times in
 * ms. Kept as the time at which the bucket is full again (the "generic cell rate algorithm" of ATM Forum TM 4.0).
 */
/** Sums of fractions are off by less than this, ms. */
const ROUNDING_MS = 0.001

export class RateLimit {
  private readonly eachMs: number
  private readonly ahead: number
  private fullAtMs = -Infinity

  /** `rate`: requests a second, above 0. */
  constructor(rate: number) {
    this.eachMs = 1_000 / rate
    this.ahead = (Math.max(1, Math.floor(rate / 10)) - 1) * this.eachMs
  }

  /** Whole ms until a request may start; 0: now. */
  waitMs(nowMs: number): number {
    return Math.max(0, Math.ceil(this.fullAtMs - this.ahead - nowMs - ROUNDING_MS))
  }

  started(nowMs: number): void {
    this.fullAtMs = Math.max(this.fullAtMs, nowMs) + this.eachMs
  }
}
