/**
 * An operator's commands about deliveries in the store: `pgstream.delivery_commands`. Selector and target are encrypted
 * where there is a key: they hold values of a key, and a URL that may have a password.
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import * as Result from "effect/Result"
import type { SqlError } from "effect/sql/SqlError"
import type * as SqlClient from "effect/sql/SqlClient"
import * as DeliverySelector from "../../../domain/DeliverySelector.ts"
import * as StreamId from "../../../domain/StreamId.ts"
import { hostOf } from "../../../services/Audit.ts"
import {
  type Command, type CommandKind, type CommandPlace, type CommandRequest, type CommandState, type CommandView, DeliveryCommands, DeliveryCommandsError,
  type Progress
} from "../../../services/DeliveryCommands.ts"
import { SecretSettings } from "../../../services/Settings.ts"
import { StoreSql } from "../Sql.ts"
import { Seals } from "./Seals.ts"
import { answering } from "./StoreRetry.ts"
import * as StreamWriters from "./StreamWriters.ts"

const TIMEOUT = Duration.seconds(10)
const SELECTOR_CONTEXT = "command selector"
const TARGET_CONTEXT = "command target"

type Sql = SqlClient.SqlClient

interface ViewRow {
  readonly id: bigint
  readonly kind: CommandKind
  readonly described: string
  readonly target_host: string
  readonly rate: number | null
  readonly state: CommandState
  readonly done: bigint
  readonly skipped: bigint
  readonly note: string
  readonly ordered_by: string
  readonly ordered_at: Date
  readonly ended_at: Date | null
}

interface CommandRow extends ViewRow {
  readonly selector: Uint8Array
  readonly target: Uint8Array | null
  readonly place: CommandPlace | null
}

const VIEW = "id, kind, described, target_host, rate, state, done, skipped, note, ordered_by, ordered_at, ended_at"

const viewOf = (row: ViewRow): CommandView => ({
  id: Number(row.id), kind: row.kind, described: row.described, targetHost: row.target_host, rate: row.rate ?? undefined, state: row.state,
  done: Number(row.done), skipped: Number(row.skipped), note: row.note, by: row.ordered_by, orderedAtMs: row.ordered_at.getTime(),
  endedAtMs: row.ended_at?.getTime()
})

const operation = <A>(name: string, work: Effect.Effect<A, SqlError>) =>
  answering(TIMEOUT, work, (why) => new DeliveryCommandsError({ operation: name, ...why }))

const sealed = (seals: Seals, text: string, context: string) => seals.seal(Buffer.from(text, "utf8"), context)

const opened = (seals: Seals, bytes: Uint8Array, context: string) =>
  Effect.fromResult(Result.mapBoth(seals.open(bytes, context), {
    onFailure: (cause) => new DeliveryCommandsError({ operation: "next", unavailable: false, cause }),
    onSuccess: (plain) => Buffer.from(plain).toString("utf8")
  }))

const commandOf = Effect.fnUntraced(function*(seals: Seals, row: CommandRow) {
  const command: Command = {
    id: Number(row.id), kind: row.kind, rate: row.rate ?? undefined, by: row.ordered_by, orderedAtMs: row.ordered_at.getTime(),
    selector: JSON.parse(yield* opened(seals, row.selector, SELECTOR_CONTEXT)) as DeliverySelector.DeliverySelector,
    target: row.target === null ? undefined : Redacted.make(yield* opened(seals, row.target, TARGET_CONTEXT)),
    place: row.place ?? undefined, done: Number(row.done), skipped: Number(row.skipped), note: row.note
  }
  return command
})

const add = (sql: Sql, seals: Seals, stream: string, { by, kind, rate, selector, target }: CommandRequest) => {
  const url = target === undefined ? undefined : Redacted.value(target)
  return sql<{ readonly id: bigint }>`
    INSERT INTO pgstream.delivery_commands (stream, kind, selector, described, target, target_host, rate, ordered_by)
    VALUES (${stream}, ${kind}, ${sealed(seals, JSON.stringify(selector), SELECTOR_CONTEXT)}, ${DeliverySelector.describe(selector)},
      ${url === undefined ? null : sealed(seals, url, TARGET_CONTEXT)}, ${url === undefined ? "" : hostOf(url)}, ${rate ?? null}, ${by})
    RETURNING id`
}

/** What nobody carries out any more keeps no value of a key, and no URL. */
const FORGET = "selector = '', target = NULL"

