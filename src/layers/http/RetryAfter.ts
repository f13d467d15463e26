/**
 * The `Retry-After` header: delay in seconds, or an HTTP date. Source: RFC 9110, sections 5.6.7 and
 * 10.2.3.
 */

/** Longest wait that a receiver can ask for: one day, ms. */
export const MAX_RETRY_AFTER_MS = 86_400_000

/** `Sun, 06 Nov 1994 08:49:37 GMT` and `Sunday, 06-Nov-94 08:49:37 GMT` */
const WITH_ZONE = /^[A-Z][a-z]{2,8}, (?:\d\d [A-Z][a-z]{2} \d{4}|\d\d-[A-Z][a-z]{2}-\d\d) [\d:]{8} GMT$/
/** `Sun Nov  6 08:49:37 1994`: GMT, too. */
const WITHOUT_ZONE = /^[A-Z][a-z]{2} [A-Z][a-z]{2} [ \d]\d [\d:]{8} \d{4}$/

/** Milliseconds from `nowMs`, `0 … MAX_RETRY_AFTER_MS`; `undefined` for what is neither. */
export const parseRetryAfter = (value: string, nowMs: number): number | undefined => {
  const text = value.trim()
  const ms = /^\d{1,10}$/.test(text) ? Number(text) * 1_000 : dateOf(text) - nowMs
  if (Number.isNaN(ms)) return undefined
  return Math.min(Math.max(ms, 0), MAX_RETRY_AFTER_MS)
}

const dateOf = (text: string): number => {
  if (WITH_ZONE.test(text)) return Date.parse(text)
  return WITHOUT_ZONE.test(text) ? Date.parse(`${text} GMT`) : NaN
}
