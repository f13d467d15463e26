import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as EndpointsMemory from "../../../src/layers/memory/EndpointsMemory.ts"
import * as SubscriptionStoreMemory from "../../../src/layers/memory/SubscriptionStoreMemory.ts"
import * as WebhookTables from "../../../src/layers/memory/WebhookTables.ts"
import * as SubscriptionStoreCached from "../../../src/layers/pipeline/SubscriptionStoreCached.ts"
import { StoreSettings, SubscriptionSettings } from "../../../src/services/Settings.ts"
import * as Redacted from "effect/Redacted"
import { Operator, suite as endpointsSuite } from "../../suites/EndpointsSuite.ts"
import { limitSuite, suite as subscriptionsSuite } from "../../suites/SubscriptionStoreSuite.ts"

const tables = WebhookTables.layer(64)
const settings = Layer.succeed(StoreSettings, { url: Redacted.make(""), inSource: true, refreshIntervalMs: 60_000 })
const memory = SubscriptionStoreMemory.layer.pipe(Layer.provide(tables))

subscriptionsSuite("memory", memory)
subscriptionsSuite("cached memory", SubscriptionStoreCached.layer.pipe(Layer.provide([memory, settings])))

limitSuite("memory", SubscriptionStoreMemory.layer.pipe(
  Layer.provide(WebhookTables.layer(64)), Layer.provide(Layer.succeed(SubscriptionSettings, { max: 5 }))
))

const operator = Layer.effect(
  Operator,
  Effect.map(WebhookTables.WebhookTables, (held) => ({
    edit: (id, change) => Effect.sync(() => held.putEndpoint({ ...held.endpoints.get(id)!, ...change }))
  }))
)
endpointsSuite("memory", Layer.mergeAll(EndpointsMemory.layer, SubscriptionStoreMemory.layer, operator).pipe(Layer.provide(tables)), 64)
