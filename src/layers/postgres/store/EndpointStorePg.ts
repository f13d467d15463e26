/**
 * Endpoints as an operator changes them: `webhook_endpoints`, `endpoint_streams` and `webhook_endpoint_secrets`, each
 * change in one transaction. A store that does not answer is an error here, not a wait: a client waits for the answer.
 */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import * as Result from "effect/Result"
import type * as SqlClient from "effect/sql/SqlClient"
import type { SqlError } from "effect/sql/SqlError"
import { randomBytes } from "node:crypto"
import * as Sending from "../../../domain/Sending.ts"
import * as Signature from "../../../domain/Signature.ts"
import * as StreamId from "../../../domain/StreamId.ts"
import type { EndpointId } from "../../../domain/Subscription.ts"
import {
  type EndpointChange, EndpointRefused, EndpointStore, EndpointStoreError, type SecretRequest
} from "../../../services/EndpointStore.ts"
import { Listener } from "../../../services/Listener.ts"
import { NotifierSettings, SecretSettings } from "../../../services/Settings.ts"
import { StoreSql } from "../Sql.ts"
import * as EndpointRow from "./EndpointRow.ts"
import * as EndpointSecrets from "./EndpointSecrets.ts"
import { type SealError, Seals } from "./Seals.ts"
import * as StoreHints from "./StoreHints.ts"
import { answering, sqlState, timedOut, withoutValues } from "./StoreRetry.ts"

/** Longer than any of these statements takes; a request of the API has its own, longer limit. */
const TIMEOUT = "10 seconds"
const PAUSED_REASON = "paused by an operator"

const operation = <A, E>(name: EndpointStoreError["operation"], work: Effect.Effect<A, E | SqlError>) =>
  answering(TIMEOUT, work, (why) => new EndpointStoreError({ operation: name, ...why }))

const refused = (reason: EndpointRefused["reason"], detail: string) => new EndpointRefused({ reason, detail })

const urlTaken = refused("UrlTaken", "Another endpoint has this URL; rows with one URL share an endpoint.")
const keyMissing = refused(
  "SecretKeyMissing",
  "Authorization and a client's key are not stored in the clear. Set PGSTREAM_SECRET_KEY (openssl rand -base64 32), "
    + "and start again."
)
const tooMany = refused(
  "TooManySecrets",
  `${Sending.MAX_SECRETS} secrets would count at once. Wait until one ends, or end all earlier ones with overlap_seconds 0.`
)
const keyUnknown = (id: EndpointId) => (error: SealError) =>
  refused("SecretKeyUnknown", `${error.message} If that key is lost:   DELETE FROM pgstream.webhook_endpoint_secrets `
    + `WHERE endpoint_id = '${id}'   and give the endpoint its secrets anew.`)

/**
 * The endpoint first: it has the URL when the subscriptions get it, so that the triggers see rows which fit, and a
 * session that adds a row by the old URL is waited for.
 */
const changeUrl = Effect.fnUntraced(function*(sql: SqlClient.SqlClient, id: EndpointId, url: string) {
  yield* sql`UPDATE pgstream.webhook_endpoints SET url = ${url} WHERE id = ${id}::uuid AND url <> ${url}`
  yield* sql`
    UPDATE pgstream.webhook_subscriptions SET url = ${url} WHERE endpoint_id = ${id}::uuid AND url <> ${url}`
  yield* sql`SET CONSTRAINTS ALL IMMEDIATE`
}, Effect.mapError((error) => (sqlState(error) === "23505" ? urlTaken : error)))

