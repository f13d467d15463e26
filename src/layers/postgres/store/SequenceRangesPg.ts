/**
 * Numbers that are not sent, in `pgstream.webhook_sequence_ranges`. Ranges that touch or overlap are merged in the
 * statement that adds them; one process adds for a stream (StreamWriters), so that no two do it at once.
 */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as SqlClient from "effect/sql/SqlClient"
import type { SqlError } from "effect/sql/SqlError"
import * as StreamId from "../../../domain/StreamId.ts"
import { type RangeState, type SequenceRange, SequenceRanges, SequenceRangesError } from "../../../services/SequenceRanges.ts"
import { StoreSql } from "../Sql.ts"
import * as StreamWriters from "./StreamWriters.ts"
import { whileAway, withoutValues } from "./StoreRetry.ts"

/** Ranges in one statement. */
const MAX_RANGES = 5_000

/**
 * `old`: stored ones that touch a new one (of any two stored ones neither touches the other). `marked`: where a range
 * begins that does not touch those before it; `merged`: from there to the next. The rows stay that are right already.
 */
const add = (
  sql: SqlClient.SqlClient, fence: ReturnType<typeof StreamWriters.holding>, stream: string, ranges: ReadonlyArray<SequenceRange>
) =>
  sql`WITH fence AS (${fence}), added AS (
      SELECT u.* FROM unnest(
        ${ranges.map((range) => range.endpointId)}::text[]::uuid[], ${ranges.map((range) => range.epoch)}::text[],
        ${ranges.map((range) => range.state)}::text[], ${ranges.map((range) => String(range.first))}::text[]::bigint[],
        ${ranges.map((range) => String(range.last))}::text[]::bigint[]) AS u(endpoint_id, epoch, state, first, last), fence),
    old AS (
      SELECT r.endpoint_id, r.epoch, r.state, r.first, r.last FROM pgstream.webhook_sequence_ranges r
      WHERE r.stream = ${stream} AND EXISTS (
        SELECT FROM added a WHERE a.endpoint_id = r.endpoint_id AND a.epoch = r.epoch AND a.state = r.state
          AND a.first <= r.last + 1 AND r.first <= a.last + 1)),
    marked AS (
      SELECT b.*, CASE WHEN b.first <= max(b.last) OVER before + 1 THEN 0 ELSE 1 END AS starts
      FROM (TABLE added UNION ALL TABLE old) b
      WINDOW before AS (PARTITION BY b.endpoint_id, b.epoch, b.state ORDER BY b.first, b.last
        ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING)),
    grouped AS (
      SELECT m.*, sum(m.starts) OVER (PARTITION BY m.endpoint_id, m.epoch, m.state ORDER BY m.first, m.last) AS run FROM marked m),
    merged AS (
      SELECT g.endpoint_id, g.epoch, g.state, min(g.first) AS first, max(g.last) AS last
      FROM grouped g GROUP BY g.endpoint_id, g.epoch, g.state, g.run),
    gone AS (
      DELETE FROM pgstream.webhook_sequence_ranges r USING old o
      WHERE r.stream = ${stream} AND r.endpoint_id = o.endpoint_id AND r.epoch = o.epoch AND r.state = o.state AND r.first = o.first
        AND NOT EXISTS (SELECT FROM merged m WHERE m.endpoint_id = o.endpoint_id AND m.epoch = o.epoch AND m.state = o.state
          AND m.first = o.first)),
    done AS (
      INSERT INTO pgstream.webhook_sequence_ranges AS r (stream, endpoint_id, epoch, state, first, last)
      SELECT ${stream}, m.endpoint_id, m.epoch, m.state, m.first, m.last FROM merged m
      ON CONFLICT (stream, endpoint_id, epoch, state, first) DO UPDATE SET last = excluded.last, updated_at = now()
      WHERE r.last <> excluded.last)
    SELECT held FROM fence`

interface RangeRow {
  readonly endpoint_id: string
  readonly epoch: string
  readonly state: RangeState
  readonly first: bigint
  readonly last: bigint
}

const list = (sql: SqlClient.SqlClient, stream: string, endpoint: string | undefined, state: RangeState | undefined) =>
  sql<RangeRow>`
    SELECT endpoint_id, epoch, state, first, last FROM pgstream.webhook_sequence_ranges
    WHERE stream = ${stream} ${endpoint === undefined ? sql.literal("") : sql`AND endpoint_id = ${endpoint}::uuid`}
      ${state === undefined ? sql.literal("") : sql`AND state = ${state}`}
    ORDER BY endpoint_id, epoch COLLATE "C", state COLLATE "C", first`

const operation = <A>(name: SequenceRangesError["operation"], work: Effect.Effect<A, SqlError>) =>
  work.pipe(
    whileAway(`sequence ranges ${name}`),
    Effect.mapError((error) => new SequenceRangesError({ operation: name, cause: withoutValues(error) }))
  )

export const make = Effect.gen(function*() {
  const sql: SqlClient.SqlClient = yield* StoreSql
  const writers = yield* StreamWriters.StreamWriters
  const addPart = (stream: string, ranges: ReadonlyArray<SequenceRange>) =>
    StreamWriters.held(
      stream, operation("add", Effect.suspend(() => add(sql, StreamWriters.holding(sql, writers, stream), stream, ranges))),
      (why) => new SequenceRangesError({ operation: "add", ...why })
    )
  return SequenceRanges.of({
    add: (id, ranges) => {
      const parts = Array.from({ length: Math.ceil(ranges.length / MAX_RANGES) }, (_, i) => ranges.slice(i * MAX_RANGES, (i + 1) * MAX_RANGES))
      return Effect.forEach(parts, (part) => addPart(StreamId.format(id), part), { discard: true })
    },
    list: (id, endpoint, state) =>
      Effect.map(operation("list", list(sql, StreamId.format(id), endpoint, state)), (rows) =>
        rows.map((row) => ({
          endpointId: row.endpoint_id, epoch: row.epoch, state: row.state, first: Number(row.first), last: Number(row.last)
        })))
  })
})

export const layer: Layer.Layer<SequenceRanges, never, StoreSql> = Layer.effect(SequenceRanges, make).pipe(
  Layer.provide(StreamWriters.layer)
)
