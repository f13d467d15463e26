/**
 * Who may write for a stream: the process that took it over last. A statement of one that was killed may commit long
 * after its end; what it parked then would be unknown to the process that has loaded the parked keys.
 *
 * `pgstream.stream_writers` has a generation a stream. Taking over raises it, and waits for writes under way, since
 * each holds the row FOR SHARE; one that begins later finds another generation, and writes nothing.
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as SqlClient from "effect/sql/SqlClient"

/** Ends a transaction whose client is gone without a word between two statements: it would hold up the next process. */
const IDLE = "30s"

export class StreamWriters extends Context.Service<StreamWriters, {
  /** By stream: the generation of this process. Without one (a tool beside the service) writes are not checked. */
  readonly generations: Map<string, string>
}>()("pgstream/layers/postgres/store/StreamWriters") {}

/** One for all layers of a store. */
export const layer: Layer.Layer<StreamWriters> = Layer.sync(StreamWriters, () => ({ generations: new Map() }))

/** Inside a transaction: returns once no earlier process can write any more, and this one's generation. */
export const takeOver = (sql: SqlClient.SqlClient, stream: string) =>
  Effect.map(
    sql<{ readonly generation: string }>`
      INSERT INTO pgstream.stream_writers AS w (stream, generation) VALUES (${stream}, 1)
      ON CONFLICT (stream) DO UPDATE SET generation = w.generation + 1
      RETURNING generation::text AS generation`,
    (rows) => rows[0]!.generation
  )

/** A query of one row while the stream is this process's, of none when another took it over. For a CTE. */
export const holding = (sql: SqlClient.SqlClient, { generations }: StreamWriters["Service"], stream: string) => {
  const generation = generations.get(stream)
  return generation === undefined
    ? sql`SELECT 1 AS held`
    : sql`SELECT 1 AS held FROM pgstream.stream_writers
        WHERE stream = ${stream} AND generation = ${generation}::bigint FOR SHARE`
}

/** First statement of a transaction: whether the stream is this process's until its end. */
export const hold = (sql: SqlClient.SqlClient, writers: StreamWriters["Service"], stream: string) =>
  Effect.map(
    sql`WITH fence AS (${holding(sql, writers, stream)})
      SELECT set_config('idle_in_transaction_session_timeout', ${IDLE}, true) FROM fence`,
    (rows) => rows.length > 0
  )

/** A write whose answer is the fence: rows while the stream is this process's, else what `refused` makes of it. */
export const held = <A extends ReadonlyArray<object>, E, E2>(
  stream: string, work: Effect.Effect<A, E>, refused: (why: { readonly takenOver: true; readonly cause: Error }) => E2
): Effect.Effect<A, E | E2> =>
  Effect.flatMap(work, (rows) => rows.length > 0
    ? Effect.succeed(rows)
    : Effect.fail(refused({ takenOver: true, cause: takenOver(stream) })))

export const takenOver = (stream: string): Error =>
  new Error(`Another process took over stream ${stream}; this one starts again.`)