/** How fast, and in what form. */
const changeLimits = Effect.fnUntraced(function*(sql: SqlClient.SqlClient, id: EndpointId, change: EndpointChange) {
  const { batch, concurrency, gzip, rate } = change
  if (concurrency !== undefined) {
    yield* sql`UPDATE pgstream.webhook_endpoints SET concurrency = ${concurrency} WHERE id = ${id}::uuid`
  }
  if (rate !== undefined) yield* sql`UPDATE pgstream.webhook_endpoints SET rate = ${rate} WHERE id = ${id}::uuid`
  if (gzip !== undefined) yield* sql`UPDATE pgstream.webhook_endpoints SET gzip = ${gzip} WHERE id = ${id}::uuid`
  if (batch === undefined) return
  yield* sql`
    UPDATE pgstream.webhook_endpoints
    SET batch_events = ${batch?.maxEvents ?? null}, batch_delay_ms = ${batch?.maxDelayMs ?? null} WHERE id = ${id}::uuid`
})

/**
 * Resumed: whatever stopped it is over, and it fails since now at the earliest. The epoch is the one that the Notifier
 * gives an endpoint whose count was not stored yet.
 */
const changePause = (sql: SqlClient.SqlClient, stream: string, id: EndpointId, paused: boolean) =>
  sql`
    INSERT INTO pgstream.endpoint_streams AS x (stream, endpoint_id, paused, paused_reason, epoch)
    SELECT ${stream}, u.id, ${paused}::boolean, CASE WHEN ${paused}::boolean THEN ${PAUSED_REASON}::text END,
      ${sql.literal(EndpointRow.FIRST_EPOCH)}
    FROM (SELECT ${id}::uuid AS id) u LEFT JOIN pgstream.checkpoint c ON c.stream = ${stream}
    ON CONFLICT (stream, endpoint_id) DO UPDATE SET paused = excluded.paused,
      paused_reason = CASE WHEN x.paused THEN CASE WHEN excluded.paused THEN x.paused_reason END ELSE excluded.paused_reason END,
      failing_since = CASE WHEN excluded.paused THEN x.failing_since END,
      disabled_reason = CASE WHEN excluded.paused THEN x.disabled_reason END,
      disabled_at = CASE WHEN excluded.paused THEN x.disabled_at END,
      suspended_reason = CASE WHEN excluded.paused THEN x.suspended_reason END,
      suspended_at = CASE WHEN excluded.paused THEN x.suspended_at END`

/** A pure step on what the endpoint has. */
type Step = (content: Sending.SendingContent) => Result.Result<Sending.SendingContent, EndpointRefused>

const changeContent = Effect.fnUntraced(function*(sql: SqlClient.SqlClient, seals: Seals, id: EndpointId, step: Step) {
  const [row] = yield* sql<{ readonly content: Uint8Array }>`
    SELECT content FROM pgstream.webhook_endpoint_secrets WHERE endpoint_id = ${id}::uuid FOR UPDATE`
  const before = row === undefined ? Result.succeed(Sending.empty) : EndpointSecrets.open(seals, id, row.content)
  const after = yield* Effect.fromResult(Result.flatMap(Result.mapError(before, keyUnknown(id)), step))
  yield* sql`
    INSERT INTO pgstream.webhook_endpoint_secrets AS k (endpoint_id, content)
    VALUES (${id}::uuid, ${EndpointSecrets.seal(seals, id, after)})
    ON CONFLICT (endpoint_id) DO UPDATE SET content = excluded.content, version = k.version + 1, updated_at = now()`
})

/** Of an endpoint, which it locks against others like us. `undefined`: it is not there. */
const urlOf = (sql: SqlClient.SqlClient, id: EndpointId) =>
  Effect.map(
    sql<{ readonly url: string }>`SELECT url FROM pgstream.webhook_endpoints WHERE id = ${id}::uuid FOR NO KEY UPDATE`,
    ([row]) => row?.url
  )

/** What was stored in the clear, or with an older key, is sealed with the key that there is now. */
const sealAnew = Effect.fnUntraced(function*(sql: SqlClient.SqlClient, seals: Seals) {
  if (!seals.hasKey) return
  const rows = yield* sql<{ readonly id: string; readonly content: Uint8Array }>`
    SELECT endpoint_id::text AS id, content FROM pgstream.webhook_endpoint_secrets`
  for (const { content, id } of rows) {
    const opened = seals.isStale(content) ? EndpointSecrets.open(seals, id, content) : undefined
    if (opened === undefined || Result.isFailure(opened)) continue
    yield* sql`UPDATE pgstream.webhook_endpoint_secrets SET content = ${EndpointSecrets.seal(seals, id, opened.success)}
      WHERE endpoint_id = ${id}::uuid AND content = ${content}`
  }
})