const progressSet = (sql: Sql, { done, note, place, skipped }: Progress) =>
  sql`place = ${place === undefined ? null : JSON.stringify(place)}::text::jsonb, done = ${String(done)}::bigint,
    skipped = ${String(skipped)}::bigint, note = ${note}, updated_at = now()`

export const make = Effect.gen(function*() {
  const sql: Sql = yield* StoreSql
  const writers = yield* StreamWriters.StreamWriters
  const seals = new Seals(yield* SecretSettings)
  const view = sql.literal(VIEW)
  /** Only who took the stream over carries out; a tool beside the service has no generation. */
  const fence = (stream: string) =>
    writers.generations.has(stream) ? StreamWriters.holding(sql, writers, stream) : sql`SELECT 1 AS held WHERE false`

  const next = Effect.fnUntraced(function*(stream: string) {
    if (!writers.generations.has(stream)) return undefined
    // The fence locks a row, which is a write: not while there is nothing to do.
    const [open] = yield* operation("next", sql<{ readonly id: bigint }>`
      SELECT id FROM pgstream.delivery_commands WHERE stream = ${stream} AND state IN ('queued', 'running') ORDER BY id LIMIT 1`)
    if (open === undefined) return undefined
    const [row] = yield* operation("next", sql<CommandRow>`
      WITH fence AS (${fence(stream)})
      UPDATE pgstream.delivery_commands c SET state = 'running', started_at = coalesce(c.started_at, now()), updated_at = now()
      WHERE c.id = ${String(open.id)}::bigint AND c.state IN ('queued', 'running') AND EXISTS (SELECT FROM fence)
      RETURNING ${view}, selector, target, place`)
    return row === undefined ? undefined : yield* commandOf(seals, row)
  })

  return DeliveryCommands.of({
    add: (stream, request) =>
      Effect.map(operation("add", add(sql, seals, StreamId.format(stream), request)), (rows) => Number(rows[0]!.id)),
    get: (stream, id) =>
      Effect.map(operation("get", sql<ViewRow>`
        SELECT ${view} FROM pgstream.delivery_commands WHERE stream = ${StreamId.format(stream)} AND id = ${String(id)}::bigint`),
      ([row]) => (row === undefined ? undefined : viewOf(row))),
    list: (stream, limit) =>
      Effect.map(operation("list", sql<ViewRow>`
        SELECT ${view} FROM pgstream.delivery_commands WHERE stream = ${StreamId.format(stream)} ORDER BY id DESC LIMIT ${limit}`),
      (rows) => rows.map(viewOf)),
    cancel: (stream, id) =>
      Effect.map(operation("cancel", sql`
        UPDATE pgstream.delivery_commands SET state = 'cancelled', ended_at = now(), updated_at = now(), ${sql.literal(FORGET)}
        WHERE stream = ${StreamId.format(stream)} AND id = ${String(id)}::bigint AND state IN ('queued', 'running') RETURNING 1 AS ended`),
      (rows) => rows.length > 0),
    next: (stream) => next(StreamId.format(stream)),
    progress: (stream, id, progress) =>
      Effect.map(operation("progress", sql`
        WITH fence AS (${fence(StreamId.format(stream))})
        UPDATE pgstream.delivery_commands SET ${progressSet(sql, progress)}
        WHERE id = ${String(id)}::bigint AND state = 'running' AND EXISTS (SELECT FROM fence) RETURNING 1 AS held`),
      (rows) => rows.length > 0),
    end: (stream, id, state, progress) =>
      Effect.asVoid(operation("end", sql`
        WITH fence AS (${fence(StreamId.format(stream))})
        UPDATE pgstream.delivery_commands SET ${progressSet(sql, progress)}, state = ${state}, ended_at = now(), ${sql.literal(FORGET)}
        WHERE id = ${String(id)}::bigint AND state = 'running' AND EXISTS (SELECT FROM fence)`))
  })
})

export const layer: Layer.Layer<DeliveryCommands, never, StoreSql> = Layer.effect(DeliveryCommands, make).pipe(
  Layer.provide(StreamWriters.layer)
)
