/**
 * Rows that are there already, into the stream: between two marks of each range (DESIGN.md "Copy"). Stands before
 * TableShapes, since it has to see where in a chunk a mark is: what comes before it has other shapes than what comes after.
 *
 * Rows yield to events: no event is dropped, held or moved. Without copies it hands on what TableShapes makes of each
 * chunk (`layers/pipeline/SnapshotterNone`).
 */
import * as Context from "effect/Context"
import type * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import type { Chunk } from "../domain/Chunk.ts"
import type { Lsn } from "../domain/Lsn.ts"
import type { EndpointId } from "../domain/Subscription.ts"
import type { SchemaLogError, ShapesInForce } from "./TableShapes.ts"

export interface Copying {
  /** The chunk with shapes, marks taken out, and the rows of a copy at the place of their high mark. One caller at a time. */
  advance(chunk: Chunk): Effect.Effect<Chunk, SchemaLogError>
  /** Everything at or below `position` is delivered or parked; called before that is stored, and waited for. */
  settled(position: Lsn): Effect.Effect<void, SnapshotError>
}

export interface EndpointPace {
  /** What it would be sent now goes to the store. */
  isBehind(endpoint: EndpointId): boolean
}

export class Snapshotter extends Context.Service<Snapshotter, {
  /**
   * Goes on with the copies that are not over; ends with the scope. `shapes` are those in force where the stream starts.
   * Nothing more is read for endpoints that are behind.
   */
  open(shapes: ShapesInForce, endpoints: EndpointPace): Effect.Effect<Copying, SnapshotError, Scope.Scope>
}>()("pgstream/services/Snapshotter") {}

export class SnapshotError extends Schema.TaggedError<SnapshotError>()("SnapshotError", {
  operation: Schema.String,
  cause: Schema.Defect()
}) {}
