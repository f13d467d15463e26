/** When nothing is left to be sent: without a service nobody else would send what is parked. */
import * as Effect from "effect/Effect"
import { DeliveryAdmin } from "../../services/DeliveryAdmin.ts"
import { EndpointStore } from "../../services/EndpointStore.ts"
import { TableSnapshot } from "../../services/TableSnapshot.ts"

/** Between two looks, ms. */
const LOOK_MS = 500

export interface Left {
  /** Deliveries that wait for endpoints that are paused or disabled: nothing is sent to those. */
  readonly held: number
  /** Dead letters. */
  readonly dead: number
}

/**
 * Waits until nothing is parked any more for an endpoint that may be sent to: it was delivered, or its retries are used up.
 * `waits` is called once, if there is something to wait for.
 */
export const untilSent = Effect.fnUntraced(function*(waits: (deliveries: number) => Effect.Effect<void>) {
  const admin = yield* DeliveryAdmin
  const endpoints = yield* EndpointStore
  const stream = yield* (yield* TableSnapshot).stream
  for (let told = false; ; told = true) {
    const counts = yield* admin.counts(stream)
    const paused = new Set((yield* endpoints.list).filter((endpoint) => endpoint.paused).map(({ id }) => id))
    const sum = (of: (count: (typeof counts)[number]) => number) => counts.reduce((total, count) => total + of(count), 0)
    const open = sum(({ behind, endpointId, waiting }) => paused.has(endpointId) ? 0 : behind + waiting)
    if (open === 0) {
      const left: Left = { held: sum(({ behind, waiting }) => behind + waiting), dead: sum(({ dead }) => dead) }
      return left
    }
    if (!told) yield* waits(open)
    yield* Effect.sleep(LOOK_MS)
  }
})
