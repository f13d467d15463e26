/** Statements on the registry, the cursors and the tables of segments. */
import type * as SqlClient from "effect/sql/SqlClient"
import * as Lsn from "../../../domain/Lsn.ts"
import type { SegmentEvent, SegmentPart } from "../../../domain/Segment.ts"
import type { SegmentCursor } from "../../../services/Segments.ts"
import type * as StreamWriters from "./StreamWriters.ts"

type Sql = SqlClient.SqlClient
/** A query of one row while this process may write for the stream; for a CTE called `fence`. */
type Fence = ReturnType<typeof StreamWriters.holding>

const texts = (values: Iterable<string | number>): Array<string> => Array.from(values, String)

/** A table of segments by its number. */
export const tableOf = (sql: Sql, number: number) => sql.literal(`pgstream.webhook_segments_${number}`)

export interface TableRow {
  readonly number: bigint
  readonly first_segment: bigint
  readonly end_segment: bigint | null
  readonly dropped: boolean
}

export const tables = (sql: Sql, stream: string) =>
  sql<TableRow>`
    SELECT number, first_segment, end_segment, dropped FROM pgstream.webhook_segment_tables
    WHERE stream = ${stream} ORDER BY number`

/** How full a table is, and its last number; `last` null: it is empty. */
export const fullness = (sql: Sql, table: number) =>
  sql<{ readonly last: bigint | null; readonly bytes: bigint; readonly made_at: Date | null }>`
    SELECT (SELECT max(number) FROM ${tableOf(sql, table)}) AS last,
      pg_total_relation_size(${`pgstream.webhook_segments_${table}`}::regclass) AS bytes,
      (SELECT made_at FROM ${tableOf(sql, table)} ORDER BY number DESC LIMIT 1) AS made_at`

export const lineage = (sql: Sql, stream: string) =>
  sql<{ readonly lineage: string }>`SELECT lineage FROM pgstream.checkpoint WHERE stream = ${stream}`

export const makeTable = (sql: Sql, stream: string, first: number) =>
  sql<{ readonly number: bigint }>`SELECT pgstream.make_segment_table(${stream}, ${String(first)}::bigint) AS number`

export const endTable = (sql: Sql, table: number, end: number) =>
  sql`UPDATE pgstream.webhook_segment_tables SET end_segment = ${String(end)}::bigint
    WHERE number = ${String(table)}::bigint AND end_segment IS NULL`

export const dropTable = (sql: Sql, table: number) =>
  sql<{ readonly dropped: boolean }>`SELECT pgstream.drop_segment_table(${String(table)}::bigint) AS dropped`

/** Rows of dropped tables, but for a stream's newest: its numbers go on. */
export const forgetTables = (sql: Sql, stream: string) =>
  sql`DELETE FROM pgstream.webhook_segment_tables t WHERE t.stream = ${stream} AND t.dropped
    AND (t.stream = '' OR EXISTS (SELECT FROM pgstream.webhook_segment_tables n WHERE n.stream = t.stream AND n.number > t.number))`

export interface NewSegment {
  readonly table: number
  readonly number: number
  readonly lineage: string
  readonly first: SegmentEvent
  readonly last: SegmentEvent
  readonly events: number
  readonly bytes: number
  readonly parts: ReadonlyArray<SegmentPart>
  readonly data: Uint8Array
}

const partColumns = (sql: Sql, parts: ReadonlyArray<SegmentPart>) =>
  sql`${texts(parts.map((part) => part.endpointId))}::text[]::uuid[],
    ${texts(parts.map((part) => part.events))}::text[]::integer[], ${texts(parts.map((part) => part.bytes))}::text[]::bigint[],
    ${texts(parts.map((part) => part.epoch))}::text[], ${texts(parts.map((part) => part.first))}::text[]::bigint[],
    ${texts(parts.map((part) => part.last))}::text[]::bigint[]`

/** An endpoint that has a cursor keeps it. The number is this batch's: once more, it is there already. */
export const append = (sql: Sql, fence: Fence, stream: string, segment: NewSegment) =>
  sql`WITH fence AS (${fence}), made AS (
      INSERT INTO ${tableOf(sql, segment.table)} (number, lineage, first_lsn, first_ordinal, last_lsn, last_ordinal, events, bytes,
        endpoints, counts, sizes, epochs, firsts, lasts, data)
      SELECT ${String(segment.number)}::bigint, ${segment.lineage},
        ${Lsn.format(segment.first.commitLsn)}::pg_lsn, ${String(segment.first.ordinal)}::bigint,
        ${Lsn.format(segment.last.commitLsn)}::pg_lsn, ${String(segment.last.ordinal)}::bigint,
        ${String(segment.events)}::integer, ${String(segment.bytes)}::bigint,
        ${partColumns(sql, segment.parts)}, ${segment.data}::bytea
      FROM fence
      ON CONFLICT (number) DO NOTHING),
    waiting AS (
      INSERT INTO pgstream.webhook_segment_cursors (stream, endpoint_id, segment, index)
      SELECT ${stream}, e, ${String(segment.number)}::bigint, 0
      FROM unnest(${texts(segment.parts.map((part) => part.endpointId))}::text[]::uuid[]) e, fence
      ON CONFLICT (stream, endpoint_id) DO NOTHING)
    SELECT held FROM fence`

