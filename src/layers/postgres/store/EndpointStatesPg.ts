/**
 * What the service itself decides about endpoints: columns of `pgstream.endpoint_streams`. Fenced; a hint goes to all
 * who look at the endpoints, this process too.
 */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as SqlClient from "effect/sql/SqlClient"
import type { SqlError } from "effect/sql/SqlError"
import * as StreamId from "../../../domain/StreamId.ts"
import type { EndpointId } from "../../../domain/Subscription.ts"
import { EndpointStates, EndpointStatesError } from "../../../services/EndpointStates.ts"
import { StoreSql } from "../Sql.ts"
import { FIRST_EPOCH } from "./EndpointRow.ts"
import * as StoreHints from "./StoreHints.ts"
import * as StreamWriters from "./StreamWriters.ts"
import { whileAway, withoutValues } from "./StoreRetry.ts"

type Fence = ReturnType<typeof StreamWriters.holding>
type Operation = EndpointStatesError["operation"]

const setFailing = (sql: SqlClient.SqlClient, fence: Fence, stream: string, since: ReadonlyMap<EndpointId, number>, answered: ReadonlyArray<EndpointId>) =>
  sql`WITH fence AS (${fence}), failing AS (
      INSERT INTO pgstream.endpoint_streams (stream, endpoint_id, epoch, failing_since)
      SELECT ${stream}, u.id, ${sql.literal(FIRST_EPOCH)}, to_timestamp(u.ms / 1000.0)
      FROM unnest(${[...since.keys()]}::text[]::uuid[], ${Array.from(since.values(), (ms) => String(Math.round(ms)))}::text[]::bigint[]) AS u(id, ms)
        LEFT JOIN pgstream.checkpoint c ON c.stream = ${stream}, fence
      ON CONFLICT (stream, endpoint_id) DO UPDATE SET failing_since = excluded.failing_since),
    answers AS (
      UPDATE pgstream.endpoint_streams x SET failing_since = NULL
      WHERE x.stream = ${stream} AND x.endpoint_id = ANY (${answered}::text[]::uuid[]) AND x.failing_since IS NOT NULL
        AND EXISTS (SELECT FROM fence))
    SELECT held FROM fence`

/** One that is stopped already keeps its time and its reason. */
const stop = (sql: SqlClient.SqlClient, fence: Fence, stream: string, endpoint: EndpointId, reason: string, state: "disabled" | "suspended") => {
  const [why, at] = [sql.literal(`${state}_reason`), sql.literal(`${state}_at`)]
  return sql`WITH fence AS (${fence}), stopped AS (
      INSERT INTO pgstream.endpoint_streams AS x (stream, endpoint_id, epoch, ${why}, ${at})
      SELECT ${stream}, u.id, ${sql.literal(FIRST_EPOCH)}, ${reason}::text, now()
      FROM (SELECT ${endpoint}::uuid AS id) u LEFT JOIN pgstream.checkpoint c ON c.stream = ${stream}, fence
      ON CONFLICT (stream, endpoint_id) DO UPDATE SET ${why} = excluded.${why}, ${at} = excluded.${at} WHERE x.${why} IS NULL)
    SELECT held FROM fence`
}

export const make = Effect.gen(function*() {
  const sql = yield* StoreSql
  const writers = yield* StreamWriters.StreamWriters
  const operation = <A>(name: Operation, work: Effect.Effect<A, SqlError>) =>
    work.pipe(
      whileAway(`endpoint states ${name}`),
      Effect.mapError((error) => new EndpointStatesError({ operation: name, cause: withoutValues(error) }))
    )
  const write = (
    name: Operation, id: StreamId.StreamId,
    statement: (fence: Fence, stream: string) => Effect.Effect<ReadonlyArray<object>, SqlError>
  ) => {
    const stream = StreamId.format(id)
    return Effect.asVoid(StreamWriters.held(
      stream, operation(name, Effect.suspend(() => statement(StreamWriters.holding(sql, writers, stream), stream))),
      (why) => new EndpointStatesError({ operation: name, ...why })
    ))
  }
  const stopped = (name: "disable" | "suspend", state: "disabled" | "suspended") =>
    (id: StreamId.StreamId, endpoint: EndpointId, reason: string) =>
      Effect.andThen(
        write(name, id, (fence, stream) => stop(sql, fence, stream, endpoint, reason.replaceAll("\0", ""), state)),
        StoreHints.notify(sql)
      )
  return EndpointStates.of({
    failing: (id) =>
      Effect.map(
        operation("failing", sql<{ readonly id: string; readonly ms: number }>`
          SELECT endpoint_id AS id, round(extract(epoch FROM failing_since) * 1000)::float8 AS ms
          FROM pgstream.endpoint_streams WHERE stream = ${StreamId.format(id)} AND failing_since IS NOT NULL`),
        (rows) => new Map(rows.map((row) => [row.id, row.ms]))
      ),
    setFailing: (id, since) => {
      if (since.size === 0) return Effect.void
      const failing = new Map<EndpointId, number>()
      const answered: Array<EndpointId> = []
      for (const [endpoint, ms] of since) {
        if (ms === undefined) answered.push(endpoint)
        else failing.set(endpoint, ms)
      }
      return write("setFailing", id, (fence, stream) => setFailing(sql, fence, stream, failing, answered))
    },
    disable: stopped("disable", "disabled"),
    suspend: stopped("suspend", "suspended")
  })
})

export const layer: Layer.Layer<EndpointStates, never, StoreSql> = Layer.effect(EndpointStates, make).pipe(
  Layer.provide(StreamWriters.layer)
)
