import * as Layer from "effect/Layer"
import * as SegmentsPg from "../../src/layers/postgres/store/SegmentsPg.ts"
import { suite } from "../suites/SegmentsSuite.ts"
import { testDatabase } from "../support/database.ts"
import { migratedStore } from "../support/store.ts"

const database = testDatabase("segments")
const store = migratedStore(database.url)

suite("postgres", SegmentsPg.layer.pipe(Layer.provide(store)))
