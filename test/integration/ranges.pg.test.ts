import * as Layer from "effect/Layer"
import * as SequenceRangesPg from "../../src/layers/postgres/store/SequenceRangesPg.ts"
import { suite } from "../suites/SequenceRangesSuite.ts"
import { testDatabase } from "../support/database.ts"
import { migratedStore } from "../support/store.ts"

const database = testDatabase("ranges")

suite("postgres", SequenceRangesPg.layer.pipe(Layer.provide(migratedStore(database.url))))
