/**
 * What the end of an attempt means: for the delivery, when it is made again; for its endpoint, whether it is up, and
 * whether it is to end. Decisions as values, without a clock. Times in ms.
 *
 * | answer | the delivery | the endpoint |
 * |---|---|---|
 * | 2xx | accepted | alive |
 * | 410 | waits | disabled |
 * | 408, 425, 429, 5xx, none | the long schedule | down, or pauses as long as it asks |
 * | 409 | the long schedule: a parent row is missing there | alive |
 * | 3xx, other 4xx | the short schedule: the same request fails again | alive |
 */
import type { AttemptResult } from "./Delivery.ts"
import type { Health } from "./Breaker.ts"

export interface RetryPolicy {
  /** Live retries: exponential from `retryInitialMs` to `retryMaxMs`, jittered. */
  readonly retryInitialMs: number
  readonly retryMaxMs: number
  /** A delivery leaves the lanes when its next attempt would start later than this after the first began. */
  readonly parkAfterMs: number
  /** The long schedule: delay before each further attempt of what is parked, jittered; then it is dead. */
  readonly parkedScheduleMs: ReadonlyArray<number>
  /** The short schedule, in the same form. */
  readonly refusedScheduleMs: ReadonlyArray<number>
}

/** accepted · retry: worth another attempt soon · park: the same request would fail again. */
export type Verdict = "accepted" | "retry" | "park"

/** No answer, since our own rules forbid the connection; constant text of the address guard. */
export const NOT_ALLOWED = "address not allowed"

const CONFLICT = 409
const GONE = 410
/** Of the 4xx, those that a later attempt of the same request may pass: timeout, too early, too many requests. */
const isBusy = (status: number): boolean => status === 408 || status === 425 || status === 429 || status >= 500

export const verdict = (result: AttemptResult): Verdict => {
  if (result._tag === "Accepted") return "accepted"
  if (result._tag === "NoAnswer") return result.reason === NOT_ALLOWED ? "park" : "retry"
  return isBusy(result.status) || result.status === CONFLICT ? "retry" : "park"
}

/** The endpoint as a whole seems to be down: no answer, or one of 408, 425, 429, 5xx that names no time. */
export const looksDown = (result: AttemptResult): boolean => healthOf(result) === "down"

export const healthOf = (result: AttemptResult): Health => {
  if (result._tag === "Accepted") return "alive"
  if (result._tag === "NoAnswer") return result.reason === NOT_ALLOWED ? "neither" : "down"
  if (!isBusy(result.status)) return "alive"
  return result.retryAfterMs === undefined ? "down" : "neither"
}

/** 410: the receiver wants no more; its endpoint is disabled. */
export const endsEndpoint = (result: AttemptResult): boolean => result._tag === "Refused" && result.status === GONE

/** Short text without the body: `HTTP 503`, `timeout after 10 s`. */
export const describe = (result: AttemptResult): string =>
  result._tag === "NoAnswer" ? result.reason : `HTTP ${result.status}`

/** `describe` of a failure with verdict `park`. */
export const wasRefused = (description: string | undefined): boolean => {
  if (description === undefined) return false
  const status = /^HTTP (\d{3})$/.exec(description)?.[1]
  if (status === undefined) return description === NOT_ALLOWED
  return !isBusy(Number(status)) && Number(status) !== CONFLICT
}

/** A receiver may ask for a pause of a day at most. */
export const MAX_RETRY_AFTER_MS = 86_400_000

/** The pause that the receiver asks for, ms; 0 = none. */
export const retryAfterOf = (result: AttemptResult): number =>
  result._tag === "Refused" ? Math.min(result.retryAfterMs ?? 0, MAX_RETRY_AFTER_MS) : 0

/** The pause that holds for its whole endpoint: of an answer that says that it is busy. */
export const pauseOf = (result: AttemptResult): number =>
  result._tag === "Refused" && isBusy(result.status) ? retryAfterOf(result) : 0

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

/**
 * Delay before attempt number `retries` + 1 since it was parked, or `undefined`: the schedule is over, it is dead.
 *
 * - `before`: how the attempt before failed, as `describe` says it. What was retried for hours while its endpoint was
 *   down, and is then refused for the first time, gets the last delay of the short schedule once.
 * - 410 never ends a delivery: its endpoint is disabled, and goes on where it stopped.
 */
export const parkedDelay = (
  policy: RetryPolicy,
  result: AttemptResult,
  retries: number,
  random: number,
  before: string | undefined = undefined
): number | undefined => {
  const refused = verdict(result) === "park"
  const schedule = refused ? policy.refusedScheduleMs : policy.parkedScheduleMs
  const goesOn = endsEndpoint(result) || (refused && before !== undefined && !wasRefused(before))
  const scheduled = schedule[retries] ?? (goesOn ? schedule.at(-1) : undefined)
  return scheduled === undefined ? undefined : Math.max(jittered(scheduled, random), retryAfterOf(result))
}
