/** The `Retry-After` header: delay in seconds, or an HTTP date. Source: RFC 9110, section 10.2.3. */

/** Longest wait that a receiver can ask for: one day, ms. */
export const MAX_RETRY_AFTER_MS = 86_400_000

/** Milliseconds from `nowMs`, `0 … MAX_RETRY_AFTER_MS`; `undefined` for what is neither. */
export const parseRetryAfter = (value: string, nowMs: number): number | undefined => {
  const text = value.trim()
  const ms = /^\d{1,10}$/.test(text) ? Number(text) * 1_000 : Date.parse(text) - nowMs
  if (Number.isNaN(ms)) return undefined
  return Math.min(Math.max(ms, 0), MAX_RETRY_AFTER_MS)
}
