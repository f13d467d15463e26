/** Notices to a real receiver: one signed POST for each state, tried again, not repeated after a restart. */
import { assert, describe, it } from "@effect/vitest"
import * as Context from "effect/Context"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as Queue from "effect/Queue"
import * as Redacted from "effect/Redacted"
import * as References from "effect/References"
import * as TestClock from "effect/testing/TestClock"
import { Webhook } from "standardwebhooks"
import * as Signature from "../../src/domain/Signature.ts"
import * as WebhookTransportHttp from "../../src/layers/http/WebhookTransportHttp.ts"
import * as EndpointStatesMemory from "../../src/layers/memory/EndpointStatesMemory.ts"
import * as EndpointStoreMemory from "../../src/layers/memory/EndpointStoreMemory.ts"
import * as NoticeStoreMemory from "../../src/layers/memory/NoticeStoreMemory.ts"
import * as ParkedDeliveriesMemory from "../../src/layers/memory/ParkedDeliveriesMemory.ts"
import * as ParkedTables from "../../src/layers/memory/ParkedTables.ts"
import * as SubscriptionStoreMemory from "../../src/layers/memory/SubscriptionStoreMemory.ts"
import * as WebhookTables from "../../src/layers/memory/WebhookTables.ts"
import * as NoticesLive from "../../src/layers/pipeline/NoticesLive.ts"
import { judge } from "../../src/layers/postgres/replication/SlotWatch.ts"
import { CurrentStream } from "../../src/services/CurrentStream.ts"
import { NoticeSettings } from "../../src/services/DeliverySettings.ts"
import { type Notice, Notices } from "../../src/services/Notices.ts"
import { NoticeStore } from "../../src/services/NoticeStore.ts"
import { notifierDefaults, NotifierSettings } from "../../src/services/Settings.ts"
import { eventually } from "../support/eventually.ts"
import { serve } from "../support/webServers.ts"
import { suite } from "../suites/NoticeStoreSuite.ts"

suite("memory", Layer.mergeAll(
  NoticeStoreMemory.layer, EndpointStatesMemory.layer, EndpointStoreMemory.layer, SubscriptionStoreMemory.layer,
  ParkedDeliveriesMemory.layer
).pipe(Layer.provide(Layer.mergeAll(WebhookTables.layer(), ParkedTables.layer))))

const secret = Signature.formatSecret(Buffer.alloc(32, 7))
const disabled: Notice = { kind: "endpoint_disabled", endpointId: "e-1", message: "Endpoint e-1 is disabled.", facts: { status: 410 } }

interface Seen {
  readonly headers: Record<string, string>
  readonly body: string
}

const receiver = Effect.fnUntraced(function*(statusOf: (count: number) => number) {
  const seen: Array<Seen> = []
  const server = yield* serve((request, response, body) => {
    seen.push({ headers: request.headers as Record<string, string>, body: body.toString() })
    response.statusCode = statusOf(seen.length)
    response.end()
  })
  return { seen, url: server.url }
})

/** One process, on a store that outlives it. */
const start = (url: string | undefined, store: NoticeStore["Service"], parkedScheduleMs: ReadonlyArray<number> = [20]) =>
  Layer.build(NoticesLive.layer.pipe(
    Layer.provide(WebhookTransportHttp.layer),
    Layer.provide(Layer.mergeAll(
      Layer.succeed(NoticeStore, store),
      Layer.succeed(CurrentStream, { identify: Effect.succeed({ systemIdentifier: "1", slotName: "s" }) }),
      Layer.succeed(NoticeSettings, { url: url === undefined ? undefined : Redacted.make(url), secret: Redacted.make(secret) }),
      Layer.succeed(NotifierSettings, { ...notifierDefaults, parkedScheduleMs })
    ))
  )).pipe(Effect.map((context) => Context.get(context as Context.Context<never>, Notices)))

