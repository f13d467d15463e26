/** Lists of deliveries and of attempts: pages in order, each with the cursor of the next. */
import * as Effect from "effect/Effect"
import type * as SqlClient from "effect/sql/SqlClient"
import * as Result from "effect/Result"
import * as DeliverySelector from "../../../domain/DeliverySelector.ts"
import * as Lsn from "../../../domain/Lsn.ts"
import { merge, type Part, type Position } from "../../../domain/Merge.ts"
import * as StreamId from "../../../domain/StreamId.ts"
import {
  BadCursor, DeliveryAdminError, type DeliveryPage, type DeliveryQuery, type ListedDelivery
} from "../../../services/DeliveryAdmin.ts"
import type { Segments } from "../../../services/Segments.ts"
import * as InSegments from "./DeliveryAdminPgSegments.ts"
import { endpointsWithRows, meant, operation, ROW_COLUMNS } from "./DeliveryAdminPgSql.ts"
import { bodyContext, type DeliveryRow } from "./ParkedDeliveriesPgRow.ts"
import type { Seals } from "./Seals.ts"

/** Rows that one page looks at, where a key has to be found in bodies. */
const MAX_LOOKED_AT = 5_000
const BATCH = 200

export interface ListedRow extends Omit<DeliveryRow, "body"> {
  readonly endpoint_id: string
  readonly parked_at: Date
}

export const listedOf = (row: ListedRow): ListedDelivery => ({
  endpointId: row.endpoint_id, id: row.event_id, state: row.state, sequence: Number(row.sequence), epoch: row.epoch,
  table: row.table_name, kind: row.kind, attempts: row.attempts, atMs: row.parked_at.getTime(),
  dueAtMs: row.state === "waiting" ? row.due_at.getTime() : undefined, lastError: row.last_error ?? undefined, tookMs: undefined
})

/** Where a page ended: the values of its order. */
type Place = ReadonlyArray<string>

const encode = (query: DeliveryQuery, place: Place): string =>
  Buffer.from(JSON.stringify([query.state ?? "", query.oldestFirst, ...place])).toString("base64url")

const LSN = /^[0-9A-F]{1,8}\/[0-9A-F]{1,8}$/
const INTEGER = /^-?\d{1,16}$/
const UUID = /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/
const ANY = /^\P{Cc}{0,300}$/u
/** Of rows, then of segments; all of one empty: it has not begun. */
const PARKED_PLACE = [LSN, INTEGER, UUID, ANY, INTEGER, LSN, INTEGER, UUID, ANY]
const LOGGED_PLACE = [INTEGER, ANY]

/** Only one of the same query goes on. */
const decode = (query: DeliveryQuery, form: ReadonlyArray<RegExp>): Result.Result<Place | undefined, DeliveryAdminError> => {
  if (query.cursor === undefined) return Result.succeed(undefined)
  const bad = new DeliveryAdminError({ operation: "list", unavailable: false, cause: new BadCursor() })
  try {
    const [state, oldestFirst, ...place] = JSON.parse(Buffer.from(query.cursor, "base64url").toString("utf8")) as ReadonlyArray<unknown>
    const usable = state === (query.state ?? "") && oldestFirst === query.oldestFirst && place.length === form.length
      && place.every((each, i) => typeof each === "string" && (each === "" || form[i]!.test(each)))
    return usable ? Result.succeed(place as Place) : Result.fail(bad)
  } catch {
    return Result.fail(bad)
  }
}

type Sql = SqlClient.SqlClient
type ParkedPage = ListedRow & { readonly body: Uint8Array | null }

const direction = (sql: Sql, oldestFirst: boolean) => ({
  beyond: sql.literal(oldestFirst ? ">" : "<"), order: sql.literal(oldestFirst ? "ASC" : "DESC")
})

