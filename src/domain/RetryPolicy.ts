/** When an attempt that failed is made again: decisions as values, without a clock. Times in ms. */
import type { AttemptResult } from "./Delivery.ts"

export interface RetryPolicy {
  /** Live retries: exponential from `retryInitialMs` to `retryMaxMs`, jittered. */
  readonly retryInitialMs: number
  readonly retryMaxMs: number
  /** A delivery leaves the lanes when its next attempt would start later than this after the first began. */
  readonly parkAfterMs: number
  /** Delay before each further attempt of what is parked, jittered; then it is dead. */
  readonly parkedScheduleMs: ReadonlyArray<number>
}

/** accepted · retry: worth another attempt soon · park: the same request would fail again (3xx, 4xx). */
export type Verdict = "accepted" | "retry" | "park"

export const verdict = (result: AttemptResult): Verdict => {
  if (result._tag === "Accepted") return "accepted"
  if (result._tag === "NoAnswer") return "retry"
  return result.status === 429 || result.status >= 500 ? "retry" : "park"
}

/** The endpoint as a whole seems to be down: no answer, or 5xx that names no time. */
export const looksDown = (result: AttemptResult): boolean =>
  result._tag === "NoAnswer" || (result._tag === "Refused" && result.status >= 500 && result.retryAfterMs === undefined)

/** Short text without the body: `HTTP 503`, `timeout after 10 s`. */
export const describe = (result: AttemptResult): string =>
  result._tag === "NoAnswer" ? result.reason : `HTTP ${result.status}`

/** A receiver may ask for a pause of a day at most. */
const MAX_RETRY_AFTER_MS = 86_400_000

/** The pause that the receiver asks for, ms; 0 = none. */
export const retryAfterOf = (result: AttemptResult): number =>
  result._tag === "Refused" ? Math.min(result.retryAfterMs ?? 0, MAX_RETRY_AFTER_MS) : 0

/** Between half of it and all of it. `random`: 0 … 1. */
const jittered = (ms: number, random: number): number => Math.ceil(ms * (0.5 + random / 2))

/**
 * Delay before the next live attempt, or `undefined`: park it. `attempts`: made so far, from 1. `ageMs`: since the
 * first attempt began.
 */
export const liveDelay = (
  policy: RetryPolicy,
  result: AttemptResult,
  attempts: number,
  ageMs: number,
  random: number
): number | undefined => {
  if (verdict(result) === "park") return undefined
  const backoff = jittered(Math.min(policy.retryMaxMs, policy.retryInitialMs * 2 ** Math.min(attempts - 1, 30)), random)
  const delay = Math.max(backoff, retryAfterOf(result))
  return ageMs + delay > policy.parkAfterMs ? undefined : delay
}

/** Delay before attempt number `retries` + 1 since it was parked, or `undefined`: the schedule is over, it is dead. */
export const parkedDelay = (
  policy: RetryPolicy,
  result: AttemptResult,
  retries: number,
  random: number
): number | undefined => {
  const scheduled = policy.parkedScheduleMs[retries]
  return scheduled === undefined ? undefined : Math.max(jittered(scheduled, random), retryAfterOf(result))
}
