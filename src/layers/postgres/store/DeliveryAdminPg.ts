/** Deliveries as an operator sees them, read from the store. What is stored of bodies is opened only where it is asked for. */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Result from "effect/Result"
import type * as SqlClient from "effect/sql/SqlClient"
import * as BlockingRows from "../../../domain/Blocking.ts"
import * as StreamId from "../../../domain/StreamId.ts"
import type { EndpointId } from "../../../domain/Subscription.ts"
import {
  type Blocking, type BlockingDelivery, DeliveryAdmin, DeliveryAdminError, type DeliveryCounts, type LoggedAttempt, type ShownDelivery
} from "../../../services/DeliveryAdmin.ts"
import { Segments } from "../../../services/Segments.ts"
import { SecretSettings } from "../../../services/Settings.ts"
import { StoreSql } from "../Sql.ts"
import { ATTEMPT_COLUMNS, attemptOf, type AttemptRow, list, type ListedRow, listedOf } from "./DeliveryAdminPgList.ts"
import * as InSegments from "./DeliveryAdminPgSegments.ts"
import { erase, eraseLogged, kept, matching, revive } from "./DeliveryAdminPgRows.ts"
import { endpointsWithRows, operation, ROW_COLUMNS } from "./DeliveryAdminPgSql.ts"
import { answerContext } from "./DeliveryLogPg.ts"
import { bodyContext, parseKeys } from "./ParkedDeliveriesPgRow.ts"
import { Seals } from "./Seals.ts"
import * as StreamWriters from "./StreamWriters.ts"

/** Waiting rows of an endpoint that are looked at for what holds them up. */
export const MAX_BLOCKED = 65_536
/** Of an endpoint, those with most behind them. */
const MAX_BLOCKING = 100
/** Attempts of one delivery that are shown, the newest: a retry a few times a day for weeks. */
const MAX_ATTEMPTS = 500

type Sql = SqlClient.SqlClient
type StoredRow = ListedRow & { readonly body: Uint8Array }
type LoggedRow = AttemptRow & { readonly body_start: Uint8Array | null; readonly body: Uint8Array | null }

const failure = (operation: string) => (cause: unknown) => new DeliveryAdminError({ operation, unavailable: false, cause })

const logOf = (sql: Sql, stream: string, endpoint: EndpointId, id: string, withBody: boolean) => {
  const columns = sql.literal(ATTEMPT_COLUMNS)
  const body = sql.literal(withBody ? "d.body" : "NULL::bytea AS body")
  return operation("show", sql<LoggedRow>`
    SELECT * FROM (
      (SELECT ${columns}, d.reason, d.body_start, ${body} FROM pgstream.webhook_attempts d
        WHERE d.stream = ${stream} AND d.endpoint_id = ${endpoint}::uuid AND d.event_id = ${id} ORDER BY d.at DESC LIMIT ${MAX_ATTEMPTS})
      UNION ALL
      (SELECT ${columns}, '', NULL, ${body} FROM pgstream.webhook_successes d
        WHERE d.stream = ${stream} AND d.endpoint_id = ${endpoint}::uuid AND d.event_id = ${id})) q ORDER BY q.at, q.attempt`)
}

const show = Effect.fnUntraced(function*(
  sql: Sql, seals: Seals, segments: Segments["Service"], current: StreamId.StreamId, endpoint: EndpointId, id: string, withBody: boolean
) {
  const stream = StreamId.format(current)
  const behind = yield* InSegments.find(segments, current, endpoint, id)
  const [row] = yield* operation("show", sql<StoredRow>`
    SELECT ${sql.literal(ROW_COLUMNS)}, ${sql.literal(withBody ? "d.body" : "''::bytea AS body")} FROM pgstream.webhook_deliveries d
    WHERE d.event_id = ${id} AND d.endpoint_id = ${endpoint}::uuid AND d.stream = ${stream}`)
  const log = yield* logOf(sql, stream, endpoint, id, withBody)
  const last = log.at(-1)
  const facts = row !== undefined ? listedOf(row) : behind?.facts ?? (last === undefined ? undefined : attemptOf(last))
  if (facts === undefined) return undefined
  const opened = (sealed: Uint8Array, context: string) => Effect.fromResult(Result.mapError(seals.open(sealed, context), failure("show")))
  const attempts: Array<LoggedAttempt> = []
  for (const { at, attempt, body_start: answer, reason, status, took_ms: tookMs } of log) {
    const answerStart = answer === null ? undefined : Buffer.from(yield* opened(answer, answerContext(endpoint, id))).toString("utf8")
    attempts.push({ attempt, atMs: at.getTime(), tookMs, status: status ?? undefined, reason, answerStart })
  }
  const sealed = row?.body ?? log.findLast(({ body }) => body !== null)?.body ?? undefined
  const kept = withBody && sealed !== undefined ? yield* opened(sealed, bodyContext(endpoint, id)) : undefined
  const body = kept ?? (withBody ? behind?.body : undefined)
  const shown: ShownDelivery = { facts, attempts, body }
  return shown
})