/** Of each endpoint the next rows along the index, then merged. */
const parkedRows = (sql: Sql, stream: string, query: DeliveryQuery, after: Place | undefined, limit: number, withBodies: boolean) => {
  const { beyond, order } = direction(sql, query.oldestFirst)
  const [lsn = "", ordinal = "", endpoint = "", id = ""] = after ?? []
  const conditions = [
    sql`d.stream = ${stream}`, sql`d.endpoint_id = e.endpoint_id`,
    ...(query.state === undefined ? [] : [sql`d.state = ${query.state}`]),
    ...meant(sql, query.selector, "d.parked_at"),
    ...(after === undefined ? [] : [
      sql`(d.commit_lsn, d.ordinal) ${sql.literal(query.oldestFirst ? ">=" : "<=")} (${lsn}::pg_lsn, ${ordinal}::bigint)`,
      sql`(d.commit_lsn, d.ordinal, d.endpoint_id, d.event_id) ${beyond} (${lsn}::pg_lsn, ${ordinal}::bigint, ${endpoint}::uuid, ${id})`
    ])
  ]
  return sql<ParkedPage>`
    WITH RECURSIVE ${endpointsWithRows(sql, stream)}
    SELECT q.* FROM endpoints e CROSS JOIN LATERAL (
      SELECT ${sql.literal(ROW_COLUMNS)}, ${sql.literal(withBodies ? "d.body" : "NULL::bytea AS body")}, d.commit_lsn - '0/0'::pg_lsn AS at
      FROM pgstream.webhook_deliveries d WHERE ${sql.and(conditions)}
      ORDER BY d.commit_lsn ${order}, d.ordinal ${order}, d.event_id ${order} LIMIT ${limit}) q
    WHERE e.endpoint_id IS NOT NULL
    ORDER BY q.at ${order}, q.ordinal ${order}, q.endpoint_id ${order}, q.event_id ${order} LIMIT ${limit}`
}

const placeOf = (row: ListedRow): Place => [row.commit_lsn, String(row.ordinal), row.endpoint_id, row.event_id]

/** A body that does not open says so: it is not passed over as if it did not match. */
export const hasKey = (seals: Seals, row: { readonly endpoint_id: string; readonly event_id: string; readonly body: Uint8Array }, key: ReadonlyArray<DeliverySelector.KeyValue>) =>
  Result.map(seals.open(row.body, bodyContext(row.endpoint_id, row.event_id)), (body) => DeliverySelector.hasKey(body, key))

const positionOf = (row: ListedRow): Position => ({
  commitLsn: Result.getOrElse(Lsn.parse(row.commit_lsn), () => Lsn.zero), ordinal: Number(row.ordinal), endpointId: row.endpoint_id, id: row.event_id
})

/** Rows of one page. */
const rows = Effect.fnUntraced(function*(sql: Sql, seals: Seals, stream: string, query: DeliveryQuery, start: Place) {
  const { key } = query.selector
  const found: Array<Part<ListedDelivery, Place>["found"][number]> = []
  let [after, last] = [start[0] === "" ? undefined : start, undefined as ListedRow | undefined]
  const part = (looked: ListedRow | undefined): Part<ListedDelivery, Place> =>
    ({ found, start, looked: looked === undefined ? undefined : { position: positionOf(looked), place: placeOf(looked) } })
  const most = key === undefined ? query.limit : MAX_LOOKED_AT
  for (let looked = 0; looked < most;) {
    const limit = key === undefined ? query.limit : BATCH
    const next = yield* operation("list", parkedRows(sql, stream, query, after, limit, key !== undefined))
    for (const row of next) {
      after = placeOf(row)
      last = row
      if (key !== undefined) {
        const matches = hasKey(seals, { ...row, body: row.body ?? new Uint8Array() }, key)
        if (Result.isFailure(matches)) {
          return yield* new DeliveryAdminError({ operation: "list", unavailable: false, cause: matches.failure })
        }
        if (!matches.success) continue
      }
      found.push({ item: listedOf(row), position: positionOf(row), place: after })
      if (found.length === query.limit) return part(row)
    }
    looked += next.length
    if (next.length < limit) return part(undefined)
  }
  return part(last)
})

const NOT_BEGUN: Place = ["", "", "", ""]

/** Rows, and what waits in segments, in one order. */
const parked = Effect.fnUntraced(function*(sql: Sql, seals: Seals, segments: Segments["Service"], stream: StreamId.StreamId, query: DeliveryQuery) {
  const place = yield* Effect.fromResult(decode(query, PARKED_PLACE))
  const behind = InSegments.START.map((each, i) => place?.[4 + i] ?? each) as unknown as InSegments.SegmentPlace
  // Segments first: what is on its way from there to the rows is seen twice, rather than not at all.
  const waiting = query.state === "dead"
    ? { found: [], looked: undefined, start: behind }
    : yield* InSegments.page(segments, stream, query, behind)
  const stored = yield* rows(sql, seals, StreamId.format(stream), query, place?.slice(0, 4) ?? NOT_BEGUN)
  const { items, next } = merge(stored, waiting, query.limit, !query.oldestFirst)
  return { deliveries: items, next: next === undefined ? undefined : encode(query, next.flat()) }
})