export interface DataRow {
  readonly number: bigint
  readonly cut_at: number | null
  readonly data: Uint8Array
}

/** The first segment from `from` on that has something for the endpoint. */
export const read = (sql: Sql, table: number, endpoint: string, from: number) =>
  sql<DataRow>`
    SELECT number, cut_at, data FROM ${tableOf(sql, table)}
    WHERE number >= ${String(from)}::bigint AND endpoints @> ARRAY[${endpoint}::uuid] ORDER BY number LIMIT 1`

export const withData = (sql: Sql, table: number) =>
  sql<{ readonly number: bigint }>`SELECT number FROM ${tableOf(sql, table)} WHERE cut_at IS DISTINCT FROM 0 ORDER BY number`

export const one = (sql: Sql, table: number, number: bigint) =>
  sql<DataRow>`SELECT number, cut_at, data FROM ${tableOf(sql, table)} WHERE number = ${String(number)}::bigint AND cut_at IS DISTINCT FROM 0`

/** The next segment from `from` on that has something for one of the endpoints. */
export const look = (
  sql: Sql, table: number, endpoints: ReadonlyArray<string>, from: number, newestFirst: boolean, position: Lsn.Lsn | undefined
) =>
  sql<DataRow & { readonly made_at: Date }>`
    SELECT number, cut_at, data, made_at FROM ${tableOf(sql, table)}
    WHERE number ${sql.literal(newestFirst ? "<=" : ">=")} ${String(from)}::bigint AND endpoints && ${endpoints}::text[]::uuid[]
      AND ${position === undefined ? sql`true` : sql`${Lsn.format(position)}::pg_lsn BETWEEN first_lsn AND last_lsn`}
    ORDER BY number ${sql.literal(newestFirst ? "DESC" : "ASC")} LIMIT 1`

export const cursors = (sql: Sql, stream: string) =>
  sql<{ readonly endpoint_id: string; readonly segment: bigint; readonly index: number }>`
    SELECT endpoint_id, segment, index FROM pgstream.webhook_segment_cursors WHERE stream = ${stream}`

export const cursor = (sql: Sql, stream: string, endpoint: string) =>
  sql<{ readonly segment: bigint; readonly index: number }>`
    SELECT segment, index FROM pgstream.webhook_segment_cursors
    WHERE stream = ${stream} AND endpoint_id = ${endpoint}::uuid`

export interface WaitingRow {
  readonly endpoint_id: string
  readonly events: bigint
  readonly bytes: bigint
  readonly oldest: Date
  readonly lowest_lsn: string
  readonly last: bigint
  /** Events of the endpoint in its last segment. */
  readonly last_count: number
}

/**
 * What waits by the counts of the rows, without their data. Bytes of the segment in which a cursor is count only where
 * it is at its first event: the rest is read.
 */
export const waiting = (sql: Sql, table: number, stream: string, from: number) =>
  sql<WaitingRow>`
    SELECT u.endpoint_id,
      sum(CASE WHEN s.number = c.segment THEN u.count - c.index ELSE u.count END)::bigint AS events,
      coalesce(sum(u.size) FILTER (WHERE s.number > c.segment OR c.index = 0), 0)::bigint AS bytes,
      min(s.made_at) AS oldest, min(s.first_lsn)::text AS lowest_lsn, max(s.number) AS last,
      (array_agg(u.count ORDER BY s.number DESC))[1] AS last_count
    FROM ${tableOf(sql, table)} s, unnest(s.endpoints, s.counts, s.sizes) AS u(endpoint_id, count, size)
    JOIN pgstream.webhook_segment_cursors c ON c.stream = ${stream} AND c.endpoint_id = u.endpoint_id
    WHERE s.number >= ${String(from)}::bigint
      AND (s.number > c.segment OR (s.number = c.segment AND u.count > c.index))
    GROUP BY u.endpoint_id`

export interface NumbersRow {
  readonly number: bigint
  readonly count: number
  readonly epoch: string
  readonly first: bigint
  readonly last: bigint
}

export const numbers = (sql: Sql, table: number, endpoint: string, from: number) =>
  sql<NumbersRow>`
    SELECT s.number, u.count, u.epoch, u.first, u.last
    FROM ${tableOf(sql, table)} s,
      unnest(s.endpoints, s.counts, s.epochs, s.firsts, s.lasts) AS u(endpoint_id, count, epoch, first, last)
    WHERE s.number >= ${String(from)}::bigint AND s.endpoints @> ARRAY[${endpoint}::uuid] AND u.endpoint_id = ${endpoint}::uuid
    ORDER BY s.number`

