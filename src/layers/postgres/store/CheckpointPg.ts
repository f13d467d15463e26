/**
 * Checkpoint in the store: `pgstream.checkpoint` and its three companions, and the counts in
 * `pgstream.endpoint_streams`. Each operation is one transaction, repeated while the store is away. To load is to
 * take the stream over (StreamWriters).
 */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Result from "effect/Result"
import type * as SqlClient from "effect/sql/SqlClient"
import type { SqlError } from "effect/sql/SqlError"
import * as Lsn from "../../../domain/Lsn.ts"
import * as StreamId from "../../../domain/StreamId.ts"
import { deltaOf } from "../../../domain/TableShape.ts"
import {
  Checkpoint, CheckpointError, type CheckpointState, type CheckpointUpdate
} from "../../../services/Checkpoint.ts"
import { FailPoints } from "../../../services/FailPoints.ts"
import { readState } from "./CheckpointPgRead.ts"
import { writeChanges } from "./CheckpointPgWrite.ts"
import { StoreSql } from "../Sql.ts"
import * as StreamWriters from "./StreamWriters.ts"
import { whileAway, withoutValues } from "./StoreRetry.ts"

const NEW_EPOCH = "left(replace(gen_random_uuid()::text, '-', ''), 16)"

/** What `state` holds, as a change of nothing. */
const asUpdate = (state: CheckpointState): CheckpointUpdate => ({
  position: state.position,
  counts: state.counts,
  upserted: state.definitions,
  removed: [],
  shapes: deltaOf(state.shapes)
})

export const make = Effect.gen(function*() {
  const sql: SqlClient.SqlClient = yield* StoreSql
  const { hit } = yield* FailPoints
  const writers = yield* StreamWriters.StreamWriters

  const restartCounts = Effect.fnUntraced(function*(stream: string) {
    yield* sql`UPDATE pgstream.endpoint_streams SET count = 0, epoch = ${sql.literal(NEW_EPOCH)} WHERE stream = ${stream}`
    yield* sql`UPDATE pgstream.checkpoint SET epoch_seed = ${sql.literal(NEW_EPOCH)} WHERE stream = ${stream}`
  })

  /** Settings that decide matching are not those of the counts: these start anew, for good, before one is used. */
  const adoptVersions = Effect.fnUntraced(function*(stream: string, versions: string) {
    const [row] = yield* sql<{ readonly versions: string }>`
      SELECT versions FROM pgstream.checkpoint WHERE stream = ${stream} FOR UPDATE`
    if (row?.versions === versions) return
    if (row !== undefined && row.versions !== "") yield* restartCounts(stream)
    yield* sql`INSERT INTO pgstream.checkpoint (stream, versions) VALUES (${stream}, ${versions})
      ON CONFLICT (stream) DO UPDATE SET versions = excluded.versions`
  })

  const position = (stream: string) =>
    Effect.map(
      sql<{ readonly position: string }>`
        SELECT position::text AS position FROM pgstream.checkpoint WHERE stream = ${stream}`,
      ([row]) => (row === undefined ? Lsn.zero : Result.getOrThrow(Lsn.parse(row.position)))
    )

  const load = Effect.fnUntraced(function*(id: StreamId.StreamId, versions: string) {
    const stream = StreamId.format(id)
    const generation = yield* StreamWriters.takeOver(sql, stream)
    yield* adoptVersions(stream, versions)
    return [yield* readState(sql, id), generation] as const
  })

  const reset = Effect.fnUntraced(function*(state: CheckpointState) {
    const stream = StreamId.format(state.stream)
    yield* sql`DELETE FROM pgstream.checkpoint_definitions WHERE stream = ${stream}`
    yield* sql`DELETE FROM pgstream.checkpoint_shapes WHERE stream = ${stream}`
    yield* sql`DELETE FROM pgstream.checkpoint_versions WHERE stream = ${stream}`
    yield* restartCounts(stream)
    yield* sql`INSERT INTO pgstream.checkpoint (stream, position, versions)
      VALUES (${stream}, ${Lsn.format(state.position)}::pg_lsn, ${state.versions})
      ON CONFLICT (stream) DO UPDATE
      SET position = excluded.position, versions = excluded.versions, recent = '[]', updated_at = now(),
        lineage = excluded.lineage`
    yield* writeChanges(sql, stream, asUpdate(state))
  })

  const save = Effect.fnUntraced(function*(id: StreamId.StreamId, update: CheckpointUpdate) {
    const stream = StreamId.format(id)
    if (!(yield* StreamWriters.hold(sql, writers, stream))) return false
    const moved = yield* sql`
      INSERT INTO pgstream.checkpoint AS c (stream, position)
      VALUES (${stream}, ${Lsn.format(update.position)}::pg_lsn)
      ON CONFLICT (stream) DO UPDATE SET position = excluded.position, updated_at = now()
      WHERE c.position <= excluded.position
      RETURNING 1 AS moved`
    if (moved.length > 0) yield* writeChanges(sql, stream, update)
    return true
  })

  const asked = <A>(operation: CheckpointError["operation"], work: Effect.Effect<A, SqlError>) =>
    work.pipe(
      whileAway(`checkpoint ${operation}`),
      Effect.mapError((error) => new CheckpointError({ operation, cause: withoutValues(error) }))
    )
  const transaction = <A>(operation: CheckpointError["operation"], work: Effect.Effect<A, SqlError>) =>
    asked(operation, sql.withTransaction(work))

  return Checkpoint.of({
    position: (stream) => asked("load", position(StreamId.format(stream))),
    load: (stream, versions) =>
      Effect.map(transaction("load", load(stream, versions)), ([state, generation]) => {
        writers.generations.set(StreamId.format(stream), generation)
        return state
      }),
    reset: (state) => transaction("reset", reset(state)),
    save: (stream, update) =>
      Effect.suspend(() => {
        hit?.("checkpoint.before_save")
        return Effect.flatMap(transaction("save", save(stream, update)), (saved) =>
          saved ? Effect.void : Effect.fail(new CheckpointError({
            operation: "save", cause: StreamWriters.takenOver(StreamId.format(stream))
          })))
      }).pipe(Effect.tap(() => Effect.sync(() => hit?.("checkpoint.after_save"))))
  })
})

export const layer: Layer.Layer<Checkpoint, never, StoreSql> = Layer.effect(Checkpoint, make).pipe(
  Layer.provide(StreamWriters.layer)
)
