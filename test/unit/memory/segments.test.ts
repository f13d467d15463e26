import * as SegmentsMemory from "../../../src/layers/memory/SegmentsMemory.ts"
import { suite } from "../../suites/SegmentsSuite.ts"

suite("memory", SegmentsMemory.layer)
