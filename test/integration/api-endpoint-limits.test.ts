/** Rate, batches, compression and the state of an endpoint over HTTP, on stores in memory. */
import { assert, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { WebhookTables } from "../../src/layers/memory/WebhookTables.ts"
import { type Answer, memory, settingsLayer, startApi } from "../support/api.ts"

const started = Effect.gen(function*() {
  const { get, post } = yield* startApi
  const tables = yield* WebhookTables
  const created = yield* post("/webhooks/subscribe", { url: "http://h.example/x" })
  const id = String(created.json["endpoint_id"])
  const patch = (body: unknown) =>
    get(`/webhooks/endpoints/${id}`, { method: "PATCH", headers: { "content-type": "application/json" }, body: JSON.stringify(body) })
  return { patch, put: (change: object) => tables.putEndpoint({ ...tables.endpoints.get(id)!, ...change }), get, id }
})

const problemsOf = (answer: Answer) =>
  (answer.json["errors"] as ReadonlyArray<{ readonly field: string; readonly problem: string }>).map(({ field, problem }) => `${field} ${problem}`)

const provided = Effect.provide(Layer.mergeAll(memory, settingsLayer()))

it.live("takes limits, shows them, and takes them away", () =>
  Effect.gen(function*() {
    const { get, patch } = yield* started
    const limits = { rate: 50, batch: { max_events: 100, max_delay_ms: 250 }, gzip: true }
    assert.deepInclude((yield* patch(limits)).json, limits)
    assert.deepInclude((yield* patch({ order: "none" })).json, limits)
    const [listed] = (yield* get("/webhooks/endpoints")).json["endpoints"] as ReadonlyArray<object>
    assert.deepInclude(listed, limits)
    assert.deepInclude((yield* patch({ rate: null, batch: null, gzip: false })).json, { rate: null, batch: null, gzip: false })
  }).pipe(Effect.scoped, provided))

it.live("names each field that cannot be used", () =>
  Effect.gen(function*() {
    const { patch } = yield* started
    for (const [body, problem] of [
      [{ rate: 0 }, "rate must be a whole number from 1 to 100000, or null: no limit"],
      [{ rate: 1.5 }, "rate must be a whole number from 1 to 100000, or null: no limit"],
      [{ gzip: null }, "gzip must be true or false"],
      [{ batch: { max_events: 1, max_delay_ms: 0 } }, "batch.max_events must be a whole number from 2 to 1000"],
      [{ batch: { max_events: 10, max_delay_ms: 10_001 } }, "batch.max_delay_ms must be a whole number from 0 to 10000"],
      [{ batch: { max_events: 10 } }, "batch.max_delay_ms is missing: how long the first event of a batch waits for more, ms"],
      [{ batch: { max_events: 10, max_delay_ms: 0, size: 1 } }, "batch.size is not known. Known are max_events and max_delay_ms"],
      [{ rate: "fast" }, "rate must be a whole number, or null"],
      [{ auth: "Bearer" }, "auth must be an object such as {\"type\": \"bearer\", \"token\": \"…\"}, or null"],
      [{ batch: 10 }, "batch must be an object {\"max_events\": 100, \"max_delay_ms\": 500}, or null"]
    ] as const) {
      const answer = yield* patch(body)
      assert.strictEqual(answer.status, 400, JSON.stringify(body))
      assert.deepStrictEqual(problemsOf(answer), [problem])
    }
  }).pipe(Effect.scoped, provided))

it.live("shows what stopped an endpoint, since when and why; paused false resumes it", () =>
  Effect.gen(function*() {
    const { get, id, patch, put } = yield* started
    const look = Effect.map(get(`/webhooks/endpoints/${id}`), ({ json }) => json)
    assert.deepInclude(yield* look, { state: "active", paused: false })
    put({ paused: true, pausedReason: "its receiver answered 410 Gone", disabled: true, stoppedAtMs: 1_790_000_000_000 })
    assert.deepInclude(yield* look, {
      state: "disabled", paused: true, paused_reason: "its receiver answered 410 Gone", state_since: "2026-09-21T14:13:20.000Z"
    })
    put({ suspended: true, pausedReason: "10 GiB wait" })
    assert.deepInclude(yield* look, { state: "suspended", paused_reason: "10 GiB wait" })
    const resumed = (yield* patch({ paused: false })).json
    assert.deepInclude(resumed, { state: "active", paused: false })
    assert.doesNotHaveAnyKeys(resumed, ["paused_reason", "state_since"])
    put({ paused: true, pausedReason: "its secrets do not open: …", unreadable: true })
    assert.deepInclude(yield* look, { state: "paused", secrets_unreadable: true })
  }).pipe(Effect.scoped, provided))
