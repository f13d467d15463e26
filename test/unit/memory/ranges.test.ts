import * as SequenceRangesMemory from "../../../src/layers/memory/SequenceRangesMemory.ts"
import { suite } from "../../suites/SequenceRangesSuite.ts"

suite("memory", SequenceRangesMemory.layer)
