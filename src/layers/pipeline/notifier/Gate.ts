/**
 * Whether requests to one endpoint may start, and how many: circuit breaker, rate limit, and what ends an endpoint
 * (410, days of failure). Plain state with the clock of the Core; no fiber, no timer of its own.
 */
import type { AttemptResult } from "../../../domain/Delivery.ts"
import type { Endpoint } from "../../../domain/Subscription.ts"

/** closed: all may go, or one after the other while it is doubtful · open: none until `wakeAtMs` · half-open: one at a time, until one is accepted. */
export type GateState = "closed" | "open" | "half-open"

export interface Gate {
  readonly state: GateState
  /** While it is open: when it becomes half-open. */
  readonly wakeAtMs: number
  /** All may go: `limit` is `concurrency`. */
  readonly isWide: boolean
  /** Requests in flight at most, now: 0, 1 or `concurrency`. */
  limit(concurrency: number, nowMs: number): number
  /** ms until the next request may start; 0: now. */
  waitMs(nowMs: number): number
  started(nowMs: number): void
  /** Returns whether `state` changed: the lanes then put away what they hold, or go on. */
  answered(result: AttemptResult, nowMs: number): boolean
  /** Another definition, or the operator resumed it: begins anew, closed. */
  configure(endpoint: Endpoint, nowMs: number): void
}
