import * as Effect from "effect/Effect"
import * as SchemaLogMemory from "../../../src/layers/memory/SchemaLogMemory.ts"
import { suite } from "../../suites/SchemaLogSuite.ts"

const { SchemaLogRows } = SchemaLogMemory

suite("memory", SchemaLogMemory.layer, {
  entries: Effect.gen(function*() {
    return (yield* (yield* SchemaLogRows).entries).map((entry) => `${entry.schema} ${entry.version}`)
  }),
  ids: Effect.gen(function*() {
    return yield* (yield* SchemaLogRows).ids
  })
})
