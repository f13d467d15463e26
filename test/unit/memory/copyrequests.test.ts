import * as CopyRequestsMemory from "../../../src/layers/memory/CopyRequestsMemory.ts"
import { suite } from "../../suites/CopyRequestsSuite.ts"

suite("memory", CopyRequestsMemory.layer)
