import * as ParkedDeliveriesMemory from "../../../src/layers/memory/ParkedDeliveriesMemory.ts"
import { suite } from "../../suites/ParkedDeliveriesSuite.ts"

suite("memory", ParkedDeliveriesMemory.layer)
