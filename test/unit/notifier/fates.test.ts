import { assert, it } from "@effect/vitest"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as TestClock from "effect/testing/TestClock"
import { randomUUID } from "node:crypto"
import type { AttemptResult } from "../../../src/domain/Delivery.ts"
import * as EndpointsMemory from "../../../src/layers/memory/EndpointsMemory.ts"
import * as EndpointStatesMemory from "../../../src/layers/memory/EndpointStatesMemory.ts"
import * as EndpointStoreMemory from "../../../src/layers/memory/EndpointStoreMemory.ts"
import * as WebhookTables from "../../../src/layers/memory/WebhookTables.ts"
import * as Fates from "../../../src/layers/pipeline/notifier/EndpointFates.ts"
import { Endpoints } from "../../../src/services/Endpoints.ts"
import { EndpointStates } from "../../../src/services/EndpointStates.ts"
import { EndpointStore } from "../../../src/services/EndpointStore.ts"
import type { Notice } from "../../../src/services/Notices.ts"

const DAY = 86_400_000
const stream = { systemIdentifier: "1", slotName: "s" }
const status = (code: number): AttemptResult =>
  code < 300 ? { _tag: "Accepted", status: code } : { _tag: "Refused", status: code, retryAfterMs: undefined, bodyStart: undefined }

const layer = Layer.mergeAll(EndpointsMemory.layer, EndpointStatesMemory.layer, EndpointStoreMemory.layer).pipe(
  Layer.provideMerge(WebhookTables.layer())
)

/** Fates that run, of one endpoint; `told`: what was noticed, and what is over. */
const started = (disableAfterMs = 5 * DAY) =>
  Effect.gen(function*() {
    const tables = yield* WebhookTables.WebhookTables
    const clock = yield* Clock.Clock
    const states = yield* EndpointStates
    const endpoints = yield* Endpoints
    const { endpointId: id, url } = tables.subscribe(`http://user:secret@${randomUUID()}.example/hook?token=secret`, "", "", [])
    const told: Array<Notice | string> = []
    let writes = 0
    const run = Effect.gen(function*() {
      const fates = yield* Fates.make({
        stream, disableAfterMs, endpoints,
        states: { ...states, setFailing: (...of) => Effect.andThen(Effect.sync(() => writes++), states.setFailing(...of)) },
        notices: { tell: (notice) => told.push(notice), over: (kind) => told.push(kind) },
        now: () => clock.currentTimeMillisUnsafe()
      })
      yield* Effect.forkScoped(fates.loop)
      yield* Effect.yieldNow
      return fates
    })
    const answer = (fates: Fates.EndpointFates, code: number) =>
      Effect.map(Clock.currentTimeMillis, (now) => fates.answered(id, status(code), now))
    const since = Effect.map(states.failing(stream), (all) => all.get(id))
    return { id, run, answer, since, told, endpoint: () => endpoints.get(id)!, writes: () => writes, end: () => tables.unsubscribe(url, "", "") }
  })

it.effect("410 disables the endpoint at once, says so once, and resuming begins anew", () =>
  Effect.gen(function*() {
    const { answer, endpoint, id, run, told } = yield* started()
    const fates = yield* run
    for (let n = 0; n < 5; n++) yield* answer(fates, 410)
    yield* TestClock.adjust("1 millis")
    assert.deepInclude(endpoint(), { disabled: true, paused: true, pausedReason: "its receiver answered 410 Gone" })
    const notices = told.filter((one) => typeof one !== "string")
    assert.lengthOf(notices, 1)
    assert.strictEqual(notices[0]!.kind, "endpoint_disabled")
    assert.include(notices[0]!.message, `pgstream subscriptions resume ${id}`)
    assert.notInclude(notices[0]!.message, "secret")
    yield* (yield* EndpointStore).update(id, { paused: false })
    yield* TestClock.adjust("1 millis")
    assert.include(told, "endpoint_disabled")
    yield* answer(fates, 410)
    yield* TestClock.adjust("1 millis")
    assert.isTrue(endpoint().disabled)
  }).pipe(Effect.provide(layer)))