const waitingOf = (sql: Sql, stream: string, endpoint: EndpointId) =>
  Effect.map(
    operation("blocking", sql<ListedRow>`
      SELECT ${sql.literal(ROW_COLUMNS)} FROM pgstream.webhook_deliveries d
      WHERE d.stream = ${stream} AND d.endpoint_id = ${endpoint}::uuid AND d.state = 'waiting'
      ORDER BY d.commit_lsn, d.ordinal LIMIT ${MAX_BLOCKED}`),
    (rows) => rows.map((row) => ({ row, keys: parseKeys(row.keys) }))
  )

const blocking = Effect.fnUntraced(function*(sql: Sql, backlogs: Segments["Service"], id: StreamId.StreamId, endpoint: EndpointId | undefined) {
  const stream = StreamId.format(id)
  const backlog = yield* backlogs.backlog(id).pipe(Effect.mapError(failure("blocking")))
  const inSegments = new Map(backlog.map(({ endpointId, events }) => [endpointId, events]))
  const endpoints = endpoint !== undefined ? [endpoint] : yield* Effect.map(
    operation("blocking", sql<{ readonly id: string }>`
      WITH RECURSIVE ${endpointsWithRows(sql, stream)} SELECT endpoint_id AS id FROM endpoints WHERE endpoint_id IS NOT NULL`),
    (rows) => rows.map(({ id }) => id)
  )
  const found: Array<BlockingDelivery> = []
  const partly = new Map<EndpointId, number>()
  for (const each of endpoints) {
    const waiting = yield* waitingOf(sql, stream, each)
    if (waiting.length === MAX_BLOCKED) partly.set(each, MAX_BLOCKED)
    for (const { behind, delivery, kind } of BlockingRows.find(waiting, inSegments.get(each)).slice(0, MAX_BLOCKING)) {
      found.push({ delivery: listedOf(delivery.row), kind, behind })
    }
  }
  const result: Blocking = { blocking: found.sort((a, b) => b.behind - a.behind), partly }
  return result
})

interface CountRow {
  readonly endpoint_id: string
  readonly waiting: bigint
  readonly dead: bigint
  readonly oldest: Date | null
}

const counts = Effect.fnUntraced(function*(sql: Sql, backlogs: Segments["Service"], stream: StreamId.StreamId) {
  const rows = yield* operation("counts", sql<CountRow>`
    SELECT d.endpoint_id, count(*) FILTER (WHERE d.state = 'waiting') AS waiting, count(*) FILTER (WHERE d.state = 'dead') AS dead,
      min(d.parked_at) FILTER (WHERE d.state = 'waiting') AS oldest
    FROM pgstream.webhook_deliveries d WHERE d.stream = ${StreamId.format(stream)} GROUP BY d.endpoint_id`)
  const all = new Map(rows.map((row): [string, DeliveryCounts] => [row.endpoint_id, {
    endpointId: row.endpoint_id, waiting: Number(row.waiting), dead: Number(row.dead), behind: 0, oldestMs: row.oldest?.getTime()
  }]))
  const backlog = yield* backlogs.backlog(stream).pipe(Effect.mapError(failure("counts")))
  for (const { endpointId, events } of backlog) {
    all.set(endpointId, { waiting: 0, dead: 0, oldestMs: undefined, ...all.get(endpointId), endpointId, behind: events })
  }
  return [...all.values()].sort((a, b) => (a.endpointId < b.endpointId ? -1 : 1))
})

export const make = Effect.gen(function*() {
  const sql: Sql = yield* StoreSql
  const writers = yield* StreamWriters.StreamWriters
  const seals = new Seals(yield* SecretSettings)
  const segments = yield* Segments
  const of = StreamId.format
  return DeliveryAdmin.of({
    list: (stream, query) => list(sql, seals, segments, stream, query),
    show: (stream, endpoint, id, withBody) => show(sql, seals, segments, stream, endpoint, id, withBody),
    blocking: (stream, endpoint) => blocking(sql, segments, stream, endpoint),
    counts: (stream) => counts(sql, segments, stream),
    matching: (stream, selector, beforeMs, after, limit, withBodies) =>
      matching(sql, seals, of(stream), selector, beforeMs, after, limit, withBodies),
    kept: (stream, selector, beforeMs, after, limit) => kept(sql, seals, of(stream), selector, beforeMs, after, limit),
    revive: (stream, endpoint, ids) => revive(sql, writers, of(stream), endpoint, ids),
    erase: (stream, endpoint, ids) => erase(sql, writers, of(stream), endpoint, ids),
    eraseLogged: (stream, selector) => eraseLogged(sql, seals, of(stream), selector)
  })
})

export const layer: Layer.Layer<DeliveryAdmin, never, StoreSql | Segments> = Layer.effect(DeliveryAdmin, make).pipe(
  Layer.provide(StreamWriters.layer)
)
