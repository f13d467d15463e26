import * as Layer from "effect/Layer"
import * as EndpointsMemory from "../../../src/layers/memory/EndpointsMemory.ts"
import * as EndpointStatesMemory from "../../../src/layers/memory/EndpointStatesMemory.ts"
import * as EndpointStoreMemory from "../../../src/layers/memory/EndpointStoreMemory.ts"
import * as SubscriptionStoreMemory from "../../../src/layers/memory/SubscriptionStoreMemory.ts"
import * as WebhookTables from "../../../src/layers/memory/WebhookTables.ts"
import { suite } from "../../suites/EndpointStoreSuite.ts"

suite("memory", Layer.mergeAll(
  EndpointsMemory.layer, EndpointStoreMemory.layer, EndpointStatesMemory.layer, SubscriptionStoreMemory.layer
).pipe(
  Layer.provide(WebhookTables.layer(17))
), 17)
