/** Who may use the API and for what, and how much of it anybody can hold: against the real server, on stores in memory. */
import { assert, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Queue from "effect/Queue"
import * as Redacted from "effect/Redacted"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import { readFileSync } from "node:fs"
import { connect, type Socket } from "node:net"
import { routes } from "../../src/layers/http/ApiRoutes.ts"
import { WebhookTables } from "../../src/layers/memory/WebhookTables.ts"
import { AddressGuard, AddressRefused } from "../../src/services/AddressGuard.ts"
import { ApiTokens, ApiTokensError, hashOf } from "../../src/services/ApiTokens.ts"
import { AuditLog } from "../../src/services/Audit.ts"
import { EndpointTests } from "../../src/services/EndpointTests.ts"
import { type ApiSettings, type ApiSettingsShape, SubscriptionSettings } from "../../src/services/Settings.ts"
import { type Answer, memory, settingsLayer, startApi } from "../support/api.ts"
import { eventually } from "../support/eventually.ts"

type Needs = Layer.Success<typeof memory> | ApiSettings | Scope.Scope

const api = <E>(name: string, test: Effect.Effect<void, E, Needs>, settings: Partial<ApiSettingsShape> = {}) =>
  it.live(name, () => test.pipe(Effect.scoped, Effect.provide(Layer.mergeAll(memory, settingsLayer(settings)))))

const HOOK = "http://u:p4ss@h.example/x?key=s3cret"

const isProblem = (answer: Answer, status: number, code: string): void => {
  assert.strictEqual(answer.status, status, answer.text)
  assert.strictEqual(answer.headers["content-type"], "application/problem+json")
  assert.deepInclude(answer.json, { status, code })
  assert.match(readFileSync("docs/errors.md", "utf8"), new RegExp(`^## ${code}$`, "m"))
}

const made = Effect.fnUntraced(function*(name: string, scope: "read" | "manage", expiresAtMs?: number) {
  const { secret } = yield* (yield* ApiTokens).add({ name, scope, expiresAtMs })
  return { authorization: `Bearer ${Redacted.value(secret)}` }
})

/** Every route that changes something, with ids that are there. */
const changing = (ids: { readonly endpoint: string; readonly subscription: string }) =>
  routes.flatMap(({ methods, template }) =>
    methods.filter((method) => method !== "GET" && method !== "HEAD").map((method) => ({
      method,
      path: template.replace(/^(\/webhooks\/endpoints\/)\{id\}/, `$1${ids.endpoint}`)
        .replace(/^(\/webhooks\/subscriptions\/)\{id\}/, `$1${ids.subscription}`).replaceAll(/\{\w+\}/g, "x")
    })))

const subscribed = Effect.fnUntraced(function*(post: (path: string, body: unknown, headers?: Record<string, string>) => Effect.Effect<Answer>) {
  const { json } = yield* post("/webhooks/subscribe", { url: HOOK })
  return { endpoint: String(json["endpoint_id"]), subscription: String(json["id"]) }
})

api("as soon as there is a named token every request needs one, and none when the last was removed", Effect.gen(function*() {
  const { get, post } = yield* startApi
  const status = (headers: Record<string, string> = {}) =>
    Effect.map(get("/webhooks/subscriptions", { headers }), (answer) => answer.status)
  assert.strictEqual(yield* status(), 200)
  const manage = yield* made("ci", "manage")
  yield* eventually("a token is needed", Effect.map(status(), (code) => code === 401))
  assert.strictEqual(yield* status(manage), 200)
  isProblem(yield* get("/webhooks/subscriptions", { headers: { authorization: "Bearer pgstream_x" } }), 401, "Unauthorized")
  for (const path of ["/docs", "/openapi.json", "/nowhere"]) assert.strictEqual((yield* get(path)).status, 401)
  assert.strictEqual((yield* post("/webhooks/subscribe", { url: HOOK }, manage)).status, 201)
  yield* (yield* ApiTokens).remove("ci")
  yield* eventually("no token is needed", Effect.map(status(), (code) => code === 200))
  assert.strictEqual(yield* status(manage), 200)
}))

api("a removed token is refused, an expired one says so, and the configured one stays", Effect.gen(function*() {
  const { get } = yield* startApi
  const status = (headers: Record<string, string>) => Effect.map(get("/webhooks/subscriptions", { headers }), (answer) => answer.status)
  const [kept, removed, expired] = [yield* made("kept", "read"), yield* made("removed", "manage"), yield* made("expired", "manage", Date.now() + 1)]
  yield* eventually("both are in force", Effect.map(status(removed), (code) => code === 200))
  yield* (yield* ApiTokens).remove("removed")
  yield* eventually("it is refused", Effect.map(status(removed), (code) => code === 401))
  assert.include((yield* get("/webhooks/subscriptions", { headers: expired })).text, "expired")
  assert.strictEqual(yield* status(kept), 200)
  assert.strictEqual(yield* status({ authorization: "Bearer configured" }), 200)
}), { token: Redacted.make("configured") })

api("the last day of use is noted", Effect.gen(function*() {
  const { get } = yield* startApi
  const headers = yield* made("used", "read")
  yield* eventually("it is in force", Effect.map(get("/webhooks/subscriptions", { headers }), ({ status }) => status === 200))
  const today = new Date().toISOString().slice(0, 10)
  const days = Effect.map(Effect.flatMap(ApiTokens, (store) => store.list), (all) => all.map(({ lastUsedOn }) => lastUsedOn ?? ""))
  yield* eventually("it is noted", Effect.map(days.pipe(Effect.orDie), ([day]) => (day ?? "") >= today))
}))

api("read lists and shows, without query and userinfo, and changes nothing", Effect.gen(function*() {
  const { get, post } = yield* startApi
  const ids = yield* subscribed(post)
  const [read, manage] = [yield* made("r", "read"), yield* made("m", "manage")]
  const asked = (path: string, headers: Record<string, string>) => get(path, { headers })
  yield* eventually("both are in force", Effect.map(asked("/webhooks/endpoints", read), ({ status }) => status === 200))
  const paths = ["/webhooks/subscriptions", `/webhooks/subscriptions/${ids.subscription}`, "/webhooks/endpoints", `/webhooks/endpoints/${ids.endpoint}`]
  for (const path of paths) {
    const [seen, all] = [yield* asked(path, read), yield* asked(path, manage)]
    assert.deepStrictEqual([seen.status, all.status], [200, 200], path)
    assert.include(seen.text, "http://h.example/x")
    assert.notMatch(seen.text, /s3cret|p4ss|\*\*\*/)
    assert.include(all.text, "key=s3cret")
    assert.notInclude(all.text, "p4ss")
  }
  for (const { method, path } of changing(ids)) {
    const answer = yield* get(path, { method, headers: { ...read, "content-type": "application/json" }, body: "{}" })
    isProblem(answer, 403, "ScopeTooSmall")
    assert.include(answer.text, "token r ")
  }
  assert.strictEqual((yield* WebhookTables).subscriptions.size, 1)
}))

api("no route that changes something takes a form, a foreign page, or a name that was bound anew", Effect.gen(function*() {
  const { get, port, post } = yield* startApi
  const ids = yield* subscribed(post)
  const body = JSON.stringify({ url: "http://evil.example/" })
  const all = changing(ids)
  assert.includeMembers(all.map(({ method }) => method), ["POST", "PATCH", "DELETE"])
  for (const { method, path } of all) {
    const json = { "content-type": "application/json" }
    const attempts: ReadonlyArray<readonly [headers: Record<string, string>, status: number, code: string]> = [
      [{ ...json, origin: "http://evil.example" }, 403, "NotAllowed"],
      [{ ...json, origin: "null" }, 403, "NotAllowed"],
      [{ ...json, host: `evil.example:${port}` }, 403, "NotAllowed"],
      [{ ...json, host: `evil.example:${port}`, origin: `http://evil.example:${port}` }, 403, "NotAllowed"],
      ...method === "DELETE" ? [] : ["application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "text/plain"].map((type) =>
        [{ "content-type": type }, 415, "NotJson"] as const)
    ]
    for (const [headers, status, code] of attempts) {
      const answer = yield* get(path, { method, headers, ...(method === "DELETE" ? {} : { body }) })
      isProblem(answer, status, code)
      assert.deepStrictEqual(Object.keys(answer.headers).filter((name) => name.startsWith("access-control-")), [])
    }
    const preflight = yield* get(path, { method: "OPTIONS", headers: { origin: `http://localhost:${port}`, "access-control-request-method": method } })
    assert.isAtLeast(preflight.status, 400)
  }
  assert.deepStrictEqual([...(yield* WebhookTables).subscriptions.values()].map(({ url }) => url), [HOOK])
}))

api("no page can frame it, or take an answer for something else", Effect.gen(function*() {
  const { get } = yield* startApi
  for (const path of ["/docs", "/openapi.json", "/webhooks/subscriptions", "/nowhere"]) {
    const { headers } = yield* get(path)
    assert.deepInclude(headers, {
      "content-security-policy": "frame-ancestors 'none'", "x-frame-options": "DENY", "x-content-type-options": "nosniff",
      "cross-origin-resource-policy": "same-origin", "cache-control": "no-store"
    })
  }
}))

const statusOf = (get: (path: string, asking: { readonly headers: Record<string, string> }) => Effect.Effect<Answer>) =>
  (host: string, origin?: string) =>
    Effect.map(get("/webhooks/subscriptions", { headers: { host, ...(origin === undefined ? {} : { origin }) } }), ({ status }) => status)

api("on loopback, a name of PGSTREAM_API_HOSTS is taken too, with its own pages, and no other", Effect.gen(function*() {
  const status = statusOf((yield* startApi).get)
  assert.strictEqual(yield* status("api.example.com"), 200)
  assert.strictEqual(yield* status("API.example.com:443", "https://api.example.com:443"), 403)
  assert.strictEqual(yield* status("api.example.com", "https://api.example.com"), 200)
  for (const host of ["evil.example", "x.api.example.com", "api.example.com.evil.example", "10.0.0.1"]) assert.strictEqual(yield* status(host), 403, host)
}), { hosts: ["api.example.com"] })

api("beyond loopback, names of PGSTREAM_API_HOSTS are the only ones", Effect.gen(function*() {
  const status = statusOf((yield* startApi).get)
  for (const host of ["api.example.com:9900", "localhost", "10.0.0.1:9900", "[::1]"]) assert.strictEqual(yield* status(host), 200, host)
  assert.strictEqual(yield* status("evil.example"), 403)
}), { host: "0.0.0.0", hosts: ["api.example.com"] })

const unreadable = (operation: "list") => new ApiTokensError({ operation, unavailable: true, cause: new Error("away") })

api("a store that is away keeps the tokens that were read last", Effect.gen(function*() {
  let away = false
  let asked = 0
  const hints = yield* Queue.unbounded<void>()
  const token = { name: "a", scope: "manage" as const, createdAtMs: 0, expiresAtMs: undefined, lastUsedOn: undefined, hash: hashOf("known") }
  const store = Layer.mock(ApiTokens, {
    list: Effect.suspend(() => {
      asked++
      return away ? Effect.fail(unreadable("list")) : Effect.succeed([token])
    }),
    used: () => Effect.void,
    hints: Stream.fromQueue(hints)
  })
  const { get } = yield* startApi.pipe(Effect.provide(store))
  away = true
  const before = asked
  yield* Queue.offer(hints, undefined)
  yield* eventually("it was asked again, in vain", Effect.sync(() => asked > before))
  assert.strictEqual((yield* get("/webhooks/subscriptions", { headers: { authorization: "Bearer known" } })).status, 200)
  assert.strictEqual((yield* get("/webhooks/subscriptions")).status, 401)
}))

api("until the store has said which tokens there are, nobody is let in without the configured one", Effect.gen(function*() {
  const store = Layer.mock(ApiTokens, { list: Effect.fail(unreadable("list")), hints: Stream.never, used: () => Effect.void })
  const { get } = yield* startApi.pipe(Effect.provide(store))
  const answer = yield* get("/webhooks/subscriptions")
  isProblem(answer, 503, "StoreUnavailable")
  assert.isString(answer.headers["retry-after"])
}))

api("a head of more than 16 KiB is 431; many small headers hide no Origin", Effect.gen(function*() {
  const { port } = yield* startApi
  const raw = (lines: ReadonlyArray<string>) =>
    Effect.callback<string>((resume) => {
      let text = ""
      const socket = connect(port, "127.0.0.1", () => socket.write([...lines, "connection: close", "", ""].join("\r\n")))
      socket.on("data", (part) => (text += part.toString("latin1"))).on("error", () => undefined)
      socket.on("close", () => resume(Effect.succeed(text)))
    })
  const start = ["GET /webhooks/subscriptions HTTP/1.1", "host: localhost"]
  assert.match(yield* raw([...start, `x: ${"y".repeat(17_000)}`]), /^HTTP\/1\.1 431 /)
  const many = Array.from({ length: 2_400 }, () => "a:b")
  assert.match(yield* raw([...start, ...many]), /^HTTP\/1\.1 200 /)
  assert.match(yield* raw([...start, ...many, "origin: http://evil.example"]), /^HTTP\/1\.1 403 /)
}))

api("256 connections are held, a further one is closed, and a silent one does not keep its place", Effect.gen(function*() {
  const { get, port } = yield* startApi
  const open = Effect.acquireRelease(
    Effect.callback<Socket>((resume) => {
      const socket = connect(port, "127.0.0.1", () => resume(Effect.succeed(socket)))
      socket.on("error", () => undefined).resume()
    }),
    (socket) => Effect.sync(() => socket.destroy())
  )
  const sockets = yield* Effect.all(Array.from({ length: 256 }, () => open))
  const further = yield* open
  yield* eventually("the further one was closed", Effect.sync(() => further.closed))
  assert.deepStrictEqual(sockets.filter((socket) => socket.closed), [])
  yield* eventually("the silent ones were cut off", Effect.sync(() => sockets.every((socket) => socket.closed)))
  assert.strictEqual((yield* get("/webhooks/subscriptions")).status, 200)
}), { readTimeoutMs: 1_000 })

api("one more subscription than is allowed is 409, and names the key", Effect.gen(function*() {
  const { post } = yield* startApi
  const full = yield* post("/webhooks/subscribe", { url: HOOK }).pipe(Effect.andThen(post("/webhooks/subscribe", { url: HOOK, table: "t" })))
  isProblem(full, 409, "TooManySubscriptions")
  assert.include(full.text, "PGSTREAM_WEBHOOK_SUBSCRIPTION_MAX")
  assert.strictEqual((yield* post("/webhooks/subscribe", { url: HOOK, event_types: ["I"] })).status, 201)
}).pipe(Effect.provide(Layer.fresh(memory).pipe(Layer.provide(Layer.succeed(SubscriptionSettings, { max: 1 }))))))

api("an address that nothing is sent to is 400, at subscribe and at a change of the URL", Effect.gen(function*() {
  const guard = Layer.succeed(AddressGuard, {
    on: true,
    check: (url: string) => url.includes("169.254") ? Effect.fail(new AddressRefused({ host: "169.254.169.254", found: "metadata" })) : Effect.void
  })
  const { get, post } = yield* startApi.pipe(Effect.provide(guard))
  const ids = yield* subscribed(post)
  const patch = (url: string) => get(`/webhooks/endpoints/${ids.endpoint}`, { method: "PATCH", headers: { "content-type": "application/json" }, body: JSON.stringify({ url }) })
  for (const answer of [yield* post("/webhooks/subscribe", { url: "http://169.254.169.254/x?t=s3cret" }), yield* patch("http://169.254.169.254/x?t=s3cret")]) {
    isProblem(answer, 400, "AddressNotAllowed")
    assert.include(answer.text, "PGSTREAM_WEBHOOK_ALLOWED_HOSTS")
    assert.notInclude(answer.text, "s3cret")
  }
  assert.deepStrictEqual([...(yield* WebhookTables).subscriptions.values()].map(({ url }) => url), [HOOK])
}))

api("a subscription is shown, changed and removed by its id, an endpoint is tested", Effect.gen(function*() {
  const { get, post } = yield* startApi
  const ids = yield* subscribed(post)
  const at = `/webhooks/subscriptions/${ids.subscription}`
  const patch = (body: unknown) => get(at, { method: "PATCH", headers: { "content-type": "application/json" }, body: JSON.stringify(body) })
  assert.deepInclude((yield* get(at)).json, { id: ids.subscription, event_types: [] })
  assert.deepInclude((yield* patch({ event_types: ["I", "I", "D"] })).json, { id: ids.subscription, event_types: ["I", "D"] })
  for (const body of [{}, { event_types: null }, { event_types: ["x"] }, { url: "http://x/" }]) isProblem(yield* patch(body), 400, "InvalidRequest")
  const tested = yield* post(`/webhooks/endpoints/${ids.endpoint}/test`, {})
  assert.deepInclude(tested.json, { endpoint_id: ids.endpoint, accepted: true, status: 204, reason: null })
  assert.match(String(tested.json["id"]), /^test-/)
  const removed = yield* get(at, { method: "DELETE" })
  assert.deepInclude(removed.json, { id: ids.subscription, endpoint_ended: true, withdrawn: 0 })
  isProblem(yield* get(at), 404, "NoSuchSubscription")
  isProblem(yield* get(at, { method: "DELETE" }), 404, "NoSuchSubscription")
  isProblem(yield* patch({ event_types: [] }), 404, "NoSuchSubscription")
  isProblem(yield* get("/webhooks/subscriptions/nonsense", { method: "DELETE" }), 404, "NoSuchSubscription")
}))

api("one audit line for each change: who, what, to which host, and no more", Effect.gen(function*() {
  const lines: Array<Readonly<Record<string, string | number | boolean>>> = []
  const { get, post } = yield* startApi.pipe(Effect.provideService(AuditLog, { write: (line) => Effect.sync(() => void lines.push(line)) }))
  const ids = yield* subscribed(post)
  assert.deepStrictEqual(lines.splice(0), [
    { audit: "subscribe", who: "local", host: "h.example", subscriptionId: ids.subscription, endpointId: ids.endpoint }
  ])
  const manage = yield* made("ops", "manage")
  yield* eventually("it is in force", Effect.map(get("/webhooks/endpoints"), ({ status }) => status === 401))
  const json = { ...manage, "content-type": "application/json" }
  const patch = (path: string, body: unknown) => get(path, { method: "PATCH", headers: json, body: JSON.stringify(body) })
  yield* patch(`/webhooks/endpoints/${ids.endpoint}`, { url: "https://t:p4ss@other.example:8443/y?z=s3cret", headers: { "x-a": "h3ader" } })
  yield* patch(`/webhooks/subscriptions/${ids.subscription}`, { event_types: ["I"] })
  yield* post(`/webhooks/endpoints/${ids.endpoint}/rotate-secret`, {}, manage)
  yield* post(`/webhooks/endpoints/${ids.endpoint}/test`, {}, manage)
  yield* get(`/webhooks/subscriptions/${ids.subscription}`, { method: "DELETE", headers: manage })
  const host = "other.example:8443"
  assert.deepStrictEqual(lines, [
    { audit: "endpoint.update", who: "ops", host, endpointId: ids.endpoint, changed: "url, headers" },
    { audit: "subscription.update", who: "ops", host, subscriptionId: ids.subscription },
    { audit: "endpoint.rotate-secret", who: "ops", host, endpointId: ids.endpoint },
    { audit: "endpoint.test", who: "ops", host, endpointId: ids.endpoint },
    { audit: "unsubscribe", who: "ops", host, subscriptionId: ids.subscription, endpointId: ids.endpoint }
  ])
  for (const refused of [yield* post("/webhooks/subscribe", { url: HOOK }), yield* post("/webhooks/subscribe", { url: "x" }, manage)]) {
    assert.isAtLeast(refused.status, 400)
  }
  assert.strictEqual(lines.length, 5)
  assert.notMatch(JSON.stringify(lines), /p4ss|s3cret|h3ader|whsec_|pgstream_/)
}))

api("a test shows nothing of the receiver but its status", Effect.gen(function*() {
  const tests = Layer.mock(EndpointTests, {
    send: () => Effect.succeed({ id: "test-1", accepted: false, status: 500, reason: "answered 500", tookMs: 3 })
  })
  const { post } = yield* startApi.pipe(Effect.provide(tests))
  const ids = yield* subscribed(post)
  assert.deepStrictEqual((yield* post(`/webhooks/endpoints/${ids.endpoint}/test`, {})).json, {
    endpoint_id: ids.endpoint, id: "test-1", accepted: false, status: 500, reason: "answered 500", took_ms: 3
  })
}))
