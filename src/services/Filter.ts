/** What goes on at all: the global lists. `layers/pipeline/FilterNone` lets everything pass. */
import * as Context from "effect/Context"
import type * as Effect from "effect/Effect"
import type { Chunk } from "../domain/Chunk.ts"

export class Filter extends Context.Service<Filter, {
  /** Changes with every setting that decides which events pass (`webhook-epoch`). */
  readonly version: string
  apply(chunk: Chunk): Effect.Effect<Chunk>
}>()("pgstream/services/Filter") {}
