import * as Layer from "effect/Layer"
import * as DeliveryAdminMemory from "../../../src/layers/memory/DeliveryAdminMemory.ts"
import * as DeliveryLogMemory from "../../../src/layers/memory/DeliveryLogMemory.ts"
import * as ParkedDeliveriesMemory from "../../../src/layers/memory/ParkedDeliveriesMemory.ts"
import * as SegmentsMemory from "../../../src/layers/memory/SegmentsMemory.ts"
import { DeliveryLogSettings, deliveryLogDefaults } from "../../../src/services/DeliverySettings.ts"
import { suite } from "../../suites/DeliveryAdminSuite.ts"

suite("memory", Layer.mergeAll(DeliveryAdminMemory.layer, DeliveryLogMemory.layer, ParkedDeliveriesMemory.layer).pipe(
  Layer.provideMerge(SegmentsMemory.layer),
  Layer.provide(Layer.succeed(DeliveryLogSettings, { ...deliveryLogDefaults, bodies: true }))
))
