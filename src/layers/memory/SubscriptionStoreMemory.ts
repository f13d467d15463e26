/** Same contract as `SubscriptionStorePg`; `test/suites/SubscriptionStoreSuite.ts` runs against both. */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Queue from "effect/Queue"
import * as Stream from "effect/Stream"
import { SubscriptionSettings } from "../../services/Settings.ts"
import { SubscriptionStore, TooManySubscriptions } from "../../services/SubscriptionStore.ts"
import { WebhookTables } from "./WebhookTables.ts"

export const layer: Layer.Layer<SubscriptionStore, never, WebhookTables> = Layer.effect(
  SubscriptionStore,
  Effect.gen(function*() {
    const tables = yield* WebhookTables
    const { max } = yield* SubscriptionSettings
    const byId = (id: string) => [...tables.subscriptions.values()].find((row) => row.id === id)
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
        Effect.suspend(() =>
          tables.subscriptions.size >= max && !tables.hasSubscription(url, schema, table)
            ? Effect.fail(new TooManySubscriptions({ max }))
            : Effect.succeed(tables.subscribe(url, schema, table, eventTypes))
        ),
      update: (id, eventTypes) =>
        Effect.sync(() => {
          const row = byId(id)
          return row === undefined ? undefined : tables.subscribe(row.url, row.schema, row.table, eventTypes)
        }),
      remove: (id) =>
        Effect.sync(() => {
          const subscription = byId(id)
          if (subscription === undefined) return undefined
          tables.unsubscribe(subscription.url, subscription.schema, subscription.table)
          return { subscription, endpointEnded: !tables.endpoints.has(subscription.endpointId), withdrawn: 0 }
        }),
      unsubscribe: ({ url, schema, table }) => Effect.sync(() => tables.unsubscribe(url, schema, table)),
      hints
    })
  })
)