it.effect("days of failure disable it, across a restart; one accepted delivery begins them anew", () =>
  Effect.gen(function*() {
    const { answer, endpoint, id, run, since } = yield* started()
    const fail = (fates: Fates.EndpointFates, hours: number) =>
      Effect.forEach(Array.from({ length: hours }), () => Effect.andThen(answer(fates, 503), TestClock.adjust("1 hour")), { discard: true })
    const first = yield* Effect.scoped(Effect.tap(run, (fates) => fail(fates, 100)))
    assert.isDefined(yield* since)
    yield* answer(first, 200)
    const second = yield* run
    yield* fail(second, 19)
    assert.isUndefined(endpoint().disabled)
    yield* fail(second, 2)
    assert.deepInclude(endpoint(), { disabled: true, pausedReason: "it has accepted nothing for 5 days" })
    yield* (yield* EndpointStore).update(id, { paused: false })
    yield* TestClock.adjust("1 millis")
    yield* fail(second, 119)
    assert.isUndefined(endpoint().disabled)
    yield* answer(second, 200)
    yield* fail(second, 119)
    assert.isUndefined(endpoint().disabled)
  }).pipe(Effect.provide(layer)))

it.effect("not at the first failure after the service itself was stopped for days", () =>
  Effect.gen(function*() {
    const { answer, endpoint, run, since } = yield* started()
    yield* Effect.scoped(Effect.flatMap(run, (fates) => Effect.andThen(answer(fates, 503), TestClock.adjust("1 minute"))))
    assert.isDefined(yield* since)
    yield* TestClock.adjust("6 days")
    const fates = yield* run
    yield* answer(fates, 503)
    yield* TestClock.adjust("9 minutes")
    yield* answer(fates, 503)
    yield* TestClock.adjust("1 minute")
    assert.isUndefined(endpoint().disabled)
    yield* answer(fates, 503)
    yield* TestClock.adjust("1 minute")
    assert.isTrue(endpoint().disabled)
  }).pipe(Effect.provide(layer)))

it.effect("never, where 0 is set; and not by an event a week that fails", () =>
  Effect.gen(function*() {
    for (const [after, step] of [[0, "1 hour"], [5 * DAY, "7 days"]] as const) {
      const { answer, endpoint, run } = yield* started(after)
      const fates = yield* run
      for (let n = 0; n < 200; n++) {
        yield* answer(fates, 503)
        yield* TestClock.adjust(step)
      }
      assert.isUndefined(endpoint().disabled)
    }
  }).pipe(Effect.provide(layer)))

it.effect("writes what changed at most once in ten seconds, and nothing for what is over by then", () =>
  Effect.gen(function*() {
    const { answer, run, since, writes } = yield* started()
    const fates = yield* run
    for (let n = 0; n < 100; n++) {
      yield* answer(fates, 500)
      yield* answer(fates, 200)
      yield* TestClock.adjust("1 seconds")
    }
    assert.strictEqual(writes(), 0)
    for (let n = 0; n < 60; n++) {
      yield* answer(fates, 500)
      yield* TestClock.adjust("1 seconds")
    }
    assert.strictEqual(writes(), 1)
    assert.isDefined(yield* since)
    yield* answer(fates, 200)
    yield* TestClock.adjust("10 seconds")
    assert.strictEqual(writes(), 2)
    assert.isUndefined(yield* since)
  }).pipe(Effect.provide(layer)))

it.effect("of an endpoint that ended nothing is written, nor is it disabled, by what was in flight", () =>
  Effect.gen(function*() {
    const { answer, end, run, since, told, writes } = yield* started()
    const fates = yield* run
    yield* answer(fates, 503)
    end()
    yield* TestClock.adjust("1 millis")
    const before = told.length
    for (const status of [503, 410]) yield* answer(fates, status)
    yield* TestClock.adjust("1 minute")
    assert.deepStrictEqual([writes(), yield* since, told.slice(before)], [0, undefined, []])
  }).pipe(Effect.provide(layer)))
