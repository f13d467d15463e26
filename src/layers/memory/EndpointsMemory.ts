/** Same contract as `EndpointsPg`; `test/suites/EndpointsSuite.ts` runs against both. */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Queue from "effect/Queue"
import * as Stream from "effect/Stream"
import type { Endpoint, EndpointId } from "../../domain/Subscription.ts"
import { Endpoints } from "../../services/Endpoints.ts"
import { WebhookTables } from "./WebhookTables.ts"

interface EndpointChange {
  readonly id: EndpointId
  readonly endpoint: Endpoint | undefined
}

export const layer: Layer.Layer<Endpoints, never, WebhookTables> = Layer.effect(
  Endpoints,
  Effect.gen(function*() {
    const tables = yield* WebhookTables
    const changed = new Set<EndpointId>()
    tables.endpointWatchers.add((id, endpoint) => {
      if (endpoint === undefined) changed.delete(id)
      else changed.add(id)
    })
    const changes = Stream.callback<EndpointChange>((queue) =>
      Effect.acquireRelease(
        Effect.sync(() => {
          for (const id of changed) Queue.offerUnsafe(queue, { id, endpoint: tables.endpoints.get(id) })
          const watch = (id: EndpointId, endpoint: Endpoint | undefined) =>
            void Queue.offerUnsafe(queue, { id, endpoint })
          tables.endpointWatchers.add(watch)
          return watch
        }),
        (watch) => Effect.sync(() => tables.endpointWatchers.delete(watch))
      )
    )
    return Endpoints.of({
      get: (id) => tables.endpoints.get(id),
      fetch: (id) => Effect.sync(() => tables.endpoints.get(id)),
      changes
    })
  })
)
