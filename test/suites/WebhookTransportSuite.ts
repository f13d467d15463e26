/**
 * The contract of `WebhookTransport`, run once per implementation. `receive` is what stands at the other end: the
 * suite says how each request is answered, and looks at what arrived.
 */
import { assert, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as Layer from "effect/Layer"
import * as Scope from "effect/Scope"
import type { AttemptResult } from "../../src/domain/Delivery.ts"
import type { Endpoint } from "../../src/domain/Subscription.ts"
import { type EndpointConnection, type OutgoingRequest, WebhookTransport } from "../../src/services/WebhookTransport.ts"
import { eventually } from "../support/eventually.ts"

export interface Arrived extends OutgoingRequest {
  /** Answers with the status and a body. */
  readonly answer: (status: number, body?: string) => void
}

export interface Harness {
  /** URL at which requests reach `arrived`. */
  readonly url: string
  /** In the order of arrival, over the whole life of the harness. */
  readonly arrived: ReadonlyArray<Arrived>
}

export const endpointAt = (url: string, concurrency = 16): Endpoint => ({
  id: "e-1", url, order: "key", concurrency, paused: false, pausedReason: undefined
})

export const requestOf = (id: string, body: Uint8Array = Buffer.from(`{"id":"${id}"}`)): OutgoingRequest => ({
  body, id, sequence: 7, endpointId: "e-1", epoch: "ab12"
})

/** Fails when `done` comes before `send` returned, or twice. */
export const attempt = (connection: EndpointConnection, request: OutgoingRequest): Effect.Effect<AttemptResult> =>
  Effect.callback((resume) => {
    let state: "sending" | "sent" | "done" = "sending"
    connection.send(request, (result) => {
      if (state !== "sent") return resume(Effect.die(new Error(`done while ${state}`)))
      state = "done"
      resume(Effect.succeed(result))
    })
    state = "sent"
  })

const arrivedWith = (harness: Harness, id: string) => harness.arrived.filter((request) => request.id === id)

const arrival = (harness: Harness, id: string) =>
  Effect.as(
    eventually(`${id} arrived`, Effect.sync(() => arrivedWith(harness, id).length > 0)), undefined
  ).pipe(Effect.map(() => arrivedWith(harness, id)[0]!))

export const suite = <E>(name: string, harness: Harness, layer: Layer.Layer<WebhookTransport, E>) =>
  it.layer(layer, { timeout: "30 seconds", excludeTestServices: true })(`WebhookTransport (${name})`, (it) => {
    const answered = Effect.fnUntraced(function*(id: string, status: number, body?: string) {
      const connection = yield* (yield* WebhookTransport).open(endpointAt(harness.url))
      const [result] = yield* Effect.all([
        attempt(connection, requestOf(id)),
        Effect.map(arrival(harness, id), (request) => request.answer(status, body))
      ], { concurrency: "unbounded" })
      return result
    })

    it.effect("brings the body byte by byte, with id, number, endpoint and epoch", () =>
      Effect.gen(function*() {
        const body = Buffer.concat([Buffer.from(`{"x":"ü \\u0000`), Buffer.from([0xf0, 0x9f, 0x98, 0x80]), Buffer.from(`"}`)])
        const connection = yield* (yield* WebhookTransport).open(endpointAt(harness.url))
        yield* Effect.all([
          attempt(connection, requestOf("bytes", body)),
          Effect.map(arrival(harness, "bytes"), (request) => request.answer(200))
        ], { concurrency: "unbounded" })
        const { answer: _, ...request } = yield* arrival(harness, "bytes")
        assert.deepStrictEqual({ ...request, body: Buffer.from(request.body).toString("hex") }, {
          body: body.toString("hex"), id: "bytes", sequence: 7, endpointId: "e-1", epoch: "ab12"
        })
      }).pipe(Effect.scoped))

    it.effect("any 2xx is Accepted, anything else Refused", () =>
      Effect.gen(function*() {
        for (const status of [200, 201, 202, 204, 299]) {
          assert.deepStrictEqual(yield* answered(`ok ${status}`, status), { _tag: "Accepted", status })
        }
        for (const status of [300, 302, 400, 404, 409, 410, 429, 500, 503]) {
          const result = yield* answered(`no ${status}`, status, "because")
          assert.deepStrictEqual(result, { _tag: "Refused", status, retryAfterMs: undefined, bodyStart: "because" })
        }
      }).pipe(Effect.scoped))

    it.effect("sends as many at once as it is given, and ends each once, in any order", () =>
      Effect.gen(function*() {
        const connection = yield* (yield* WebhookTransport).open(endpointAt(harness.url))
        const ids = Array.from({ length: 16 }, (_, n) => `many ${n}`)
        const answers = Effect.gen(function*() {
          for (const id of ids) yield* arrival(harness, id)
          for (const [n, id] of ids.toReversed().entries()) (yield* arrival(harness, id)).answer(200 + n)
        })
        const [results] = yield* Effect.all([
          Effect.all(ids.map((id) => attempt(connection, requestOf(id))), { concurrency: "unbounded" }),
          answers
        ], { concurrency: "unbounded" })
        assert.deepStrictEqual(results, ids.map((_, n) => ({ _tag: "Accepted", status: 215 - n })))
      }).pipe(Effect.scoped))

    it.effect("a completion may send the next request at once", () =>
      Effect.gen(function*() {
        const connection = yield* (yield* WebhookTransport).open(endpointAt(harness.url))
        const chain = Effect.callback<number>((resume) => {
          const next = (n: number): void =>
            connection.send(requestOf(`chain ${n}`), () => (n === 4 ? resume(Effect.succeed(n)) : next(n + 1)))
          next(0)
        })
        const answers = Effect.forEach([0, 1, 2, 3, 4], (n) => Effect.map(arrival(harness, `chain ${n}`), (request) => request.answer(200)))
        const [last] = yield* Effect.all([chain, answers], { concurrency: "unbounded" })
        assert.strictEqual(last, 4)
        for (const n of [0, 1, 2, 3, 4]) assert.strictEqual(arrivedWith(harness, `chain ${n}`).length, 1)
      }).pipe(Effect.scoped))

    it.effect("with the scope, what is in flight ends with NoAnswer, and so does what is sent after it", () =>
      Effect.gen(function*() {
        const scope = yield* Scope.make()
        const connection = yield* (yield* WebhookTransport).open(endpointAt(harness.url)).pipe(Scope.provide(scope))
        const ended = Effect.andThen(arrival(harness, "cut"), Scope.close(scope, Exit.void))
        const [result] = yield* Effect.all([attempt(connection, requestOf("cut")), ended], { concurrency: "unbounded" })
        assert.deepStrictEqual(result, { _tag: "NoAnswer", reason: "stopped" })
        assert.deepStrictEqual(yield* attempt(connection, requestOf("late")), { _tag: "NoAnswer", reason: "stopped" })
        assert.deepStrictEqual(arrivedWith(harness, "late"), [])
      }))
  })
