/**
 * The delivery log in the store: `webhook_attempts` (failures) and `webhook_successes` (the last 100 of each endpoint,
 * in rows that are written over). Once a second, one statement; a store that is away costs what the buffer holds.
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type { SqlError } from "effect/sql/SqlError"
import type * as SqlClient from "effect/sql/SqlClient"
import { AttemptBuffer, type HeldAttempt, SUCCESSES, type Taken } from "../../../domain/AttemptBuffer.ts"
import * as Lsn from "../../../domain/Lsn.ts"
import * as StreamId from "../../../domain/StreamId.ts"
import { DeliveryLog } from "../../../services/DeliveryLog.ts"
import { DeliveryLogSettings } from "../../../services/DeliverySettings.ts"
import { SecretSettings } from "../../../services/Settings.ts"
import { StoreSql } from "../Sql.ts"
import * as DeliveryLogTrim from "./DeliveryLogTrim.ts"
import { bodyContext, keysText } from "./ParkedDeliveriesPgRow.ts"
import { Seals } from "./Seals.ts"
import { withoutValues } from "./StoreRetry.ts"

const FLUSH_EVERY = Duration.seconds(1)
/** One flush; longer is a store that does not answer. */
const FLUSH_TIMEOUT = Duration.seconds(10)
/** The flush at the end, so that a stop is not held up. */
const LAST_FLUSH_TIMEOUT = Duration.seconds(2)
/** Successes of one flush: those of more endpoints come with the next. */
const MAX_SUCCESSES = 1_000

/** Additional data of a sealed answer. */
export const answerContext = (endpointId: string, eventId: string): string => `answer ${endpointId} ${eventId}`

const texts = <A>(rows: ReadonlyArray<A>, of: (row: A) => string | number) => rows.map((row) => String(of(row)))
const clean = (text: string): string => text.replaceAll("\0", "")
const none = Buffer.alloc(0)

/** The columns that both tables have, as arrays for `unnest`. */
const columns = (sql: SqlClient.SqlClient, seals: Seals, rows: ReadonlyArray<HeldAttempt>) =>
  sql`${texts(rows, (r) => r.endpointId)}::text[]::uuid[], ${texts(rows, (r) => r.id)}::text[],
    ${texts(rows, (r) => r.epoch)}::text[], ${texts(rows, (r) => r.sequence)}::text[]::bigint[],
    ${texts(rows, (r) => clean(r.table))}::text[], ${texts(rows, (r) => r.kind)}::text[],
    ${texts(rows, (r) => r.attempts)}::text[]::int[], ${texts(rows, (r) => r.status ?? 0)}::text[]::int[],
    ${texts(rows, (r) => Math.round(r.tookMs))}::text[]::int[], ${texts(rows, (r) => Math.round(r.atMs))}::text[]::bigint[],
    ${rows.map((r) => (r.body === undefined ? none : seals.seal(r.body, bodyContext(r.endpointId, r.id))))}::bytea[]`

const NAMES = "endpoint_id, event_id, epoch, sequence, table_name, kind, attempt, status, took_ms, at, body"
const VALUES = `u.endpoint_id, u.event_id, u.epoch, u.sequence, u.table_name, u.kind, u.attempt, nullif(u.status, 0),
  u.took_ms, to_timestamp(u.at_ms / 1000.0), nullif(u.body, '')`
const ALIASES = "endpoint_id, event_id, epoch, sequence, table_name, kind, attempt, status, took_ms, at_ms, body"

interface Slotted {
  readonly slot: number
  readonly attempt: HeldAttempt
}

const write = (sql: SqlClient.SqlClient, seals: Seals, stream: string, taken: Taken, slotted: ReadonlyArray<Slotted>) => {
  const { failures, more } = taken
  const successes = slotted.map(({ attempt }) => attempt)
  const [names, values, aliases] = [sql.literal(NAMES), sql.literal(VALUES), sql.literal(ALIASES)]
  return sql`
    WITH failed AS (
      INSERT INTO pgstream.webhook_attempts (stream, ${names}, reason, body_start)
      SELECT ${stream}, ${values}, u.reason, nullif(u.body_start, '')
      FROM unnest(${columns(sql, seals, failures)}, ${texts(failures, (r) => clean(r.reason))}::text[],
        ${failures.map((r) => (r.answerStart === undefined ? none
          : seals.seal(Buffer.from(r.answerStart, "utf8"), answerContext(r.endpointId, r.id))))}::bytea[])
        AS u(${aliases}, reason, body_start)),
    counted AS (
      INSERT INTO pgstream.webhook_attempts (stream, endpoint_id, event_id, sequence, table_name, kind, attempt, took_ms, at, reason, more)
      SELECT ${stream}, u.endpoint_id, '', 0, '', '', 0, 0, now(), u.more || ' more failures not kept', u.more
      FROM unnest(${texts(more, (m) => m.endpointId)}::text[]::uuid[], ${texts(more, (m) => m.more)}::text[]::bigint[]) AS u(endpoint_id, more))
    INSERT INTO pgstream.webhook_successes AS s (stream, ${names}, slot, commit_lsn, ordinal, keys)
    SELECT ${stream}, ${values}, u.slot, u.commit_lsn, u.ordinal, u.keys
    FROM unnest(${columns(sql, seals, successes)}, ${texts(slotted, (r) => r.slot)}::text[]::smallint[],
      ${texts(successes, (r) => Lsn.format(r.commitLsn))}::text[]::pg_lsn[],
      ${texts(successes, (r) => r.ordinal)}::text[]::bigint[], ${texts(successes, (r) => keysText(r.keys))}::text[])
      AS u(${aliases}, slot, commit_lsn, ordinal, keys)
    ON CONFLICT (stream, endpoint_id, slot) DO UPDATE
    SET event_id = excluded.event_id, epoch = excluded.epoch, sequence = excluded.sequence, table_name = excluded.table_name,
      kind = excluded.kind, attempt = excluded.attempt, status = excluded.status, took_ms = excluded.took_ms, at = excluded.at,
      body = excluded.body, commit_lsn = excluded.commit_lsn, ordinal = excluded.ordinal, keys = excluded.keys`
}

