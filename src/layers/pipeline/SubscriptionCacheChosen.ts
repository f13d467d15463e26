/** Where definitions come from: the stream, if the store is in the source database, else the store itself. */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type { Endpoints } from "../../services/Endpoints.ts"
import { StoreSettings } from "../../services/Settings.ts"
import type { SubscriptionCache } from "../../services/SubscriptionCache.ts"
import type { SubscriptionStore } from "../../services/SubscriptionStore.ts"
import * as Streamed from "./SubscriptionCache.ts"
import * as Polled from "./SubscriptionCachePolled.ts"

type Requirements = Endpoints | SubscriptionStore | StoreSettings

export const layer: Layer.Layer<SubscriptionCache, never, Requirements> = Layer.unwrap(
  Effect.map(StoreSettings, ({ inSource }): Layer.Layer<SubscriptionCache, never, Requirements> =>
    inSource ? Streamed.layer : Polled.layer
  )
)