export interface AttemptRow {
  readonly endpoint_id: string
  readonly event_id: string
  readonly epoch: string
  readonly sequence: bigint
  readonly table_name: string
  readonly kind: string
  readonly attempt: number
  readonly status: number | null
  readonly took_ms: number
  readonly at: Date
  readonly reason: string
}

export const ATTEMPT_COLUMNS = "d.endpoint_id, d.event_id, d.epoch, d.sequence, d.table_name, d.kind, d.attempt, d.status, d.took_ms, d.at"

export const attemptOf = (row: AttemptRow): ListedDelivery => ({
  endpointId: row.endpoint_id, id: row.event_id, state: row.reason === "" ? "delivered" : "failed", sequence: Number(row.sequence),
  epoch: row.epoch, table: row.table_name, kind: row.kind, attempts: row.attempt, atMs: row.at.getTime(), dueAtMs: undefined,
  lastError: row.reason === "" ? undefined : row.reason, tookMs: row.took_ms
})

type LogRow = AttemptRow & { readonly at_us: string; readonly part: string; readonly body: Uint8Array | null }

/** Newest by the time of the attempt; `part` tells those of one instant apart. */
const logRows = (sql: Sql, stream: string, query: DeliveryQuery, after: Place | undefined, limit: number) => {
  const { beyond, order } = direction(sql, query.oldestFirst)
  const failed = query.state === "failed"
  const part = sql.literal(failed ? "lpad(d.id::text, 20, '0')" : "d.endpoint_id::text || ' ' || lpad(d.slot::text, 3, '0')")
  const [at = "", last = ""] = after ?? []
  const time = sql`to_timestamp(0) + ${at}::bigint * interval '1 microsecond'`
  const conditions = [
    sql`d.stream = ${stream}`,
    ...meant(sql, query.selector, "d.at"),
    ...(query.selector.key === undefined ? [] : [sql`d.body IS NOT NULL`]),
    ...(after === undefined ? [] : [
      sql`d.at ${sql.literal(query.oldestFirst ? ">=" : "<=")} ${time}`, sql`(d.at, ${part}) ${beyond} (${time}, ${last})`
    ])
  ]
  return sql<LogRow>`
    SELECT ${sql.literal(ATTEMPT_COLUMNS)}, ${sql.literal(failed ? "d.reason" : "'' AS reason")}, ${part} AS part,
      round(extract(epoch FROM d.at) * 1000000)::bigint::text AS at_us,
      ${sql.literal(query.selector.key === undefined ? "NULL::bytea AS body" : "d.body")}
    FROM ${sql.literal(failed ? "pgstream.webhook_attempts" : "pgstream.webhook_successes")} d
    WHERE ${sql.and(conditions)} ORDER BY d.at ${order}, part ${order} LIMIT ${limit}`
}

const logged = Effect.fnUntraced(function*(sql: Sql, seals: Seals, stream: string, query: DeliveryQuery) {
  const { key } = query.selector
  const found: Array<ListedDelivery> = []
  let after = yield* Effect.fromResult(decode(query, LOGGED_PLACE))
  const most = key === undefined ? query.limit : MAX_LOOKED_AT
  for (let looked = 0; looked < most;) {
    const limit = key === undefined ? query.limit : BATCH
    const rows = yield* operation("list", logRows(sql, stream, query, after, limit))
    for (const row of rows) {
      after = [row.at_us, row.part]
      if (key !== undefined && !Result.getOrElse(hasKey(seals, { ...row, body: row.body ?? new Uint8Array() }, key), () => false)) continue
      found.push(attemptOf(row))
      if (found.length === query.limit) return { deliveries: found, next: encode(query, after) }
    }
    looked += rows.length
    if (rows.length < limit) return { deliveries: found, next: undefined }
  }
  return { deliveries: found, next: after === undefined ? undefined : encode(query, after) }
})

export const list = (
  sql: Sql, seals: Seals, segments: Segments["Service"], stream: StreamId.StreamId, query: DeliveryQuery
): Effect.Effect<DeliveryPage, DeliveryAdminError> =>
  query.state === "delivered" || query.state === "failed"
    ? logged(sql, seals, StreamId.format(stream), query)
    : parked(sql, seals, segments, stream, query)
