/**
 * Replay to another URL: through the transport, so that the address guard looks at each connection, without a word to
 * the state of the original. Events that share a key go one after the other, others side by side.
 */
import * as Effect from "effect/Effect"
import { conflicts, type Key } from "../../../domain/Key.ts"
import * as RetryPolicy from "../../../domain/RetryPolicy.ts"
import type { Endpoint } from "../../../domain/Subscription.ts"
import { type EndpointConnection, sendOnce } from "../../../services/WebhookTransport.ts"

/** Requests in flight at most. */
export const CONCURRENCY = 16
/** Tries of one event, and the pauses between them, ms. */
const PAUSES_MS = [250, 500, 1_000, 2_000]

export interface Replayed {
  readonly endpointId: string
  readonly id: string
  readonly sequence: number
  readonly epoch: string
  readonly body: Uint8Array
  readonly keys: ReadonlyArray<Key>
}

/** In their order; each wave has at most `CONCURRENCY` events, of which no two share a key. */
export const waves = <A extends { readonly keys: ReadonlyArray<Key> }>(events: ReadonlyArray<A>): ReadonlyArray<ReadonlyArray<A>> => {
  const result: Array<Array<A>> = []
  for (const event of events) {
    const wave = result.at(-1)
    const joins = wave !== undefined && wave.length < CONCURRENCY
      && !wave.some((other) => other.keys.some((a) => event.keys.some((b) => conflicts(a, b))))
    if (joins) wave.push(event)
    else result.push([event])
  }
  return result
}

/** Fails with what was seen last. */
export const send = (
  connection: EndpointConnection, { body, endpointId, epoch, id, sequence }: Replayed
): Effect.Effect<void, string> =>
  Effect.gen(function*() {
    for (let attempt = 0; ; attempt++) {
      const result = yield* sendOnce(connection, { body, id, sequence, endpointId, epoch })
      if (result._tag === "Accepted") return
      const pause = PAUSES_MS[attempt]
      if (pause === undefined) return yield* Effect.fail(`${RetryPolicy.describe(result)}, ${attempt + 1} times, at ${id}`)
      yield* Effect.sleep(pause)
    }
  })

/** What is known of the URL alone: no secret, header or authorization of the endpoint whose events are sent. */
export const strangerAt = (url: string): Endpoint => ({
  id: "replay", url, order: "none", concurrency: CONCURRENCY, paused: false, pausedReason: undefined
})
