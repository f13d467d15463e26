/** What a command reads and changes: rows that are meant, in stream order of each endpoint, and what the log has kept. */
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import type * as SqlClient from "effect/sql/SqlClient"
import type { DeliverySelector } from "../../../domain/DeliverySelector.ts"
import * as Lsn from "../../../domain/Lsn.ts"
import {
  DeliveryAdminError, type KeptDelivery, type MatchCursor, type Matches
} from "../../../services/DeliveryAdmin.ts"
import type { ParkedDelivery } from "../../../services/ParkedDeliveries.ts"
import { hasKey } from "./DeliveryAdminPgList.ts"
import { meant, operation, ROW_COLUMNS } from "./DeliveryAdminPgSql.ts"
import { bodyContext, type DeliveryRow, deliveryOf, parseKeys } from "./ParkedDeliveriesPgRow.ts"
import type { Seals } from "./Seals.ts"
import * as StreamWriters from "./StreamWriters.ts"

type Sql = SqlClient.SqlClient

const START: MatchCursor = { endpointId: "00000000-0000-0000-0000-000000000000", commitLsn: "0/0", ordinal: Number.MIN_SAFE_INTEGER, id: "" }
const EMPTY = new Uint8Array()

const beyond = (sql: Sql, { commitLsn, endpointId, id, ordinal }: MatchCursor) =>
  sql`(d.endpoint_id, d.commit_lsn, d.ordinal, d.event_id) > (${endpointId}::uuid, ${commitLsn}::pg_lsn, ${String(ordinal)}::bigint, ${id})`

const before = (sql: Sql, beforeMs: number, column: string) =>
  sql`${sql.literal(column)} <= to_timestamp(${String(beforeMs)}::float8 / 1000)`

const ORDER = "d.endpoint_id, d.commit_lsn, d.ordinal, d.event_id"

const failure = (name: string) => (cause: unknown) => new DeliveryAdminError({ operation: name, unavailable: false, cause })

type Row = DeliveryRow & { readonly endpoint_id: string }

const cursorOf = (row: Pick<Row, "commit_lsn" | "event_id" | "ordinal"> & { readonly endpoint_id: string }): MatchCursor => ({
  endpointId: row.endpoint_id, commitLsn: row.commit_lsn, ordinal: Number(row.ordinal), id: row.event_id
})

export const matching = Effect.fnUntraced(function*(
  sql: Sql, seals: Seals, stream: string, selector: DeliverySelector, beforeMs: number, after: MatchCursor | undefined,
  limit: number, withBodies: boolean
) {
  const { key, state } = selector
  const needsBody = withBodies || key !== undefined
  const rows = yield* operation("matching", sql<Row>`
    SELECT ${sql.literal(ROW_COLUMNS)}, ${sql.literal(needsBody ? "d.body" : "''::bytea AS body")}
    FROM pgstream.webhook_deliveries d
    WHERE ${sql.and([
      sql`d.stream = ${stream}`, before(sql, beforeMs, "d.parked_at"), beyond(sql, after ?? START),
      ...(state === undefined ? [] : [sql`d.state = ${state}`]), ...meant(sql, selector, "d.parked_at")
    ])} ORDER BY ${sql.literal(ORDER)} LIMIT ${limit}`)
  const found: Array<ParkedDelivery> = []
  for (const row of rows) {
    if (key !== undefined && !(yield* Effect.fromResult(Result.mapError(hasKey(seals, row, key), failure("matching"))))) continue
    if (!withBodies) found.push(Result.getOrThrow(deliveryOf(seals, row.endpoint_id, { ...row, body: EMPTY })))
    else found.push(yield* Effect.fromResult(Result.mapError(deliveryOf(seals, row.endpoint_id, row), failure("matching"))))
  }
  const last = rows.at(-1)
  const matches: Matches = { rows: found, next: last === undefined || rows.length < limit ? undefined : cursorOf(last) }
  return matches
})

interface KeptRow {
  readonly endpoint_id: string
  readonly event_id: string
  readonly commit_lsn: string
  readonly ordinal: bigint
  readonly sequence: bigint
  readonly epoch: string
  readonly table_name: string
  readonly kind: string
  readonly keys: string
  readonly body: Uint8Array | null
}

/** All of an endpoint's are at most a hundred; a page is an endpoint at least. */
export const kept = Effect.fnUntraced(function*(
  sql: Sql, seals: Seals, stream: string, selector: DeliverySelector, beforeMs: number, after: MatchCursor | undefined, limit: number
) {
  const rows = yield* operation("kept", sql<KeptRow>`
    SELECT d.endpoint_id, d.event_id, d.commit_lsn::text AS commit_lsn, d.ordinal, d.sequence, d.epoch, d.table_name, d.kind, d.keys, d.body
    FROM pgstream.webhook_successes d
    WHERE ${sql.and([
      sql`d.stream = ${stream}`, before(sql, beforeMs, "d.at"), beyond(sql, after ?? START), ...meant(sql, selector, "d.at")
    ])} ORDER BY ${sql.literal(ORDER)} LIMIT ${limit}`)
  const deliveries: Array<KeptDelivery> = []
  let withoutBody = 0
  for (const row of rows) {
    if (row.body === null) {
      withoutBody++
      continue
    }
    const body = yield* Effect.fromResult(Result.mapError(seals.open(row.body, bodyContext(row.endpoint_id, row.event_id)), failure("kept")))
    if (selector.key !== undefined && !Result.getOrThrow(hasKey(seals, { ...row, body }, selector.key))) continue
    deliveries.push({
      endpointId: row.endpoint_id, id: row.event_id, keys: parseKeys(row.keys), commitLsn: Result.getOrThrow(Lsn.parse(row.commit_lsn)),
      ordinal: Number(row.ordinal), sequence: Number(row.sequence), epoch: row.epoch, table: row.table_name, kind: row.kind, body
    })
  }
  const last = rows.at(-1)
  return { deliveries, withoutBody, next: last === undefined || rows.length < limit ? undefined : cursorOf(last) }
})

