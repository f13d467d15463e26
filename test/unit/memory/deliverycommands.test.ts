import * as Effect from "effect/Effect"
import * as DeliveryCommandsMemory from "../../../src/layers/memory/DeliveryCommandsMemory.ts"
import { suite } from "../../suites/DeliveryCommandsSuite.ts"

suite("memory", DeliveryCommandsMemory.layer, () => Effect.void)
