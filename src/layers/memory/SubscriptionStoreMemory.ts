/** Same contract as `SubscriptionStorePg`; `test/suites/SubscriptionStoreSuite.ts` runs against both. */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Queue from "effect/Queue"
import * as Stream from "effect/Stream"
import { SubscriptionStore } from "../../services/SubscriptionStore.ts"
import { WebhookTables } from "./WebhookTables.ts"

export const layer: Layer.Layer<SubscriptionStore, never, WebhookTables> = Layer.effect(
  SubscriptionStore,
  Effect.gen(function*() {
    const tables = yield* WebhookTables
    const hints = Stream.callback<void>((queue) =>
      Effect.acquireRelease(
        Effect.sync(() => {
          const watch = () => void Queue.offerUnsafe(queue, undefined)
          tables.subscriptionWatchers.add(watch)
          return watch
        }),
        (watch) => Effect.sync(() => tables.subscriptionWatchers.delete(watch))
      ), { bufferSize: 1, strategy: "sliding" })
    return SubscriptionStore.of({
      list: Effect.sync(() => [...tables.subscriptions.values()].sort((a, b) => a.createdAtUs - b.createdAtUs)),
      subscribe: ({ url, schema, table }, eventTypes) =>
        Effect.sync(() => tables.subscribe(url, schema, table, eventTypes)),
      unsubscribe: ({ url, schema, table }) => Effect.sync(() => tables.unsubscribe(url, schema, table)),
      hints
    })
  })
)
