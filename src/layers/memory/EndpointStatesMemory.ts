/**
 * Same contract as `EndpointStatesPg`; `test/suites/EndpointStatesSuite.ts` runs against both. What is disabled or
 * suspended is so in the tables that `EndpointsMemory` reads.
 */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { format } from "../../domain/StreamId.ts"
import type { Endpoint, EndpointId } from "../../domain/Subscription.ts"
import { EndpointStates } from "../../services/EndpointStates.ts"
import { WebhookTables } from "./WebhookTables.ts"

export const layer: Layer.Layer<EndpointStates, never, WebhookTables> = Layer.effect(
  EndpointStates,
  Effect.gen(function*() {
    const tables = yield* WebhookTables
    const streams = tables.failingSince
    const stop = (id: EndpointId, pausedReason: string, change: Pick<Endpoint, "disabled" | "suspended">) =>
      Effect.map(Clock.currentTimeMillis, (stoppedAtMs) => {
        const endpoint = tables.endpoints.get(id)
        if (endpoint !== undefined) tables.putEndpoint({ ...endpoint, paused: true, pausedReason, stoppedAtMs, ...change })
      })
    return EndpointStates.of({
      failing: (stream) => Effect.sync(() => new Map(streams.get(format(stream)))),
      setFailing: (stream, since) =>
        Effect.sync(() => {
          const failing = new Map(streams.get(format(stream)))
          for (const [id, ms] of since) {
            if (ms === undefined) failing.delete(id)
            else failing.set(id, ms)
          }
          streams.set(format(stream), failing)
        }),
      disable: (_, id, reason) => stop(id, reason, { disabled: true }),
      suspend: (_, id, reason) => stop(id, reason, { suspended: true })
    })
  })
)
