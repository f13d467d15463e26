/**
 * Numbers given and where they are, from the store. Read in the order in which a delivery moves — counts, segments, rows,
 * ranges — so that one on its way is seen twice rather than not at all.
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type { SqlError } from "effect/sql/SqlError"
import type * as SqlClient from "effect/sql/SqlClient"
import * as Ranges from "../../../domain/Ranges.ts"
import * as StreamId from "../../../domain/StreamId.ts"
import type { AccountState } from "../../../domain/Verify.ts"
import { Segments } from "../../../services/Segments.ts"
import { SequenceRanges } from "../../../services/SequenceRanges.ts"
import { type KnownEndpoint, Verify, VerifyError } from "../../../services/Verify.ts"
import { StoreSql } from "../Sql.ts"
import { answering } from "./StoreRetry.ts"

/** All that a stream has parked is read. */
const TIMEOUT = Duration.minutes(5)

interface CountRow {
  readonly endpoint_id: string
  readonly count: bigint
  readonly epoch: string
  readonly url: string
  /** Something waits in segments. One that begins to wait later does so with numbers above its count. */
  readonly behind: boolean
}

interface IslandRow {
  readonly endpoint_id: string
  readonly epoch: string
  readonly state: "waiting" | "dead"
  readonly first: bigint
  readonly last: bigint
}

interface AcceptedRow {
  readonly endpoint_id: string
  readonly event_id: string
  readonly sequence: bigint
}

type Sql = SqlClient.SqlClient

const only = (sql: Sql, endpoint: string | undefined) =>
  endpoint === undefined ? sql`true` : sql`d.endpoint_id = ${endpoint}::uuid`

const counts = (sql: Sql, stream: string, endpoint: string | undefined) =>
  sql<CountRow>`
    SELECT d.endpoint_id, d.count, d.epoch, coalesce(e.url, '') AS url,
      EXISTS (SELECT FROM pgstream.webhook_segment_cursors c WHERE c.stream = d.stream AND c.endpoint_id = d.endpoint_id) AS behind
    FROM pgstream.endpoint_streams d LEFT JOIN pgstream.webhook_endpoints e ON e.id = d.endpoint_id
    WHERE d.stream = ${stream} AND d.count > 0 AND ${only(sql, endpoint)} ORDER BY d.endpoint_id`

/** Numbers that follow each other as one row. */
const islands = (sql: Sql, stream: string, endpoint: string | undefined) =>
  sql<IslandRow>`
    SELECT q.endpoint_id, q.epoch, q.state, min(q.sequence) AS first, max(q.sequence) AS last
    FROM (SELECT d.endpoint_id, d.epoch, d.state, d.sequence,
        d.sequence - row_number() OVER (PARTITION BY d.endpoint_id, d.epoch, d.state ORDER BY d.sequence) AS island
      FROM pgstream.webhook_deliveries d WHERE d.stream = ${stream} AND d.sequence > 0 AND ${only(sql, endpoint)}) q
    GROUP BY q.endpoint_id, q.epoch, q.state, q.island`

const accepted = (sql: Sql, stream: string, endpoint: string | undefined) =>
  sql<AcceptedRow>`
    SELECT d.endpoint_id, d.event_id, d.sequence
    FROM pgstream.webhook_successes d JOIN pgstream.endpoint_streams x
      ON x.stream = d.stream AND x.endpoint_id = d.endpoint_id AND x.epoch = d.epoch
    WHERE d.stream = ${stream} AND d.sequence BETWEEN 1 AND x.count AND ${only(sql, endpoint)} ORDER BY d.at DESC`

const asked = <A>(work: Effect.Effect<A, SqlError>) =>
  answering(TIMEOUT, work, (why) => new VerifyError(why))

const failure = (cause: unknown) => new VerifyError({ unavailable: false, cause })

const byEndpoint = <Row extends { readonly endpoint_id: string }>(rows: ReadonlyArray<Row>): ReadonlyMap<string, ReadonlyArray<Row>> =>
  Map.groupBy(rows, (row) => row.endpoint_id)

/** `''`: a row of before there were epochs with rows; it is taken for the one in force. */
const isOf = (epoch: string) => (row: { readonly epoch: string }): boolean => row.epoch === epoch || row.epoch === ""

export const make = Effect.gen(function*() {
  const sql: Sql = yield* StoreSql
  const segments = yield* Segments
  const ranges = yield* SequenceRanges
  const known = Effect.fnUntraced(function*(stream: StreamId.StreamId, endpoint: string | undefined) {
    const name = StreamId.format(stream)
    const given = yield* asked(counts(sql, name, endpoint))
    const waiting = new Map<string, Effect.Success<ReturnType<typeof segments.numbers>>>()
    for (const { behind, endpoint_id: id } of given) if (behind) waiting.set(id, yield* Effect.mapError(segments.numbers(stream, id), failure))
    const parked = byEndpoint(yield* asked(islands(sql, name, endpoint)))
    const recorded = Map.groupBy(yield* Effect.mapError(ranges.list(stream, endpoint), failure), (range) => range.endpointId)
    const recent = byEndpoint(yield* asked(accepted(sql, name, endpoint)))
    return given.map(({ count, endpoint_id: id, epoch, url }): KnownEndpoint => {
      const rows = parked.get(id) ?? []
      const behind = waiting.get(id) ?? []
      const numbers = (state: AccountState) => Ranges.fromRanges([
        ...(state === "waiting" ? behind.filter(isOf(epoch)) : []),
        ...rows.filter((row) => row.state === state && isOf(epoch)(row)).map(({ first, last }) => ({ first: Number(first), last: Number(last) })),
        ...(recorded.get(id) ?? []).filter((range) => range.epoch === epoch && range.state === state)
      ].map(({ first, last }) => ({ first, last })))
      const earlier = [...behind, ...rows].filter((row) => !isOf(epoch)(row))
      return {
        endpointId: id, epoch, url, given: Number(count),
        accounts: {
          waiting: numbers("waiting"), dead: numbers("dead"), suspended: numbers("suspended"), withdrawn: numbers("withdrawn"),
          purged: numbers("purged")
        },
        accepted: (recent.get(id) ?? []).map((row) => ({ id: row.event_id, sequence: Number(row.sequence) })),
        earlier: earlier.reduce((sum, { first, last }) => sum + Number(last) - Number(first) + 1, 0)
      }
    })
  })
  return Verify.of({ known })
})

export const layer: Layer.Layer<Verify, never, StoreSql | Segments | SequenceRanges> = Layer.effect(Verify, make)