const store = Effect.map(Layer.build(NoticeStoreMemory.layer), (context) => Context.get(context, NoticeStore))
const stream = { systemIdentifier: "1", slotName: "s" }
const sent = (told: NoticeStore["Service"]) => Effect.map(told.load(stream), (all) => all.length > 0 && all.every((each) => each.sent))

it.live("one signed POST for a state, however often it is told; again after it was over", () =>
  Effect.scoped(Effect.gen(function*() {
    const [{ seen, url }, told] = [yield* receiver(() => 204), yield* store]
    const notices = yield* start(url, told)
    for (let i = 0; i < 50; i++) notices.tell(disabled)
    yield* eventually("it was posted", sent(told))
    assert.strictEqual(seen.length, 1)
    const [{ body, headers }] = seen as [Seen]
    new Webhook(secret).verify(body, headers)
    assert.match(headers["webhook-id"]!, /^notice-[0-9a-f-]{36}$/)
    const parsed = JSON.parse(body) as { readonly timestamp: string }
    assert.isBelow(Math.abs(Date.parse(parsed.timestamp) - Date.now()), 60_000)
    assert.deepStrictEqual({ ...parsed, timestamp: "" }, {
      type: "endpoint_disabled", timestamp: "",
      data: { stream: "1/s", endpoint: "e-1", message: "Endpoint e-1 is disabled.", facts: { status: 410 } }
    })
    notices.over("endpoint_disabled", "e-1")
    notices.over("endpoint_disabled", "e-2")
    notices.tell(disabled)
    yield* eventually("it was posted anew", Effect.sync(() => seen.length === 2))
    assert.notStrictEqual(seen[1]!.headers["webhook-id"], headers["webhook-id"])
  })))

it.live("a restart within the state says nothing; what was not accepted yet is posted, under its id", () =>
  Effect.gen(function*() {
    const told = yield* store
    const refusing = yield* receiver(() => 500)
    yield* Effect.scoped(Effect.gen(function*() {
      const notices = yield* start(refusing.url, told)
      notices.tell(disabled)
      yield* eventually("it was tried again", Effect.sync(() => refusing.seen.length > 2))
    }))
    const ids = new Set(refusing.seen.map(({ headers }) => headers["webhook-id"]))
    assert.strictEqual(ids.size, 1)
    const { seen, url } = yield* receiver(() => 200)
    yield* Effect.scoped(Effect.gen(function*() {
      const notices = yield* start(url, told)
      notices.tell(disabled)
      yield* eventually("it was posted", sent(told))
    }))
    yield* Effect.scoped(Effect.gen(function*() {
      const notices = yield* start(url, told)
      notices.tell(disabled)
      notices.tell({ ...disabled, endpointId: "e-2" })
      yield* eventually("the other one was posted", Effect.sync(() => seen.length > 1))
    }))
    assert.deepStrictEqual(seen.map(({ body }) => (JSON.parse(body) as { readonly data: { readonly endpoint: string } }).data.endpoint), ["e-1", "e-2"])
    assert.isTrue(ids.has(seen[0]!.headers["webhook-id"]))
  }).pipe(Effect.scoped))

it.live("one that is not accepted for an hour is given up, with a line that says what to do", () =>
  Effect.gen(function*() {
    const lines: Array<string> = []
    const collects = Logger.make(({ fiber, message }) => {
      lines.push(`${String(message)} ${JSON.stringify(fiber.getRef(References.CurrentLogAnnotations))}`)
    })
    const told = yield* store
    const { seen, url } = yield* receiver(() => 500)
    yield* Effect.scoped(Effect.gen(function*() {
      // The next attempt would come after the hour.
      const notices = yield* start(`${url}/?token=secret`, told, [20, 3_600_000])
      notices.tell(disabled)
      yield* eventually("it is given up", sent(told))
    })).pipe(Effect.provide(Logger.layer([collects])))
    assert.lengthOf(seen, 2)
    const line = lines.find((each) => each.includes("NoticeNotPosted")) ?? ""
    for (const part of ["e-1", "HTTP 500", "pgstream status", "PGSTREAM_NOTICE_URL"]) assert.include(line, part)
    assert.notInclude(line, "secret")
  }).pipe(Effect.scoped))