export const make = <E>(identify: Effect.Effect<StreamId.StreamId, E>) =>
  Effect.gen(function*() {
    const sql = yield* StoreSql
    const seals = new Seals(yield* SecretSettings)
    const { concurrency } = yield* NotifierSettings
    /** A source that does not answer is like a store that does not: which stream it is cannot be known. */
    const stream = identify.pipe(Effect.map(StreamId.format), Effect.mapError(() => timedOut(TIMEOUT)))
    const endpointOf = (row: EndpointRow.EndpointRow) => EndpointRow.endpointOf(seals, concurrency, row, undefined)

    const list = Effect.flatMap(stream, (name) => EndpointRow.select(sql, name, undefined)).pipe(
      Effect.map((rows) => rows.map(endpointOf))
    )

    const update = Effect.fnUntraced(function*(id: EndpointId, change: EndpointChange) {
      const name = yield* stream
      if ((yield* urlOf(sql, id)) === undefined) return undefined
      const { order, paused, sending, url } = change
      if (url !== undefined) yield* changeUrl(sql, id, url)
      if (order !== undefined) {
        yield* sql`UPDATE pgstream.webhook_endpoints SET order_mode = ${order} WHERE id = ${id}::uuid`
      }
      yield* changeLimits(sql, id, change)
      if (paused !== undefined) yield* changePause(sql, name, id, paused)
      if (sending !== undefined) {
        if (!seals.hasKey && Sending.needsSealing({ auth: null, client: null, ...sending })) return yield* keyMissing
        yield* changeContent(sql, seals, id, (content) => Result.succeed({ ...content, ...sending }))
      }
      const [row] = yield* EndpointRow.select(sql, name, id)
      return row === undefined ? undefined : endpointOf(row)
    })

    const rotate = Effect.fnUntraced(function*(id: EndpointId, request: SecretRequest) {
      const url = yield* urlOf(sql, id)
      if (url === undefined) return undefined
      const now = yield* Clock.currentTimeMillis
      const secret = request.secret ?? Redacted.make(Signature.formatSecret(randomBytes(Signature.SECRET_BYTES)))
      let overlapUntilMs: number | undefined
      yield* changeContent(sql, seals, id, (content) => {
        const rotated = Sending.rotate(content, Redacted.value(secret), now, request.overlapSeconds)
        overlapUntilMs = rotated?.secrets[1]?.expiresAtMs ?? undefined
        return rotated === undefined ? Result.fail(tooMany) : Result.succeed(rotated)
      })
      return { url, secret, overlapUntilMs }
    })

    const hinted = <A, F>(work: Effect.Effect<A | undefined, F>) =>
      Effect.tap(work, (result) => (result === undefined ? Effect.void : StoreHints.notify(sql)))

    yield* Effect.forkScoped(
      sealAnew(sql, seals).pipe(
        Effect.tapError((error) =>
          Effect.logWarning("Cannot encrypt anew what the endpoints have; it stays as it is.", withoutValues(error))),
        Effect.ignore
      )
    )

    return EndpointStore.of({
      list: operation("list", list),
      update: (id, change) => hinted(operation("update", sql.withTransaction(update(id, change)))),
      rotateSecret: (id, request) => hinted(operation("rotateSecret", sql.withTransaction(rotate(id, request))))
    })
  })

type Requirements = StoreSql | NotifierSettings

export const layer: Layer.Layer<EndpointStore, never, Requirements | Listener> = Layer.effect(
  EndpointStore,
  Effect.flatMap(Listener, (listener) => make(listener.identify))
)

/** For a stream that is known already. */
export const layerFor = (stream: StreamId.StreamId): Layer.Layer<EndpointStore, never, Requirements> =>
  Layer.effect(EndpointStore, make(Effect.succeed(stream)))
