/** The user's step. `layers/pipeline/TransformerNone` changes nothing. Keys are taken before it. */
import * as Context from "effect/Context"
import type * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import type { Chunk } from "../domain/Chunk.ts"

export class Transformer extends Context.Service<Transformer, {
  /** Changes with every setting that decides which events are dropped (`webhook-epoch`). */
  readonly version: string
  transform(chunk: Chunk): Effect.Effect<Chunk, TransformerError>
}>()("pgstream/services/Transformer") {}

export class TransformerError extends Schema.TaggedError<TransformerError>()("TransformerError", {
  cause: Schema.Defect()
}) {}
