/**
 * Third stage: sets `metadata` on the changes of a chunk, from the shapes in force at their place. With the
 * injector on, events of schema `pgstream` other than schema-log entries are dropped. The layer that is off sets
 * nothing and drops nothing.
 */
import * as Context from "effect/Context"
import type * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import type { Chunk } from "../domain/Chunk.ts"
import type { ShapesInForce } from "./TableShapes.ts"

export class Injector extends Context.Service<Injector, {
  /** On or off: part of what decides numbering (`webhook-epoch`). */
  readonly version: string
  inject(chunk: Chunk, shapes: ShapesInForce): Effect.Effect<Chunk, InjectorError>
}>()("pgstream/services/Injector") {}

export class InjectorError extends Schema.TaggedError<InjectorError>()("InjectorError", {
  cause: Schema.Defect()
}) {}
