/** The subscription API over HTTP, on stores in memory: what it does, and what it refuses. */
import { assert, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import type * as Scope from "effect/Scope"
import { exec } from "node:child_process"
import { readFileSync } from "node:fs"
import { connect } from "node:net"
import { promisify } from "node:util"
import * as ApiServer from "../../src/layers/http/ApiServer.ts"
import { WebhookTables } from "../../src/layers/memory/WebhookTables.ts"
import { StreamBehind } from "../../src/services/StreamBehind.ts"
import type { ApiSettings, ApiSettingsShape } from "../../src/services/Settings.ts"
import { type SubscriptionKey, SubscriptionStore, SubscriptionStoreError } from "../../src/services/SubscriptionStore.ts"
import { Withdrawals } from "../../src/services/Withdrawals.ts"
import { type Answer, memory, settingsLayer, startApi } from "../support/api.ts"
import { eventually } from "../support/eventually.ts"

type Needs = Layer.Success<typeof memory> | ApiSettings | Scope.Scope

const api = <E>(name: string, test: Effect.Effect<void, E, Needs>, settings: Partial<ApiSettingsShape> = {}) =>
  it.live(name, () => test.pipe(Effect.scoped, Effect.provide(Layer.mergeAll(memory, settingsLayer(settings)))))

const URL_1 = "http://localhost:9910/webhook"

const isProblem = (answer: Answer, status: number, code: string): void => {
  assert.strictEqual(answer.status, status, answer.text)
  assert.strictEqual(answer.headers["content-type"], "application/problem+json")
  assert.deepInclude(answer.json, { status, code, type: `urn:pgstream:problem:${code}` })
  assert.isAbove(String(answer.json["detail"]).length, 20)
  assert.match(readFileSync("docs/errors.md", "utf8"), new RegExp(`^## ${code}$`, "m"))
}

const errorsOf = (answer: Answer) => answer.json["errors"] as ReadonlyArray<{ readonly field: string; readonly problem: string }>

/** As the tutorial has them. */
const lines = [
  `curl -d '{"url": "http://localhost:9910/webhook", "event_types":["I"]}' -H "Content-Type: application/json" -X POST http://localhost:9900/webhooks/subscribe`,
  `curl -d '{"url": "http://localhost:9910/webhook", "schema": "public", "table": "test"}' -H "Content-Type: application/json" -X POST http://localhost:9900/webhooks/subscribe`,
  `curl -d '{"url": "http://localhost:9910/webhook", "event_types":["I","U","D"]}' -H "Content-Type: application/json" -X POST http://localhost:9900/webhooks/subscribe`
]

api("the tutorial's curl lines work as they are written", Effect.gen(function*() {
  const { port } = yield* startApi
  const store = yield* SubscriptionStore
  for (const line of lines) {
    const command = line.replaceAll("localhost:9900", `localhost:${port}`)
    const { stdout } = yield* Effect.promise(() => promisify(exec)(`${command} -s -o /dev/null -w '%{http_code}'`))
    assert.strictEqual(stdout, "201", command)
  }
  const rows = (yield* store.list).map(({ eventTypes, schema, table, url }) => ({ url, schema, table, eventTypes }))
  assert.deepStrictEqual(rows, [
    { url: URL_1, schema: "", table: "", eventTypes: ["I", "U", "D"] },
    { url: URL_1, schema: "public", table: "test", eventTypes: [] }
  ])
}))

api("subscribe answers 201 with the row, its endpoint, and how far the stream is behind", Effect.gen(function*() {
  const { get, post } = yield* startApi.pipe(Effect.provideService(StreamBehind, { bytes: Effect.succeed(4_096) }))
  const first = yield* post("/webhooks/subscribe", { url: "http://a:b@h.example/x?y=z", schema: "public", table: "t", event_types: ["I", "D", "I"] })
  assert.strictEqual(first.status, 201)
  const [row] = yield* (yield* SubscriptionStore).list
  assert.deepStrictEqual([row!.url, row!.eventTypes], ["http://a:b@h.example/x?y=z", ["I", "D"]])
  const view = {
    id: row!.id, endpoint_id: row!.endpointId, url: "http://***@h.example/x?y=z", schema: "public", table: "t",
    event_types: ["I", "D"], created_at: new Date(row!.createdAtUs / 1_000).toISOString()
  }
  assert.deepStrictEqual(first.json, { ...view, state: "active", paused: false, behind_bytes: 4_096 })
  assert.deepStrictEqual((yield* get("/webhooks/subscriptions")).json, { subscriptions: [view] })
  const again = yield* post("/webhooks/subscribe", { url: "http://a:b@h.example/x?y=z", schema: "public", table: "t", event_types: [] })
  assert.strictEqual(again.status, 201)
  assert.deepStrictEqual((yield* (yield* SubscriptionStore).list), [{ ...row!, eventTypes: [] }])
}))

api("absent, null and empty all mean every one", Effect.gen(function*() {
  const { post } = yield* startApi
  const store = yield* SubscriptionStore
  for (const rest of [{}, { event_types: null, schema: null, table: null }, { event_types: [], schema: "", table: "" }]) {
    const answer = yield* post("/webhooks/subscribe", { url: URL_1, ...rest }, { "content-type": "Application/JSON; charset=utf-8" })
    assert.strictEqual(answer.status, 201)
    assert.notProperty(answer.json, "behind_bytes")
    assert.deepStrictEqual((yield* store.list).map(({ eventTypes, schema, table }) => [schema, table, eventTypes]), [["", "", []]])
  }
}))

api("subscribe on a paused endpoint says so, and why", Effect.gen(function*() {
  const { post } = yield* startApi
  const tables = yield* WebhookTables
  yield* post("/webhooks/subscribe", { url: URL_1 })
  const [endpoint] = tables.endpoints.values()
  tables.putEndpoint({ ...endpoint!, paused: true, pausedReason: "restored copy" })
  const answer = yield* post("/webhooks/subscribe", { url: URL_1, table: "t" })
  assert.deepInclude(answer.json, { paused: true, paused_reason: "restored copy" })
}))

api("unsubscribe removes exactly that row, after which it is withdrawn, and answers then", Effect.gen(function*() {
  const store = yield* SubscriptionStore
  const withdrawn: Array<{ readonly key: SubscriptionKey; readonly left: number }> = []
  let release: (() => void) | undefined
  const { post } = yield* startApi.pipe(Effect.provideService(Withdrawals, {
    withdraw: (key) => Effect.gen(function*() {
      withdrawn.push({ key, left: (yield* store.list).length })
      yield* Effect.callback<void>((resume) => {
        release = () => resume(Effect.void)
      })
    })
  }))
  yield* post("/webhooks/subscribe", { url: URL_1 })
  yield* post("/webhooks/subscribe", { url: URL_1, schema: "public" })
  const answer = yield* Effect.forkChild(post("/webhooks/unsubscribe", { url: URL_1, schema: "public" }))
  yield* eventually("the withdrawal began", Effect.sync(() => release !== undefined))
  assert.isUndefined(answer.pollUnsafe())
  release!()
  const { json, status } = yield* Fiber.join(answer)
  assert.deepStrictEqual([status, json], [200, { unsubscribed: true }])
  assert.deepStrictEqual(withdrawn, [{ key: { url: URL_1, schema: "public", table: "" }, left: 1 }])
  isProblem(yield* post("/webhooks/unsubscribe", { url: URL_1, schema: "public" }), 404, "NotSubscribed")
  assert.strictEqual((yield* store.list).length, 1)
}))

api("a row that SQL wrote with an impossible URL is listed and can be removed", Effect.gen(function*() {
  const { get, post } = yield* startApi
  const store = yield* SubscriptionStore
  const long = "x".repeat(200)
  for (const url of ["", "nonsense", "u:p@nonsense"]) yield* store.subscribe({ url, schema: "", table: long }, [])
  const { subscriptions } = (yield* get("/webhooks/subscriptions")).json as { readonly subscriptions: ReadonlyArray<{ readonly url: string }> }
  assert.notInclude(JSON.stringify(subscriptions), "u:p@")
  for (const url of ["", "nonsense", "u:p@nonsense"]) {
    assert.strictEqual((yield* post("/webhooks/unsubscribe", { url, table: long })).status, 200)
  }
  assert.deepStrictEqual(yield* store.list, [])
}))

const bad: ReadonlyArray<readonly [body: unknown, field: string, problem: RegExp]> = [
  [{}, "url", /missing/],
  [{ url: 7 }, "url", /must be a string/],
  [{ url: "" }, "url", /empty/],
  [{ url: "/webhook" }, "url", /absolute/],
  [{ url: "ftp://a/" }, "url", /scheme/],
  [{ url: "http://a b/" }, "url", /space/],
  [{ url: " http://a/" }, "url", /space/],
  [{ url: `http://a/${"x".repeat(2_040)}` }, "url", /2048 bytes/],
  [{ url: `http://a/${"é".repeat(1_020)}` }, "url", /2048 bytes/],
  [{ url: URL_1, schema: 1 }, "schema", /must be a string/],
  [{ url: URL_1, schema: "x".repeat(64) }, "schema", /63 bytes/],
  [{ url: URL_1, table: "é".repeat(32) }, "table", /63 bytes/],
  [{ url: URL_1, table: "a\0b" }, "table", /NUL/],
  [{ url: URL_1, event_types: "I" }, "event_types", /must be a list/],
  [{ url: URL_1, event_types: ["I", "i"] }, "event_types[1]", /upper case/],
  [{ url: URL_1, event_types: [null] }, "event_types[0]", /must be one of I/],
  [{ url: URL_1, eventTypes: ["I"] }, "eventTypes", /event_types/],
  [{ url: URL_1, URL: URL_1 }, "URL", /not known/],
  [[], "", /JSON object/],
  ["null", "", /JSON object/],
  ["\"text\"", "", /JSON object/],
  ["", "", /empty/],
  ["{\"url\": ", "", /not valid JSON/],
  [`{"url": "${URL_1}"} trailing`, "", /not valid JSON/]
]

api("bad input gets 400, with the field and the mend, and changes nothing", Effect.gen(function*() {
  const { post } = yield* startApi
  for (const [body, field, problem] of bad) {
    const answer = yield* post("/webhooks/subscribe", body)
    isProblem(answer, 400, "InvalidRequest")
    assert.deepStrictEqual(errorsOf(answer).map((error) => error.field), [field], answer.text)
    assert.match(errorsOf(answer)[0]!.problem, problem)
    assert.include(String(answer.json["detail"]), field === "" ? "The body" : field)
  }
  const several = yield* post("/webhooks/subscribe", { url: "s3cret", table: 1, x: 2 })
  assert.sameMembers(errorsOf(several).map((error) => error.field), ["url", "table", "x"])
  assert.notInclude(several.text, "s3cret")
  const types = yield* post("/webhooks/unsubscribe", { url: URL_1, event_types: ["I"] })
  isProblem(types, 400, "InvalidRequest")
  assert.match(errorsOf(types)[0]!.problem, /subscribe again/)
  assert.deepStrictEqual(yield* (yield* SubscriptionStore).list, [])
}))

api("a name of 63 bytes and a URL of 2,048 bytes are fine", Effect.gen(function*() {
  const { post } = yield* startApi
  const answer = yield* post("/webhooks/subscribe", { url: `http://a/${"x".repeat(2_039)}`, table: `${"é".repeat(31)}x` })
  assert.strictEqual(answer.status, 201, answer.text)
}))

api("a mutation needs JSON, in a bounded body", Effect.gen(function*() {
  const { get, post } = yield* startApi
  for (const type of [undefined, "text/plain", "application/x-www-form-urlencoded", "application/json-seq"]) {
    const headers: Record<string, string> = type === undefined ? {} : { "content-type": type }
    isProblem(yield* get("/webhooks/subscribe", { method: "POST", headers, body: JSON.stringify({ url: URL_1 }) }), 415, "NotJson")
  }
  const padded = (bytes: number) => JSON.stringify({ url: URL_1 }).padEnd(bytes)
  assert.strictEqual((yield* post("/webhooks/subscribe", padded(65_536))).status, 201)
  isProblem(yield* post("/webhooks/subscribe", padded(65_537)), 413, "TooLarge")
  const chunked = { "content-type": "application/json", "transfer-encoding": "chunked" }
  isProblem(yield* get("/webhooks/subscribe", { method: "POST", headers: chunked, body: padded(3_000_000) }), 413, "TooLarge")
}))

api("other paths are 404, other methods 405 with Allow", Effect.gen(function*() {
  const { get, port } = yield* startApi
  for (const path of ["/", "/webhooks", "/webhooks/subscribe/", "/webhooks//subscribe", "/Webhooks/subscribe"]) {
    isProblem(yield* get(path, { method: "POST" }), 404, "NoSuchPath")
  }
  for (const none of ["%zz", "%ff"]) isProblem(yield* get(`/webhooks/subscriptions/${none}`), 404, "NoSuchPath")
  for (const method of ["GET", "PUT", "DELETE", "OPTIONS", "PATCH"]) {
    const answer = yield* get("/webhooks/subscribe", { method })
    isProblem(answer, 405, "NoSuchMethod")
    assert.strictEqual(answer.headers["allow"], "POST")
  }
  const head = yield* get("/webhooks/subscriptions", { method: "HEAD" })
  assert.deepStrictEqual([head.status, head.text], [200, ""])
  assert.strictEqual((yield* get("/webhooks/subscriptions?x=1")).status, 200)
  assert.isAbove(port, 0)
}))

api("the docs page and the OpenAPI document describe it", Effect.gen(function*() {
  const { get } = yield* startApi
  const docs = yield* get("/docs")
  assert.strictEqual(docs.status, 200)
  assert.include(String(docs.headers["content-type"]), "text/html")
  const openapi = (yield* get("/openapi.json")).json as { readonly paths: Record<string, Record<string, { readonly responses: object }>> }
  assert.deepStrictEqual(Object.keys(openapi.paths), [
    "/webhooks/subscribe", "/webhooks/unsubscribe", "/webhooks/subscriptions", "/webhooks/subscriptions/{id}",
    "/webhooks/endpoints", "/webhooks/endpoints/{id}", "/webhooks/endpoints/{id}/rotate-secret", "/webhooks/endpoints/{id}/test",
    "/webhooks/subscriptions/{id}/snapshot", "/webhooks/snapshots", "/webhooks/snapshots/{id}",
    "/webhooks/deliveries", "/webhooks/deliveries/blocking", "/webhooks/deliveries/counts", "/webhooks/deliveries/commands",
    "/webhooks/deliveries/commands/{id}", "/webhooks/deliveries/{endpoint}/{id}", "/webhooks/deliveries/retry", "/webhooks/deliveries/replay",
    "/webhooks/deliveries/purge", "/webhooks/verify"
  ])
  assert.deepStrictEqual(Object.keys(openapi.paths["/webhooks/subscribe"]!["post"]!.responses), ["201", "400", "401", "403", "409", "413", "415", "500", "503"])
  assert.notMatch(docs.text, /<script[^>]* src=/)
}))

api("with a token, every request needs it", Effect.gen(function*() {
  const { get, post } = yield* startApi
  const tries = ["", "Bearer", "Bearer wrong", "Bearer s3cret-to", "Bearer s3cret-token x", "Basic s3cret-token", "s3cret-token"]
  for (const authorization of tries) {
    const answer = yield* get("/webhooks/subscriptions", authorization === "" ? {} : { headers: { authorization } })
    isProblem(answer, 401, "Unauthorized")
    assert.match(String(answer.headers["www-authenticate"]), /^Bearer/)
    assert.notInclude(answer.text, "s3cret")
  }
  for (const path of ["/docs", "/openapi.json", "/nowhere"]) assert.strictEqual((yield* get(path)).status, 401)
  isProblem(yield* post("/webhooks/subscribe", { url: URL_1 }), 401, "Unauthorized")
  assert.strictEqual((yield* post("/webhooks/subscribe", { url: URL_1 }, { authorization: "bearer s3cret-token" })).status, 201)
}), { token: Redacted.make("s3cret-token") })

api("on loopback, only names of loopback reach it", Effect.gen(function*() {
  const { get } = yield* startApi
  const status = (host: string) => Effect.map(get("/webhooks/subscriptions", { headers: { host } }), (answer) => answer.status)
  for (const host of ["localhost", "LOCALHOST:9900", "127.0.0.1:9900", "127.9.9.9", "[::1]:9900", "api.localhost"]) {
    assert.strictEqual(yield* status(host), 200, host)
  }
  for (const host of ["evil.example", "evil.example:9900", "10.0.0.1", "localhost.evil.example", "127.0.0.1.evil.example", "x@localhost", "localhost/x"]) {
    assert.strictEqual(yield* status(host), 403, host)
  }
  isProblem(yield* get("/webhooks/subscriptions", { headers: { host: "evil.example" } }), 403, "NotAllowed")
}))

api("a page of another origin gets nothing", Effect.gen(function*() {
  const { get, port, post } = yield* startApi
  for (const origin of ["http://evil.example", "null", "http://localhost:1", "http://evil.example:9900", `http://127.0.0.1:${port}.evil.example`, "file://"]) {
    const answer = yield* post("/webhooks/subscribe", { url: URL_1 }, { origin })
    isProblem(answer, 403, "NotAllowed")
    assert.notProperty(answer.headers, "access-control-allow-origin")
  }
  assert.strictEqual((yield* get("/webhooks/subscribe", { method: "OPTIONS", headers: { origin: "http://evil.example", "access-control-request-method": "POST" } })).status, 403)
  const own = { origin: `http://localhost:${port}`, host: `localhost:${port}` }
  assert.strictEqual((yield* post("/webhooks/subscribe", { url: URL_1 }, own)).status, 201)
}))

api("beyond loopback any name may lead to it, but no page by a name, unless there is a token", Effect.gen(function*() {
  const { get } = yield* startApi
  assert.strictEqual((yield* get("/webhooks/subscriptions", { headers: { host: "pgstream:9900" } })).status, 200)
  const page = { host: "evil.example:9900", origin: "http://evil.example:9900" }
  assert.strictEqual((yield* get("/webhooks/subscriptions", { headers: page })).status, 403)
  const address = { host: "10.0.0.1:9900", origin: "http://10.0.0.1:9900" }
  assert.strictEqual((yield* get("/webhooks/subscriptions", { headers: address })).status, 200)
}), { host: "0.0.0.0" })

const storeWith = (unavailable: boolean) =>
  Layer.mock(SubscriptionStore, {
    list: Effect.fail(new SubscriptionStoreError({ operation: "list", unavailable, cause: new Error("password=s3cret") })),
    subscribe: () => Effect.fail(new SubscriptionStoreError({ operation: "subscribe", unavailable, cause: new Error("password=s3cret") })),
    unsubscribe: () => Effect.die(new Error("password=s3cret"))
  })

for (const [unavailable, status, code] of [[true, 503, "StoreUnavailable"], [false, 500, "StoreRefused"]] as const) {
  api(`a store that ${unavailable ? "is down is 503, to be tried again" : "refuses is 500"}`, Effect.gen(function*() {
    const { get, post } = yield* startApi
    for (const answer of [yield* get("/webhooks/subscriptions"), yield* post("/webhooks/subscribe", { url: URL_1 })]) {
      isProblem(answer, status, code)
      assert.strictEqual(answer.headers["retry-after"] !== undefined, unavailable)
      assert.notInclude(answer.text, "s3cret")
    }
    const defect = yield* post("/webhooks/unsubscribe", { url: URL_1 })
    isProblem(defect, 500, "InternalError")
    assert.notInclude(defect.text, "s3cret")
  }).pipe(Effect.provide(storeWith(unavailable))))
}

/** Bytes over a bare socket; gives what came until the server closed it. */
const raw = (port: number, bytes: string): Effect.Effect<string> =>
  Effect.callback((resume) => {
    let text = ""
    const socket = connect(port, "127.0.0.1", () => socket.write(bytes))
    socket.on("data", (part) => (text += part.toString("latin1")))
    socket.on("close", () => resume(Effect.succeed(text)))
    socket.on("error", () => undefined)
  })

api("a client that is slow to ask is cut off, wherever it stops", Effect.gen(function*() {
  const { get, port } = yield* startApi
  const head = "POST /webhooks/subscribe HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n"
  for (const bytes of ["POST /webh", head, `${head}content-length: 40\r\n\r\n{"url": `]) {
    assert.include(["", "HTTP/1.1 408 Request Timeout"], (yield* raw(port, bytes)).split("\r\n")[0])
  }
  assert.strictEqual((yield* get("/webhooks/subscriptions")).status, 200)
}), { readTimeoutMs: 150 })

api("a client that is slow to read is cut off", Effect.gen(function*() {
  const { port } = yield* startApi
  const cut = Effect.callback<void>((resume) => {
    const socket = connect(port, "127.0.0.1", () => {
      for (let n = 0; n < 8; n++) socket.write("GET /docs HTTP/1.1\r\nhost: localhost\r\n\r\n")
    })
    socket.pause()
    socket.on("error", () => resume(Effect.void)).on("close", () => resume(Effect.void))
    // A paused socket hears nothing: it looks whether the server is still there by writing.
    const timer = setInterval(() => socket.write("\r\n"), 20)
    socket.on("close", () => clearInterval(timer))
  })
  yield* cut
}), { writeTimeoutMs: 150, readTimeoutMs: 600_000 })

api("a port that is taken is an error that says what to do", Effect.gen(function*() {
  const { port } = yield* startApi
  const error = yield* Effect.flip(ApiServer.serve.pipe(Effect.provide(settingsLayer({ port }))))
  assert.strictEqual(error.code, "AddressInUse")
  assert.strictEqual(error.exitCode, 4)
  assert.match(error.message, new RegExp(`subscription API on 127.0.0.1:${port}.*PGSTREAM_WEBHOOK_SUBSCRIPTION_SERVER_ADDRESS`, "s"))
}))

it.live("the end waits for a request that began, and then the port is free", () =>
  Effect.gen(function*() {
    let [begun, finished] = [false, false]
    const slow = Layer.mock(SubscriptionStore, {
      unsubscribe: () => Effect.suspend(() => {
        begun = true
        return Effect.delay(Effect.sync(() => (finished = true)), 200)
      })
    })
    const answer = yield* Effect.scoped(Effect.gen(function*() {
      const { post } = yield* startApi.pipe(Effect.provide(slow))
      const fiber = yield* Effect.forkDetach(post("/webhooks/unsubscribe", { url: URL_1 }))
      yield* eventually("it began", Effect.sync(() => begun))
      return fiber
    }))
    assert.isTrue(finished)
    assert.strictEqual((yield* Fiber.join(answer)).status, 200)
  }).pipe(Effect.provide(Layer.mergeAll(memory, settingsLayer()))))