it.live("that it is over is known to a process that did not tell it", () =>
  Effect.scoped(Effect.gen(function*() {
    const told = yield* store
    yield* Effect.scoped(Effect.gen(function*() {
      const notices = yield* start(undefined, told)
      notices.tell(disabled)
      yield* eventually("it is recorded", Effect.map(told.load(stream), (all) => all.length === 1))
    }))
    const notices = yield* start(undefined, told)
    notices.over("endpoint_disabled", "e-1")
    yield* eventually("it is over", Effect.map(told.load(stream), (all) => all.length === 0))
  })))

it.live("what was over while nobody said so is told again: before a start, or while it runs", () =>
  Effect.gen(function*() {
    const told = yield* store
    const { seen, url } = yield* receiver(() => 200)
    const over: Array<Pick<Notice, "kind" | "endpointId">> = []
    const knows: NoticeStore["Service"] = {
      ...told,
      ended: () => Effect.forEach(over.splice(0), (each) => Effect.as(told.over(stream, each.kind, each.endpointId), each))
    }
    yield* Effect.scoped(Effect.gen(function*() {
      const notices = yield* start(url, told)
      notices.tell(disabled)
      yield* eventually("it was posted", sent(told))
    }))
    over.push(disabled)
    yield* Effect.scoped(Effect.gen(function*() {
      const notices = yield* start(url, knows)
      notices.tell(disabled)
      yield* eventually("it was posted again", Effect.sync(() => seen.length === 2))
    }))
  }).pipe(Effect.scoped))

it.effect("looks each minute at what is over; what begins anew meanwhile is told", () =>
  Effect.gen(function*() {
    const told = yield* store
    const asked = yield* Queue.unbounded<Deferred.Deferred<void>>()
    const knows: NoticeStore["Service"] = {
      ...told,
      ended: (of) => Effect.gen(function*() {
        const answer = yield* Deferred.make<void>()
        yield* Queue.offer(asked, answer)
        yield* Deferred.await(answer)
        yield* told.over(of, disabled.kind, disabled.endpointId)
        return [disabled]
      })
    }
    const notices = yield* start(undefined, knows)
    const first = Effect.map(told.load(stream), (all) => all[0]?.id)
    yield* Deferred.succeed(yield* Queue.take(asked), undefined)
    yield* TestClock.adjust("1 second")
    notices.tell(disabled)
    yield* TestClock.adjust("1 second")
    const before = yield* first
    assert.isDefined(before)
    yield* TestClock.adjust("58 seconds")
    const answer = yield* Queue.take(asked)
    notices.tell(disabled)
    yield* Deferred.succeed(answer, undefined)
    yield* TestClock.adjust("1 second")
    const after = yield* first
    assert.isDefined(after)
    assert.notStrictEqual(after, before)
  }).pipe(Effect.scoped))

describe("a slot is near its loss", () => {
  const keep_bytes = 1_000n
  it("below a tenth of what Postgres keeps for it, or when it says so; over again above a fifth", () => {
    assert.strictEqual(judge({ keep_bytes, safe_wal_size: 99n, wal_status: "reserved" }), "near")
    assert.strictEqual(judge({ keep_bytes, safe_wal_size: 150n, wal_status: "extended" }), "between")
    assert.strictEqual(judge({ keep_bytes, safe_wal_size: 250n, wal_status: "reserved" }), "far")
    assert.strictEqual(judge({ keep_bytes, safe_wal_size: null, wal_status: "unreserved" }), "near")
    assert.strictEqual(judge({ keep_bytes: -1_048_576n, safe_wal_size: null, wal_status: "extended" }), "far")
  })
})
