/** The contract of `Endpoints`, run once per implementation. Each test has an endpoint of its own. */
import { assert, it } from "@effect/vitest"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import type * as Layer from "effect/Layer"
import * as Stream from "effect/Stream"
import { randomUUID } from "node:crypto"
import type { Endpoint, EndpointId } from "../../src/domain/Subscription.ts"
import { Endpoints } from "../../src/services/Endpoints.ts"
import { SubscriptionStore } from "../../src/services/SubscriptionStore.ts"

/** What an operator does: the suite's hand on the store under it. */
export class Operator extends Context.Service<Operator, {
  edit(id: EndpointId, change: Partial<Omit<Endpoint, "id">>): Effect.Effect<void>
}>()("test/suites/Operator") {}

const subscribe = Effect.gen(function*() {
  const key = { url: `http://${randomUUID()}/`, schema: "", table: "" }
  const row = yield* (yield* SubscriptionStore).subscribe(key, [])
  return { key, id: row.endpointId }
})

/** The first change of `id` that passes. */
const change = (id: EndpointId, passes: (endpoint: Endpoint | undefined) => boolean) =>
  Effect.gen(function*() {
    const { changes } = yield* Endpoints
    return yield* changes.pipe(Stream.filter((c) => c.id === id && passes(c.endpoint)), Stream.runHead)
  })

export const suite = <E>(name: string, layer: Layer.Layer<Endpoints | SubscriptionStore | Operator, E>, defaultConcurrency: number) =>
  it.layer(layer, { timeout: "60 seconds", excludeTestServices: true })(`Endpoints (${name})`, (it) => {
    it.effect("fetches a new endpoint with the defaults, and knows it from then on", () =>
      Effect.gen(function*() {
        const endpoints = yield* Endpoints
        const { id, key } = yield* subscribe
        const endpoint = yield* endpoints.fetch(id)
        assert.deepStrictEqual(endpoint, { id, url: key.url, order: "key", concurrency: defaultConcurrency, paused: false, pausedReason: undefined })
        assert.deepStrictEqual(endpoints.get(id), endpoint)
      }))

    it.effect("knows nothing of an endpoint that is not there", () =>
      Effect.gen(function*() {
        const endpoints = yield* Endpoints
        const id = randomUUID()
        assert.isUndefined(endpoints.get(id))
        assert.isUndefined(yield* endpoints.fetch(id))
      }))

    it.effect("tells of a change soon, and `get` follows", () =>
      Effect.gen(function*() {
        const endpoints = yield* Endpoints
        const operator = yield* Operator
        const { id } = yield* subscribe
        yield* endpoints.fetch(id)
        const paused = yield* Effect.forkChild(change(id, (endpoint) => endpoint?.paused === true))
        yield* operator.edit(id, { paused: true, pausedReason: "a copy" })
        yield* Fiber.join(paused)
        assert.deepStrictEqual([endpoints.get(id)?.paused, endpoints.get(id)?.pausedReason], [true, "a copy"])
        const resumed = yield* Effect.forkChild(change(id, (endpoint) => endpoint?.paused === false && endpoint.order === "total"))
        yield* operator.edit(id, { paused: false, pausedReason: undefined, order: "total", concurrency: 3, url: "http://elsewhere/" })
        yield* Fiber.join(resumed)
        assert.deepStrictEqual(endpoints.get(id), { id, url: "http://elsewhere/", order: "total", concurrency: 3, paused: false, pausedReason: undefined })
      }))

    it.effect("a change before the subscription to changes is not missed", () =>
      Effect.gen(function*() {
        const endpoints = yield* Endpoints
        const operator = yield* Operator
        const { id } = yield* subscribe
        yield* endpoints.fetch(id)
        yield* operator.edit(id, { paused: true, pausedReason: "early" })
        yield* endpoints.fetch(id)
        yield* change(id, (endpoint) => endpoint?.pausedReason === "early")
      }))

    it.effect("tells that an endpoint went", () =>
      Effect.gen(function*() {
        const endpoints = yield* Endpoints
        const { id, key } = yield* subscribe
        yield* endpoints.fetch(id)
        const gone = yield* Effect.forkChild(change(id, (endpoint) => endpoint === undefined))
        yield* Effect.yieldNow
        yield* (yield* SubscriptionStore).unsubscribe(key)
        yield* Fiber.join(gone)
        assert.isUndefined(endpoints.get(id))
      }))
  })
