/**
 * The circuit breaker of one endpoint: whether requests may start. A plain state machine without a clock; times in ms.
 *
 * - closed → open: `breakerFailures` failures in a row, or `breakerRatePercent` of the last `breakerWindow` answers,
 *   and it has been so for `MIN_DOWN_MS` (a receiver that restarts is no reason). Until then it is *doubtful* after so many
 *   failures in a row: one request at a time, `DOUBT_PAUSE_MS` apart, so that one that refuses costs nobody a second of CPU.
 * - open → half-open: after a pause that doubles from `breakerPauseMs` to `breakerPauseMaxMs`, jittered; or when the
 *   pause is over that the receiver asked for.
 * - half-open, one request at a time: → closed at the first that is alive, → open for longer at a failure.
 *
 * Defaults: 10 in a row (Envoy's outlier detection: 5), 70 % of 100 (Convoy's manual: 70 %; resilience4j: 50 % of 100),
 * 5 s to 5 min (Envoy: 30 s to 300 s, growing). Why: docs/adr/0012.
 */
export interface BreakerPolicy {
  /** Failures in a row. */
  readonly breakerFailures: number
  /** Failures among the last `breakerWindow` answers, percent. Above 100: never by rate. */
  readonly breakerRatePercent: number
  /** Answers. */
  readonly breakerWindow: number
  /** The first pause, ms, and the longest. */
  readonly breakerPauseMs: number
  readonly breakerPauseMaxMs: number
}

export type BreakerState = "closed" | "open" | "half-open"

/** alive: the receiver judges requests, well or badly · down: it does not · neither: it says nothing of the receiver. */
export type Health = "alive" | "down" | "neither"

/** It must have been down for so long, ms. */
export const MIN_DOWN_MS = 1_000

/** A pause asked for up to this, ms, holds requests back; the breaker opens for a longer one. */
const SHORT_PAUSE_MS = 1_000

/** Between two requests while it is doubtful, ms. */
export const DOUBT_PAUSE_MS = 100

const NEVER = -1

export class Breaker {
  state: BreakerState = "closed"
  /** While it is open: from when it is half-open. */
  wakeAtMs = 0
  /** No request before, as the receiver asked. */
  holdUntilMs = 0

  private readonly policy: BreakerPolicy
  private inRow = 0
  /** While it is doubtful: no request before. */
  private doubtUntilMs = 0
  /** The first request since the last that was alive. */
  private triedSinceMs = NEVER
  /** Since when so many of the window are failures. */
  private illSinceMs = NEVER
  private readonly window: Uint8Array
  private place = 0
  private answers = 0
  private failures = 0
  /** Openings since it was last closed for good. */
  private openings = 0
  private pauseMs = 0
  private closedAtMs = 0

  constructor(policy: BreakerPolicy) {
    this.policy = policy
    this.window = new Uint8Array(policy.breakerWindow)
  }

  /** Closed, and as many have failed in a row as would open it. */
  get doubtful(): boolean {
    return this.inRow >= this.policy.breakerFailures && this.state === "closed"
  }

  /** `state` at `nowMs`. */
  look(nowMs: number): BreakerState {
    if (this.state === "open" && nowMs >= this.wakeAtMs) this.state = "half-open"
    return this.state
  }

  started(nowMs: number): void {
    this.tried(nowMs)
    if (this.doubtful) this.doubtUntilMs = nowMs + DOUBT_PAUSE_MS
  }

  /** Whole ms until the next request may start: what is smaller than a clock tells would be waited for for ever. */
  waitMs(nowMs: number): number {
    return Math.ceil(Math.max(0, this.holdUntilMs - nowMs, this.doubtful ? this.doubtUntilMs - nowMs : 0))
  }

  /**
   * `askedMs`: the pause that the receiver asks for; 0: none. `random`: 0 … 1. Returns whether `state` changed. What
   * was sent before it opened is answered to no effect.
   */
  answered(health: Health, askedMs: number, nowMs: number, random: () => number): boolean {
    if (askedMs > 0) return this.asked(nowMs + askedMs, askedMs > SHORT_PAUSE_MS)
    if (health === "neither" || this.state === "open") return false
    if (health === "alive") return this.alive(nowMs)
    if (this.state === "half-open") return this.open(nowMs, random())
    this.inRow++
    this.tried(nowMs)
    if (this.inRow === this.policy.breakerFailures) this.doubtUntilMs = nowMs + DOUBT_PAUSE_MS
    this.count(1)
    const ill = this.isIll()
    if (!ill) this.illSinceMs = NEVER
    else if (this.illSinceMs === NEVER) this.illSinceMs = nowMs
    const down = this.inRow >= this.policy.breakerFailures && nowMs - this.triedSinceMs >= MIN_DOWN_MS
    return (down || (ill && nowMs - this.illSinceMs >= MIN_DOWN_MS)) && this.open(nowMs, random())
  }

  /** Open until then, whatever it was. */
  pauseUntil(untilMs: number): boolean {
    const changed = this.state !== "open"
    this.wakeAtMs = changed ? untilMs : Math.max(this.wakeAtMs, untilMs)
    this.state = "open"
    return changed
  }

  /** Closed, as if it were new. */
  reset(): void {
    this.state = "closed"
    this.wakeAtMs = 0
    this.holdUntilMs = 0
    this.openings = 0
    this.pauseMs = 0
    this.forget()
  }

  private tried(nowMs: number): void {
    if (this.triedSinceMs === NEVER) this.triedSinceMs = nowMs
  }

  private alive(nowMs: number): boolean {
    this.inRow = 0
    this.triedSinceMs = NEVER
    if (this.state === "half-open") {
      this.state = "closed"
      this.closedAtMs = nowMs
      this.forget()
      return true
    }
    this.count(0)
    if (this.illSinceMs !== NEVER && !this.isIll()) this.illSinceMs = NEVER
    return false
  }

  private asked(untilMs: number, long: boolean): boolean {
    if (long) return this.pauseUntil(untilMs)
    this.holdUntilMs = Math.max(this.holdUntilMs, untilMs)
    return false
  }

  private open(nowMs: number, random: number): boolean {
    const { breakerPauseMaxMs, breakerPauseMs } = this.policy
    if (this.state === "closed" && nowMs - this.closedAtMs > this.pauseMs) this.openings = 0
    this.pauseMs = Math.min(breakerPauseMaxMs, breakerPauseMs * 2 ** Math.min(this.openings++, 30))
    this.state = "open"
    this.wakeAtMs = nowMs + Math.ceil(this.pauseMs * (0.5 + random / 2))
    this.forget()
    return true
  }

  private count(failure: 0 | 1): void {
    this.failures += failure - this.window[this.place]!
    this.window[this.place] = failure
    this.place = this.place + 1 === this.window.length ? 0 : this.place + 1
    if (this.answers < this.window.length) this.answers++
  }

  private isIll(): boolean {
    return this.answers === this.window.length && this.failures * 100 >= this.policy.breakerRatePercent * this.answers
  }

  private forget(): void {
    this.inRow = 0
    this.triedSinceMs = NEVER
    this.illSinceMs = NEVER
    this.window.fill(0)
    this.place = 0
    this.answers = 0
    this.failures = 0
  }
}
