/**
 * Notices: a log line for each state that begins, and one signed POST to `PGSTREAM_NOTICE_URL`, tried again for an hour.
 * What was told is remembered in the store, so that a restart within the state says nothing.
 *
 * Standard Webhooks: `webhook-id` `notice-<uuid>`, `webhook-timestamp`, `webhook-signature` with `PGSTREAM_NOTICE_SECRET`;
 * the body is `{"type","timestamp","data":{"stream","endpoint","message","facts"}}` (docs/webhooks.md).
 */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Queue from "effect/Queue"
import * as Redacted from "effect/Redacted"
import { randomUUID } from "node:crypto"
import * as RetryPolicy from "../../domain/RetryPolicy.ts"
import * as Sending from "../../domain/Sending.ts"
import * as StreamId from "../../domain/StreamId.ts"
import type { Endpoint } from "../../domain/Subscription.ts"
import { NoticeSettings, type NoticeSettingsShape } from "../../services/DeliverySettings.ts"
import { CurrentStream } from "../../services/CurrentStream.ts"
import { type Notice, type NoticeKind, Notices } from "../../services/Notices.ts"
import { NoticeStore, type ToldNotice } from "../../services/NoticeStore.ts"
import { NotifierSettings } from "../../services/Settings.ts"
import { type EndpointConnection, sendOnce, WebhookTransport } from "../../services/WebhookTransport.ts"

/** What waits to be told; beyond it the newest is only logged. */
const MAX_WAITING = 1_000
/** How long one is tried, ms. */
const TRY_FOR_MS = 60 * 60 * 1_000
/** POSTs at a time: one that hangs does not hold up all others. */
const CONCURRENCY = 4
const AFTER_FAILURE = "5 seconds"
/** Between two looks at what is over without anybody who said so. */
const LOOK_EVERY = "1 minute"

type Work =
  | { readonly _tag: "Tell"; readonly notice: Notice; readonly atMs: number }
  | { readonly _tag: "Over"; readonly kind: NoticeKind; readonly endpointId: string | undefined }

const keyOf = (kind: NoticeKind, endpointId: string | undefined): string => `${kind} ${endpointId ?? ""}`

const annotations = ({ endpointId, facts, kind }: Notice) => ({ notice: kind, ...(endpointId === undefined ? {} : { endpointId }), ...facts })

const bodyOf = (stream: string, { beganAtMs, endpointId, facts, kind, message }: ToldNotice): Uint8Array =>
  Buffer.from(JSON.stringify({
    type: kind, timestamp: new Date(beganAtMs).toISOString(), data: { stream, endpoint: endpointId ?? null, message, facts }
  }))

const receiverAt = (url: string, { secret }: NoticeSettingsShape): Endpoint => ({
  id: "notices", url, order: "none", concurrency: CONCURRENCY, paused: false, pausedReason: undefined,
  ...(secret === undefined ? {} : {
    sending: Sending.make("1", { ...Sending.empty, secrets: [{ secret: Redacted.value(secret), expiresAtMs: null }] })
  })
})

/** Succeeds when it was accepted, or when it is given up after an hour. */
const deliver = Effect.fnUntraced(function*(
  connection: EndpointConnection, schedule: ReadonlyArray<number>, stream: string, notice: ToldNotice
) {
  const request = { body: bodyOf(stream, notice), id: `notice-${notice.id}`, sequence: 0, endpointId: "notices", epoch: "" }
  for (let [attempt, waited] = [0, 0]; ; attempt++) {
    const result = yield* sendOnce(connection, request)
    if (result._tag === "Accepted") return
    const pause = schedule[Math.min(attempt, schedule.length - 1)] ?? TRY_FOR_MS
    if (waited + pause > TRY_FOR_MS) {
      return yield* Effect.logWarning("A notice could not be posted for an hour; it is given up. (NoticeNotPosted)").pipe(
        Effect.annotateLogs({
          notice: notice.kind, ...(notice.endpointId === undefined ? {} : { endpointId: notice.endpointId }),
          reason: RetryPolicy.describe(result), mend: "see what is so now with   pgstream status   and mend what answers at PGSTREAM_NOTICE_URL"
        })
      )
    }
    waited += pause
    yield* Effect.sleep(pause)
  }
})

const failed = (error: unknown) =>
  Effect.logWarning("A notice could not be recorded.").pipe(
    Effect.annotateLogs({ seen: error instanceof Error ? error.message : "a fault of its own" }), Effect.andThen(Effect.sleep(AFTER_FAILURE))
  )

