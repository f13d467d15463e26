import * as ApiTokensMemory from "../../../src/layers/memory/ApiTokensMemory.ts"
import { suite } from "../../suites/ApiTokensSuite.ts"

suite("memory", ApiTokensMemory.layer)