/** The slot of each endpoint's newest success, of those that have one. */
const newestSlots = (sql: SqlClient.SqlClient, stream: string, endpoints: ReadonlyArray<string>) =>
  sql<{ readonly endpoint_id: string; readonly slot: number }>`
    SELECT DISTINCT ON (endpoint_id) endpoint_id, slot::int AS slot FROM pgstream.webhook_successes
    WHERE stream = ${stream} AND endpoint_id = ANY (${endpoints}::text[]::uuid[]) ORDER BY endpoint_id, at DESC, sequence DESC`

/** Of one stream: what is to be written, and where the next success of an endpoint goes. */
class StreamLog {
  readonly stream: string
  readonly buffer: AttemptBuffer
  readonly nextSlot = new Map<string, number>()
  /** Taken, and not stored yet. */
  pending: Taken | undefined

  constructor(stream: string, withBodies: boolean) {
    this.stream = stream
    this.buffer = new AttemptBuffer(withBodies)
  }
}

const flush = Effect.fnUntraced(function*(sql: SqlClient.SqlClient, seals: Seals, log: StreamLog) {
  if (log.pending === undefined && log.buffer.isEmpty) return
  const taken = log.pending ??= log.buffer.take(MAX_SUCCESSES)
  const unknown = new Set(taken.successes.map(({ endpointId }) => endpointId).filter((id) => !log.nextSlot.has(id)))
  if (unknown.size > 0) {
    const found = yield* newestSlots(sql, log.stream, [...unknown])
    for (const id of unknown) log.nextSlot.set(id, 0)
    for (const { endpoint_id: id, slot } of found) log.nextSlot.set(id, (slot + 1) % SUCCESSES)
  }
  const next = new Map(log.nextSlot)
  const slotted = taken.successes.map((attempt): Slotted => {
    const slot = next.get(attempt.endpointId)!
    next.set(attempt.endpointId, (slot + 1) % SUCCESSES)
    return { slot, attempt }
  })
  yield* write(sql, seals, log.stream, taken, slotted)
  for (const [id, slot] of next) log.nextSlot.set(id, slot)
  log.pending = undefined
})

export const make = Effect.gen(function*() {
  const sql: SqlClient.SqlClient = yield* StoreSql
  const seals = new Seals(yield* SecretSettings)
  const settings = yield* DeliveryLogSettings
  const logs = new Map<string, StreamLog>()
  let last: { readonly id: StreamId.StreamId; readonly log: StreamLog } | undefined
  const logOf = (id: StreamId.StreamId): StreamLog => {
    if (last?.id === id) return last.log
    const stream = StreamId.format(id)
    let log = logs.get(stream)
    if (log === undefined) logs.set(stream, log = new StreamLog(stream, settings.bodies))
    last = { id, log }
    return log
  }

  let away = false
  const said = (error: SqlError | Error) =>
    Effect.suspend(() => {
      if (away) return Effect.void
      away = true
      return Effect.logWarning("Cannot write the delivery log; what does not fit its buffer is counted.").pipe(
        Effect.annotateLogs({ seen: "reason" in error ? withoutValues(error).message : error.message })
      )
    })
  const flushAll = (timeout: Duration.Duration) =>
    Effect.suspend(() => Effect.forEach([...logs.values()], (log) => flush(sql, seals, log), { discard: true })).pipe(
      Effect.timeoutOrElse({ duration: timeout, orElse: () => Effect.fail(new Error("no answer in time")) }),
      Effect.tap(() => Effect.sync(() => { away = false })),
      Effect.catch(said)
    )

  yield* Effect.addFinalizer(() => flushAll(LAST_FLUSH_TIMEOUT))
  yield* Effect.forkScoped(Effect.forever(Effect.andThen(Effect.sleep(FLUSH_EVERY), flushAll(FLUSH_TIMEOUT))))
  yield* Effect.forkScoped(DeliveryLogTrim.loop(sql, settings.retentionMs))

  return {
    attempted: (stream, delivery, result, startedAtMs, tookMs) => {
      logOf(stream).buffer.attempted(delivery, result, startedAtMs, tookMs)
    }
  } satisfies typeof DeliveryLog["Service"]
})

export const layer: Layer.Layer<never, never, StoreSql> = Layer.effect(DeliveryLog, make)