export const make = Effect.gen(function*() {
  const current = yield* CurrentStream
  const store = yield* NoticeStore
  const settings = yield* NoticeSettings
  const { parkedScheduleMs } = yield* NotifierSettings
  const transport = yield* WebhookTransport
  const clock = yield* Clock.Clock
  const waiting = yield* Queue.dropping<Work>(MAX_WAITING)
  const posts = yield* Queue.dropping<ToldNotice>(MAX_WAITING)
  /** Those told in this process, and not over: the many calls within a state cost a look here. */
  const told = new Set<string>()
  /** What an earlier process told is not known before. */
  let loaded = false
  /** While the store is asked what is over: what was told already, and may have begun anew since. */
  let again: Map<string, Notice> | undefined

  const begin = Effect.fnUntraced(function*(stream: StreamId.StreamId, notice: Notice, atMs: number) {
    const began: ToldNotice = { ...notice, id: randomUUID(), beganAtMs: atMs, sent: settings.url === undefined }
    told.add(keyOf(notice.kind, notice.endpointId))
    if (!(yield* store.tell(stream, began))) return
    yield* Effect.logWarning(notice.message).pipe(Effect.annotateLogs(annotations(notice)))
    yield* Queue.offer(posts, began)
  })

  const end = (stream: StreamId.StreamId, kind: NoticeKind, endpointId: string | undefined) =>
    Effect.andThen(Effect.sync(() => told.delete(keyOf(kind, endpointId))), store.over(stream, kind, endpointId))

  const tell = (notice: Notice): void => {
    const key = keyOf(notice.kind, notice.endpointId)
    if (told.has(key)) return void again?.set(key, notice)
    told.add(key)
    if (!Queue.offerUnsafe(waiting, { _tag: "Tell", notice, atMs: clock.currentTimeMillisUnsafe() })) told.delete(key)
  }

  const forget = Effect.fnUntraced(function*(stream: StreamId.StreamId) {
    const during = again = new Map()
    const ended = yield* Effect.ensuring(store.ended(stream), Effect.sync(() => {
      again = undefined
    }))
    for (const { endpointId, kind } of ended) {
      const key = keyOf(kind, endpointId)
      told.delete(key)
      const notice = during.get(key)
      if (notice !== undefined) tell(notice)
    }
  })

  const work = Effect.gen(function*() {
    const stream = yield* current.identify.pipe(Effect.tapError(() => Effect.sleep(AFTER_FAILURE)), Effect.eventually)
    const before = yield* store.load(stream)
    for (const notice of before) {
      told.add(keyOf(notice.kind, notice.endpointId))
      if (!notice.sent) yield* Queue.offer(posts, notice)
    }
    loaded = true
    yield* forget(stream).pipe(Effect.catch(failed))
    yield* Effect.suspend(() => told.size === 0 ? Effect.void : forget(stream)).pipe(
      Effect.catch(failed), Effect.delay(LOOK_EVERY), Effect.forever, Effect.forkScoped
    )
    if (settings.url !== undefined) {
      const connection = yield* transport.open(receiverAt(Redacted.value(settings.url), settings))
      const one = Effect.flatMap(Queue.take(posts), (notice) =>
        deliver(connection, parkedScheduleMs, StreamId.format(stream), notice).pipe(Effect.andThen(store.sent(stream, notice.id))))
      for (let i = 0; i < CONCURRENCY; i++) yield* Effect.forkScoped(Effect.forever(one.pipe(Effect.catch(failed))))
    }
    const next = Effect.flatMap(Queue.take(waiting), (item) =>
      item._tag === "Tell" ? begin(stream, item.notice, item.atMs) : end(stream, item.kind, item.endpointId))
    return yield* Effect.forever(next.pipe(Effect.catch(failed)))
  })
  yield* Effect.forkScoped(work.pipe(Effect.catch(failed)))

  return {
    tell,
    over: (kind, endpointId) => {
      if (!told.delete(keyOf(kind, endpointId)) && loaded) return
      Queue.offerUnsafe(waiting, { _tag: "Over", kind, endpointId })
    }
  } satisfies typeof Notices["Service"]
})

type Requirements = CurrentStream | NoticeStore | NotifierSettings | WebhookTransport

export const layer: Layer.Layer<never, never, Requirements> = Layer.effect(Notices, make)
