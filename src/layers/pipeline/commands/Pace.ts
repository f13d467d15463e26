/** Deliveries a second: how many may go now, and how long to wait after them. */
import * as Effect from "effect/Effect"

/** Deliveries of one step where there is no rate. */
const STEP = 200

/** Of a rate up to 200 a second one second's worth, so that a step is never longer than that; at least one. */
export const step = (rate: number | undefined): number => (rate === undefined ? STEP : Math.max(1, Math.min(STEP, rate)))

/** After `count` deliveries that took `tookMs`. */
export const wait = (rate: number | undefined, count: number, tookMs: number): Effect.Effect<void> => {
  const ms = rate === undefined ? 0 : (count / rate) * 1_000 - tookMs
  return ms > 0 ? Effect.sleep(ms) : Effect.void
}
