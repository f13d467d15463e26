/** What is gone from the subscriptions in memory. */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { RemovedRows } from "../../services/RemovedRows.ts"
import { WebhookTables } from "./WebhookTables.ts"

export const layer: Layer.Layer<never, never, WebhookTables> = Layer.effect(
  RemovedRows,
  Effect.map(WebhookTables, (tables) => ({
    gone: (ids) =>
      Effect.sync(() => {
        const there = new Set(Array.from(tables.subscriptions.values(), (row) => row.id))
        return ids.filter((id) => !there.has(id))
      })
  }))
)
