/**
 * Existing rows, as chunks that enter the stream between two marks (DESIGN.md "Copy").
 *
 * The pipeline merges `rows` with the Listener's chunks ahead of the Filter. Without a configured copy the
 * stream is empty and ends at once (`layers/pipeline/SnapshotterNone`).
 */
import * as Context from "effect/Context"
import * as Schema from "effect/Schema"
import type * as Stream from "effect/Stream"
import type { Chunk } from "../domain/Chunk.ts"

export class Snapshotter extends Context.Service<Snapshotter, {
  readonly rows: Stream.Stream<Chunk, SnapshotError>
}>()("pgstream/services/Snapshotter") {}

export class SnapshotError extends Schema.TaggedError<SnapshotError>()("SnapshotError", {
  table: Schema.String,
  cause: Schema.Defect()
}) {}