const fenced = (name: string, stream: string, held: Effect.Effect<ReadonlyArray<object>, DeliveryAdminError>) =>
  Effect.asVoid(StreamWriters.held(stream, held, (why) => new DeliveryAdminError({ operation: name, unavailable: false, ...why })))

type Writers = StreamWriters.StreamWriters["Service"]

/** By the key alone, whatever the statistics say: see `ParkedDeliveriesPg`. */
const rowsOf = (sql: Sql, stream: string, endpoint: string, ids: ReadonlyArray<string>) =>
  sql`d.stream || '' = ${stream} AND d.endpoint_id = ${endpoint}::uuid AND d.event_id = ANY (${ids}::text[])`

export const revive = (sql: Sql, writers: Writers, stream: string, endpoint: string, ids: ReadonlyArray<string>) =>
  fenced("revive", stream, operation("revive", sql`
    WITH fence AS (${StreamWriters.holding(sql, writers, stream)}), done AS (
      UPDATE pgstream.webhook_deliveries d SET state = 'waiting', due_at = now(), retries = 0, died_at = NULL
      WHERE ${rowsOf(sql, stream, endpoint, ids)} AND EXISTS (SELECT FROM fence))
    SELECT held FROM fence`))

export const erase = (sql: Sql, writers: Writers, stream: string, endpoint: string, ids: ReadonlyArray<string>) =>
  fenced("erase", stream, operation("erase", sql`
    WITH fence AS (${StreamWriters.holding(sql, writers, stream)}), done AS (
      DELETE FROM pgstream.webhook_deliveries d WHERE ${rowsOf(sql, stream, endpoint, ids)} AND EXISTS (SELECT FROM fence)),
    failed AS (
      UPDATE pgstream.webhook_attempts d SET body = NULL, body_start = NULL
      WHERE d.stream = ${stream} AND d.endpoint_id = ${endpoint}::uuid AND d.event_id = ANY (${ids}::text[])
        AND (d.body IS NOT NULL OR d.body_start IS NOT NULL) AND EXISTS (SELECT FROM fence)),
    accepted AS (
      UPDATE pgstream.webhook_successes d SET body = NULL
      WHERE d.stream = ${stream} AND d.endpoint_id = ${endpoint}::uuid AND d.event_id = ANY (${ids}::text[]) AND d.body IS NOT NULL
        AND EXISTS (SELECT FROM fence))
    SELECT held FROM fence`))

interface LoggedRow {
  readonly place: string
  readonly endpoint_id: string
  readonly event_id: string
  readonly body: Uint8Array | null
}

const LOG_BATCH = 500

/** A row without a body cannot be looked into: its answer goes, too, since it may repeat what the key is about. */
const eraseIn = Effect.fnUntraced(function*(sql: Sql, seals: Seals, stream: string, selector: DeliverySelector, failed: boolean) {
  const table = sql.literal(failed ? "pgstream.webhook_attempts" : "pgstream.webhook_successes")
  const place = sql.literal(failed ? "d.id" : "d.ctid")
  const kept = sql.literal(failed ? "(d.body IS NOT NULL OR d.body_start IS NOT NULL)" : "d.body IS NOT NULL")
  const erased = sql.literal(failed ? "body = NULL, body_start = NULL" : "body = NULL")
  let [count, after] = [0, failed ? "-1" : "(0,0)"]
  for (;;) {
    const type = sql.literal(failed ? "bigint" : "tid")
    const rows = yield* operation("eraseLogged", sql<LoggedRow>`
      SELECT ${place}::text AS place, d.endpoint_id, d.event_id, ${sql.literal(selector.key === undefined ? "NULL::bytea AS body" : "d.body")}
      FROM ${table} d WHERE ${sql.and([
        sql`d.stream = ${stream}`, sql`${kept}`, sql`${place} > ${after}::${type}`, ...meant(sql, selector, "d.at")
      ])} ORDER BY ${place} LIMIT ${LOG_BATCH}`)
    const { key } = selector
    const meantRows = key === undefined ? rows : rows.filter((row) =>
      row.body === null || Result.getOrElse(hasKey(seals, { ...row, body: row.body }, key), () => true))
    if (meantRows.length > 0) {
      yield* operation("eraseLogged", sql`
        UPDATE ${table} d SET ${erased} WHERE ${place} = ANY (${meantRows.map((row) => row.place)}::text[]::${type}[])`)
      count += meantRows.length
    }
    const last = rows.at(-1)
    if (last === undefined || rows.length < LOG_BATCH) return count
    after = last.place
  }
})

export const eraseLogged = (sql: Sql, seals: Seals, stream: string, selector: DeliverySelector) =>
  Effect.zipWith(eraseIn(sql, seals, stream, selector, true), eraseIn(sql, seals, stream, selector, false), (a, b) => a + b)

