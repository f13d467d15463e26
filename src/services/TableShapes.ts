/**
 * Keys, types and schema entries in force where the stream is, made from rows of `pgstream.ddl` alone: a replay
 * makes the same. Works with the injector off, too: the order needs the keys.
 */
import * as Context from "effect/Context"
import type * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import type { Chunk } from "../domain/Chunk.ts"
import type { SchemaVersion, ShapesSnapshot, TableShape } from "../domain/TableShape.ts"

export interface ShapesInForce {
  /**
   * Sets `shape` on each change, replaces each row of `pgstream.ddl` by the events that it stands for (I on
   * `table_ids`, I on `schema_log`), and puts what changed on the transaction's Commit.
   */
  advance(chunk: Chunk): Effect.Effect<Chunk, SchemaLogError>
  /** In force now; plain, for the stage that follows in the same chunk. */
  shapeOf(oid: number): TableShape | undefined
  /** The entry that an event of `schema` at this place resolves against. */
  versionOf(schema: string): SchemaVersion | undefined
}

export class TableShapes extends Context.Service<TableShapes, {
  /** Starts from what the checkpoint stored. */
  open(from: ShapesSnapshot): Effect.Effect<ShapesInForce, SchemaLogError>
}>()("pgstream/services/TableShapes") {}

export class SchemaLogError extends Schema.TaggedError<SchemaLogError>()("SchemaLogError", {
  operation: Schema.String,
  cause: Schema.Defect()
}) {}