export const pass = (
  sql: Sql, fence: Fence, stream: string, moved: ReadonlyMap<string, SegmentCursor>, finished: ReadonlyArray<string>
) =>
  sql`WITH fence AS (${fence}), moved AS (
      UPDATE pgstream.webhook_segment_cursors c SET segment = u.segment, index = u.index
      FROM unnest(${[...moved.keys()]}::text[]::uuid[], ${texts(Array.from(moved.values(), ({ segment }) => segment))}::text[]::bigint[],
        ${texts(Array.from(moved.values(), ({ index }) => index))}::text[]::integer[]) AS u(endpoint_id, segment, index), fence
      WHERE c.stream = ${stream} AND c.endpoint_id = u.endpoint_id AND (u.segment, u.index) > (c.segment, c.index)),
    finished AS (
      DELETE FROM pgstream.webhook_segment_cursors c
      WHERE c.stream = ${stream} AND c.endpoint_id = ANY (${finished}::text[]::uuid[]) AND EXISTS (SELECT FROM fence))
    SELECT held FROM fence`

/** Cursors of the stream for which nothing waits any more. */
export const removeCursors = (sql: Sql, stream: string, endpoints: ReadonlyArray<string>) =>
  sql`DELETE FROM pgstream.webhook_segment_cursors
    WHERE stream = ${stream} AND endpoint_id = ANY (${endpoints}::text[]::uuid[])`

/** The last segment below the position: none above it needs a look that was appended before that one. */
export const lastBelow = (sql: Sql, table: number, lineageOf: string, position: Lsn.Lsn) =>
  sql<{ readonly number: bigint }>`
    SELECT number FROM ${tableOf(sql, table)}
    WHERE lineage <> ${lineageOf} OR (last_lsn < ${Lsn.format(position)}::pg_lsn AND cut_at IS DISTINCT FROM 0)
    ORDER BY number DESC LIMIT 1`

/** Whole segments at or above the position: their numbers stay, their content goes. */
export const cutWhole = (sql: Sql, table: number, after: number, position: Lsn.Lsn) =>
  sql`UPDATE ${tableOf(sql, table)} SET cut_at = 0, events = 0, bytes = 0, endpoints = '{}', counts = '{}', sizes = '{}',
      epochs = '{}', firsts = '{}', lasts = '{}', data = ''
    WHERE number > ${String(after)}::bigint AND first_lsn >= ${Lsn.format(position)}::pg_lsn AND cut_at IS DISTINCT FROM 0`

/** Segments that the position goes through. */
export const through = (sql: Sql, table: number, after: number, position: Lsn.Lsn) =>
  sql<DataRow>`
    SELECT number, cut_at, data FROM ${tableOf(sql, table)}
    WHERE number > ${String(after)}::bigint AND first_lsn < ${Lsn.format(position)}::pg_lsn
      AND last_lsn >= ${Lsn.format(position)}::pg_lsn AND cut_at IS DISTINCT FROM 0
    ORDER BY number`

export const cutPart = (sql: Sql, table: number, number: number, kept: ReadonlyArray<SegmentEvent>, parts: ReadonlyArray<SegmentPart>) =>
  sql`UPDATE ${tableOf(sql, table)} s SET cut_at = ${String(kept.length)}::integer, events = ${String(kept.length)}::integer,
      bytes = ${String(kept.reduce((sum, { body }) => sum + body.byteLength, 0))}::bigint,
      last_lsn = ${Lsn.format(kept.at(-1)!.commitLsn)}::pg_lsn, last_ordinal = ${String(kept.at(-1)!.ordinal)}::bigint,
      (endpoints, counts, sizes, epochs, firsts, lasts) = ROW(${partColumns(sql, parts)})
    WHERE s.number = ${String(number)}::bigint`

/** Unless it was cut meanwhile. */
export const replace = (
  sql: Sql, table: number, { cut_at: cutAt, number }: DataRow, events: ReadonlyArray<SegmentEvent>,
  parts: ReadonlyArray<SegmentPart>, data: Uint8Array
) =>
  sql`UPDATE ${tableOf(sql, table)} s SET cut_at = NULL, events = ${String(events.length)}::integer,
      bytes = ${String(events.reduce((sum, { body }) => sum + body.byteLength, 0))}::bigint,
      (endpoints, counts, sizes, epochs, firsts, lasts) = ROW(${partColumns(sql, parts)}), data = ${data}::bytea
    WHERE s.number = ${String(number)}::bigint
      AND s.cut_at IS NOT DISTINCT FROM ${cutAt === null ? null : String(cutAt)}::text::integer`
