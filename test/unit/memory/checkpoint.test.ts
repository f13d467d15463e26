import * as CheckpointMemory from "../../../src/layers/memory/CheckpointMemory.ts"
import { suite } from "../../suites/CheckpointSuite.ts"

suite("memory", CheckpointMemory.layer)
