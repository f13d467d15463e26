/** The contract of `EndpointStore`, run once per implementation. Each test has an endpoint of its own. */
import { assert, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import type * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import * as Result from "effect/Result"
import { randomUUID } from "node:crypto"
import * as Sending from "../../src/domain/Sending.ts"
import * as Signature from "../../src/domain/Signature.ts"
import type { StreamId } from "../../src/domain/StreamId.ts"
import { type Endpoint, stateOf } from "../../src/domain/Subscription.ts"
import { Endpoints } from "../../src/services/Endpoints.ts"
import { EndpointStates } from "../../src/services/EndpointStates.ts"
import { EndpointStore } from "../../src/services/EndpointStore.ts"
import { SubscriptionStore } from "../../src/services/SubscriptionStore.ts"
import { eventually } from "../support/eventually.ts"

const subscribe = (url = `http://${randomUUID()}/`, table = "") =>
  Effect.flatMap(SubscriptionStore, (store) => store.subscribe({ url, schema: "", table }, []))

const contentOf = (endpoint: Endpoint | undefined): Sending.SendingContent =>
  endpoint?.sending === undefined ? Sending.empty : Redacted.value(endpoint.sending.content)

/** What the transport gets, soon after a change. */
const inForce = (id: string, passes: (endpoint: Endpoint) => boolean) =>
  Effect.gen(function*() {
    const endpoints = yield* Endpoints
    yield* endpoints.fetch(id)
    yield* eventually("the change is in force", Effect.sync(() => {
      const now = endpoints.get(id)
      return now !== undefined && passes(now)
    }))
    return endpoints.get(id)!
  })

const DAY_S = 86_400
const made = { secret: undefined, overlapSeconds: DAY_S }

export const suite = <E>(
  name: string,
  layer: Layer.Layer<EndpointStore | Endpoints | EndpointStates | SubscriptionStore, E>,
  defaultConcurrency: number,
  stream: StreamId = { systemIdentifier: "1", slotName: "s" }
) =>
  it.layer(layer, { timeout: "60 seconds", excludeTestServices: true })(`EndpointStore (${name})`, (it) => {
    it.effect("lists endpoints oldest first, as they are sent to", () =>
      Effect.gen(function*() {
        const store = yield* EndpointStore
        const [a, b] = [yield* subscribe(), yield* subscribe()]
        yield* subscribe(a.url, "t")
        const mine = (yield* store.list).filter(({ id }) => id === a.endpointId || id === b.endpointId)
        assert.deepStrictEqual(mine.map(({ url }) => url), [a.url, b.url])
        assert.deepStrictEqual(mine[0], {
          id: a.endpointId, url: a.url, order: "key", concurrency: defaultConcurrency, paused: false, pausedReason: undefined
        })
      }))

    it.effect("changes what is given and nothing else; it is in force soon", () =>
      Effect.gen(function*() {
        const store = yield* EndpointStore
        const { endpointId: id, url } = yield* subscribe()
        yield* store.update(id, { order: "total", concurrency: 3 })
        const paused = yield* store.update(id, { paused: true })
        assert.deepStrictEqual([paused?.paused, paused?.order, paused?.concurrency, paused?.url], [true, "total", 3, url])
        assert.isString(paused?.pausedReason)
        yield* inForce(id, (endpoint) => endpoint.paused && endpoint.order === "total" && endpoint.concurrency === 3)
        const resumed = yield* store.update(id, { paused: false, concurrency: null })
        assert.deepStrictEqual([resumed?.paused, resumed?.pausedReason, resumed?.concurrency], [false, undefined, defaultConcurrency])
        yield* inForce(id, (endpoint) => !endpoint.paused && endpoint.concurrency === defaultConcurrency)
      }))

    it.effect("keeps the rate, batches and compression; null takes a limit away", () =>
      Effect.gen(function*() {
        const store = yield* EndpointStore
        const { endpointId: id } = yield* subscribe()
        const batch = { maxEvents: 50, maxDelayMs: 200 }
        const limited = yield* store.update(id, { rate: 20, batch, gzip: true })
        assert.deepInclude(limited, { rate: 20, batch, gzip: true })
        yield* inForce(id, (endpoint) => endpoint.rate === 20 && endpoint.gzip === true && endpoint.batch?.maxEvents === 50)
        assert.deepInclude(yield* store.update(id, { order: "none" }), { rate: 20, batch, gzip: true })
        const free = yield* store.update(id, { rate: null, batch: null, gzip: false })
        assert.doesNotHaveAnyKeys(free, ["rate", "batch", "gzip"])
        yield* inForce(id, (endpoint) => endpoint.rate === undefined && endpoint.batch === undefined)
      }))

    it.effect("resuming ends whatever stopped it: paused, disabled, suspended", () =>
      Effect.gen(function*() {
        const store = yield* EndpointStore
        const states = yield* EndpointStates
        const { endpointId: id } = yield* subscribe()
        const look = Effect.map(store.list, (all) => all.find((endpoint) => endpoint.id === id)!)
        yield* states.setFailing(stream, new Map([[id, 1_000]]))
        yield* states.disable(stream, id, "HTTP 410")
        const disabled = yield* look
        assert.deepInclude(disabled, { paused: true, disabled: true, pausedReason: "HTTP 410" })
        assert.isNumber(disabled.stoppedAtMs)
        assert.strictEqual(stateOf(disabled), "disabled")
        yield* inForce(id, (endpoint) => endpoint.disabled === true)
        yield* store.update(id, { paused: true })
        assert.deepInclude(yield* look, { disabled: true, pausedReason: "HTTP 410" })
        yield* states.suspend(stream, id, "its budget is used up")
        assert.strictEqual(stateOf(yield* look), "suspended")
        const resumed = yield* store.update(id, { paused: false })
        assert.doesNotHaveAnyKeys(resumed, ["disabled", "suspended", "stoppedAtMs"])
        assert.deepInclude(resumed, { paused: false, pausedReason: undefined })
        yield* inForce(id, (endpoint) => !endpoint.paused && endpoint.disabled === undefined)
        assert.isFalse((yield* states.failing(stream)).has(id))
      }))

    it.effect("a new URL is that of all its subscriptions; one of another endpoint is refused", () =>
      Effect.gen(function*() {
        const store = yield* EndpointStore
        const subscriptions = yield* SubscriptionStore
        const first = yield* subscribe()
        const second = yield* subscribe(first.url, "t")
        const other = yield* subscribe()
        const url = `http://${randomUUID()}/`
        assert.strictEqual((yield* store.update(first.endpointId, { url }))?.url, url)
        const rows = (yield* subscriptions.list).filter((row) => row.endpointId === first.endpointId)
        assert.deepStrictEqual(rows.map((row) => [row.id, row.url]), [[first.id, url], [second.id, url]])
        yield* inForce(first.endpointId, (endpoint) => endpoint.url === url)
        const refused = yield* Effect.flip(store.update(first.endpointId, { url: other.url, order: "none" }))
        assert.deepInclude(refused, { _tag: "EndpointRefused", reason: "UrlTaken" })
        const after = (yield* store.list).find(({ id }) => id === first.endpointId)
        assert.deepStrictEqual([after?.url, after?.order], [url, "key"])
      }))

    it.effect("keeps headers, authorization and certificates, each replaced as a whole", () =>
      Effect.gen(function*() {
        const store = yield* EndpointStore
        const { endpointId: id } = yield* subscribe()
        const auth = { type: "bearer", token: "t0ken" } as const
        const client = { certificate: "cert", key: "key" }
        yield* store.update(id, { sending: { headers: { "X-A": "1", "X-B": "2" }, auth, ca: "ca", client } })
        const given = yield* inForce(id, (endpoint) => endpoint.sending !== undefined)
        assert.deepStrictEqual(contentOf(given), { secrets: [], headers: { "X-A": "1", "X-B": "2" }, auth, ca: "ca", client })
        const { secret } = (yield* store.rotateSecret(id, made))!
        yield* store.update(id, { sending: { headers: { "X-C": "3" }, auth: null } })
        const now = yield* inForce(id, (endpoint) => contentOf(endpoint).auth === null)
        assert.deepStrictEqual(contentOf(now), {
          secrets: [{ secret: Redacted.value(secret), expiresAtMs: null }], headers: { "X-C": "3" }, auth: null, ca: "ca", client
        })
        assert.notStrictEqual(now.sending?.version, given.sending?.version)
      }))

    it.effect("makes a secret or takes one; the one before counts for the overlap", () =>
      Effect.gen(function*() {
        const store = yield* EndpointStore
        const { endpointId: id, url } = yield* subscribe()
        const first = (yield* store.rotateSecret(id, made))!
        assert.strictEqual(first.url, url)
        assert.isUndefined(first.overlapUntilMs)
        assert.isTrue(Result.isSuccess(Signature.parseSecret(Redacted.value(first.secret))))
        const given = Redacted.make(Signature.formatSecret(Buffer.alloc(24, 7)))
        const before = Date.now()
        const second = (yield* store.rotateSecret(id, { secret: given, overlapSeconds: DAY_S }))!
        assert.isTrue(second.overlapUntilMs! >= before + DAY_S * 1_000 && second.overlapUntilMs! <= Date.now() + DAY_S * 1_000)
        const now = yield* inForce(id, (endpoint) => contentOf(endpoint).secrets.length === 2)
        assert.deepStrictEqual(contentOf(now).secrets, [
          { secret: Redacted.value(given), expiresAtMs: null }, { secret: Redacted.value(first.secret), expiresAtMs: second.overlapUntilMs! }
        ])
        const third = (yield* store.rotateSecret(id, { secret: undefined, overlapSeconds: 0 }))!
        assert.isUndefined(third.overlapUntilMs)
        yield* inForce(id, (endpoint) => contentOf(endpoint).secrets.length === 1)
        assert.notStrictEqual(Redacted.value(third.secret), Redacted.value(first.secret))
      }))

    it.effect("refuses more secrets than may count at once", () =>
      Effect.gen(function*() {
        const store = yield* EndpointStore
        const { endpointId: id } = yield* subscribe()
        for (let n = 0; n < Sending.MAX_SECRETS; n++) yield* store.rotateSecret(id, made)
        assert.deepInclude(yield* Effect.flip(store.rotateSecret(id, made)), { reason: "TooManySecrets" })
        assert.isDefined(yield* store.rotateSecret(id, { ...made, overlapSeconds: 0 }))
      }))

    it.effect("says so when there is no such endpoint", () =>
      Effect.gen(function*() {
        const store = yield* EndpointStore
        assert.isUndefined(yield* store.update(randomUUID(), { paused: true, sending: { headers: {} } }))
        assert.isUndefined(yield* store.rotateSecret(randomUUID(), made))
      }))
  })
