/** How statements on segments are run: repeated while the store is away, writes fenced, errors without values. */
import * as Effect from "effect/Effect"
import type * as SqlClient from "effect/sql/SqlClient"
import type { SqlError } from "effect/sql/SqlError"
import { SegmentsError } from "../../../services/Segments.ts"
import type { Seals } from "./Seals.ts"
import type { SegmentLimits } from "./SegmentLog.ts"
import * as StreamWriters from "./StreamWriters.ts"
import { whileAway, withoutValues } from "./StoreRetry.ts"

type Fence = ReturnType<typeof StreamWriters.holding>

export interface SegmentStore {
  readonly sql: SqlClient.SqlClient
  readonly seals: Seals
  readonly limits: SegmentLimits
  run<A>(operation: string, work: Effect.Effect<A, SqlError>): Effect.Effect<A, SegmentsError>
  /** A write of one statement, whose answer is the fence. */
  holding(operation: string, stream: string, statement: (fence: Fence) => Effect.Effect<ReadonlyArray<object>, SqlError>): Effect.Effect<void, SegmentsError>
  /** Writes of one transaction. */
  fenced<A>(operation: string, stream: string, work: Effect.Effect<A, SqlError>): Effect.Effect<A, SegmentsError>
}

export const make = (
  sql: SqlClient.SqlClient, writers: StreamWriters.StreamWriters["Service"], seals: Seals, limits: SegmentLimits
): SegmentStore => {
  const run: SegmentStore["run"] = (operation, work) =>
    work.pipe(
      whileAway(`segments ${operation}`),
      Effect.mapError((error) => new SegmentsError({ operation, cause: withoutValues(error) }))
    )
  const takenOver = (operation: string, stream: string) =>
    new SegmentsError({ operation, takenOver: true, cause: StreamWriters.takenOver(stream) })
  return {
    sql,
    seals,
    limits,
    run,
    holding: (operation, stream, statement) =>
      Effect.flatMap(
        run(operation, Effect.suspend(() => statement(StreamWriters.holding(sql, writers, stream)))),
        (held) => held.length > 0 ? Effect.void : Effect.fail(takenOver(operation, stream))
      ),
    fenced: (operation, stream, work) =>
      Effect.flatMap(
        run(operation, sql.withTransaction(
          Effect.flatMap(StreamWriters.hold(sql, writers, stream), (held) =>
            held ? Effect.map(work, (value) => ({ value })) : Effect.undefined)
        )),
        (done) => done === undefined ? Effect.fail(takenOver(operation, stream)) : Effect.succeed(done.value)
      )
  }
}
