/** The API of endpoints over HTTP, on stores in memory: what it does, shows, refuses. */
import { assert, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import type * as Scope from "effect/Scope"
import { randomUUID } from "node:crypto"
import { readFileSync } from "node:fs"
import { afterAll } from "vitest"
import * as Sending from "../../src/domain/Sending.ts"
import * as Signature from "../../src/domain/Signature.ts"
import { WebhookTables } from "../../src/layers/memory/WebhookTables.ts"
import { AuditLog } from "../../src/services/Audit.ts"
import { EndpointRefused, EndpointStore, EndpointStoreError } from "../../src/services/EndpointStore.ts"
import { type Answer, memory, settingsLayer, startApi } from "../support/api.ts"
import { makeCertificates } from "../support/Certificates.ts"

const certificates = makeCertificates("localhost", "pgstream")
afterAll(() => certificates.remove())
const pem = (file: string) => readFileSync(file, "utf8")

const started = Effect.gen(function*() {
  const { get, post } = yield* startApi
  const tables = yield* WebhookTables
  const patch = (path: string, body: unknown, headers: Record<string, string> = { "content-type": "application/json" }) =>
    get(path, { method: "PATCH", headers, body: typeof body === "string" ? body : JSON.stringify(body) })
  const created = yield* post("/webhooks/subscribe", { url: "http://u:p4ss@h.example/x" })
  const id = String(created.json["endpoint_id"])
  const content = () => Redacted.value(tables.endpoints.get(id)!.sending!.content)
  return { get, post, patch, tables, id, at: `/webhooks/endpoints/${id}`, content }
})

const api = <E>(name: string, test: Effect.Effect<void, E, Layer.Success<typeof memory> | Layer.Success<ReturnType<typeof settingsLayer>> | Scope.Scope>) =>
  it.live(name, () => test.pipe(Effect.scoped, Effect.provide(Layer.mergeAll(memory, settingsLayer()))))

const isProblem = (answer: Answer, status: number, code: string): void => {
  assert.strictEqual(answer.status, status, answer.text)
  assert.strictEqual(answer.headers["content-type"], "application/problem+json")
  assert.deepInclude(answer.json, { status, code, type: `urn:pgstream:problem:${code}` })
  assert.match(readFileSync("docs/errors.md", "utf8"), new RegExp(`^## ${code}$`, "m"))
}

const errorsOf = (answer: Answer) => answer.json["errors"] as ReadonlyArray<{ readonly field: string; readonly problem: string }>

api("lists endpoints, and changes what is given", Effect.gen(function*() {
  const { at, get, id, patch, tables } = yield* started
  const view = {
    id, url: "http://***@h.example/x", order: "key", concurrency: 64, rate: null, batch: null, gzip: false, state: "active", paused: false,
    headers: [], auth: null, ca: false, client_certificate: false, secrets: []
  }
  assert.deepStrictEqual((yield* get("/webhooks/endpoints")).json, { endpoints: [view] })
  assert.deepStrictEqual((yield* get(at)).json, view)
  const changed = yield* patch(at, { url: "http://h.example/y", order: "total", concurrency: 2, paused: true })
  assert.strictEqual(changed.status, 200, changed.text)
  assert.deepStrictEqual(changed.json, {
    ...view, url: "http://h.example/y", order: "total", concurrency: 2, state: "paused", paused: true,
    paused_reason: "paused by an operator"
  })
  assert.deepStrictEqual([...tables.subscriptions.values()].map(({ url }) => url), ["http://h.example/y"])
  assert.deepInclude((yield* patch(at, { paused: false, concurrency: null })).json, { paused: false, concurrency: 64, order: "total" })
}))

api("takes headers, authorization and certificates, and never shows them", Effect.gen(function*() {
  const { at, content, get, patch } = yield* started
  const client = { certificate: pem(certificates.clientCert), key: pem(certificates.clientKey) }
  const given = yield* patch(at, {
    headers: { "X-Api-Key": "h3ader" }, auth: { type: "basic", username: "us3r", password: "pa55:word" }, ca: pem(certificates.ca),
    client_certificate: client
  })
  assert.strictEqual(given.status, 200, given.text)
  assert.deepInclude(given.json, { headers: ["X-Api-Key"], auth: "basic", ca: true, client_certificate: true })
  assert.deepStrictEqual(content(), {
    secrets: [], headers: { "X-Api-Key": "h3ader" }, auth: { type: "basic", username: "us3r", password: "pa55:word" }, ca: pem(certificates.ca), client
  })
  const list = yield* get("/webhooks/endpoints")
  for (const { text } of [given, list]) assert.notMatch(text, /h3ader|us3r|pa55|BEGIN|p4ss/)
  yield* patch(at, { auth: { type: "bearer", token: "t0ken" } })
  assert.deepStrictEqual(content().auth, { type: "bearer", token: "t0ken" })
  yield* patch(at, { headers: null, auth: null, ca: null, client_certificate: null })
  assert.deepStrictEqual(content(), Sending.empty)
}))

const longPem = "x".repeat(24 * 1_024 + 1)
const bad: ReadonlyArray<readonly [body: unknown, field: RegExp, problem: RegExp]> = [
  [{ url: "ftp://s3cret/" }, /^url$/, /scheme/],
  [{ url: null }, /^url$/, /must be a string/],
  [{ order: "rows" }, /^order$/, /"total"/],
  [{ concurrency: 0 }, /^concurrency$/, /from 1 to 10000/],
  [{ concurrency: 1.5 }, /^concurrency$/, /from 1 to 10000/],
  [{ paused: "yes" }, /^paused$/, /true or false/],
  [{ headers: { "webhook-id": "s3cret" } }, /^headers$/, /"webhook-id" is not for users/],
  [{ headers: { Host: "s3cret" } }, /^headers$/, /"Host"/],
  [{ headers: { a: "s3cret\r\nb: c" } }, /^headers$/, /"a" has a value/],
  [{ headers: { a: 7 } }, /^headers/, /must be a string/],
  [{ headers: Object.fromEntries(Array.from({ length: 21 }, (_, n) => [`h${n}`, "s3cret"])) }, /^headers$/, /more than 20/],
  [{ headers: { a: "s3cret".repeat(700) } }, /^headers$/, /longer than 4096/],
  [{ auth: { type: "bearer" } }, /^auth$/, /needs a token/],
  [{ auth: { type: "bearer", token: "s3cret token" } }, /^auth$/, /visible ASCII/],
  [{ auth: { type: "basic", username: "s3cret" } }, /^auth$/, /needs a username and a password/],
  [{ auth: { type: "basic", username: "s3:cret", password: "s3cret" } }, /^auth$/, /colon/],
  [{ auth: { type: "digest", password: "s3cret" } }, /^auth\.type$/, /"bearer" or "basic"/],
  [{ auth: { token: "s3cret" } }, /^auth\.type$/, /is missing/],
  [{ auth: { type: "bearer", token: "a", secret: "s3cret" } }, /^auth\.secret$/, /not known/],
  [{ ca: "s3cret" }, /^ca$/, /no certificate/],
  [{ ca: longPem }, /^ca$/, /24576 bytes/],
  [{ client_certificate: { certificate: "s3cret" } }, /^client_certificate\.key$/, /is missing/],
  [{ authorization: "s3cret" }, /^authorization$/, /not known/],
  [[], /^$/, /JSON object/]
]

api("bad input gets 400 with the field and the mend, shows no value, and changes nothing", Effect.gen(function*() {
  const { at, id, patch, tables } = yield* started
  const before = tables.endpoints.get(id)
  for (const [body, field, problem] of bad) {
    const answer = yield* patch(at, body)
    isProblem(answer, 400, "InvalidRequest")
    assert.match(errorsOf(answer)[0]!.field, field, answer.text)
    assert.match(errorsOf(answer)[0]!.problem, problem)
    assert.notInclude(answer.text, "s3cret")
  }
  assert.strictEqual(tables.endpoints.get(id), before)
}))

api("a client certificate with another key, or one that is encrypted, is refused", Effect.gen(function*() {
  const { at, patch } = yield* started
  const certificate = pem(certificates.clientCert)
  for (const [key, problem] of [[pem(certificates.serverKey), /another certificate/], [pem(certificates.clientKeyEncrypted), /not encrypted/]] as const) {
    const answer = yield* patch(at, { client_certificate: { certificate, key } })
    isProblem(answer, 400, "InvalidRequest")
    assert.match(errorsOf(answer)[0]!.problem, problem)
    assert.notInclude(answer.text, "BEGIN")
  }
}))

api("a secret that was made is shown once; one that was given never", Effect.gen(function*() {
  const { at, content, get, post } = yield* started
  const first = yield* post(`${at}/rotate-secret`, {})
  assert.strictEqual(first.status, 200, first.text)
  assert.strictEqual(first.json["secret"], content().secrets[0]!.secret)
  assert.strictEqual(first.headers["cache-control"], "no-store")
  const given = Signature.formatSecret(Buffer.alloc(32, 5))
  const second = yield* post(`${at}/rotate-secret`, { secret: given, overlap_seconds: 60 })
  assert.notProperty(second.json, "secret")
  assert.isAbove(Date.parse(String(second.json["overlap_until"])), Date.now())
  assert.deepStrictEqual(content().secrets.map(({ secret }) => secret), [given, first.json["secret"]])
  const list = yield* get("/webhooks/endpoints")
  assert.notInclude(list.text, "whsec_")
  const [endpoint] = list.json["endpoints"] as ReadonlyArray<{ readonly secrets: ReadonlyArray<unknown> }>
  assert.deepStrictEqual(endpoint!.secrets, [{ expires_at: null }, { expires_at: second.json["overlap_until"] }])
  for (const [body, field] of [[{ secret: "s3cret" }, "secret"], [{ overlap_seconds: -1 }, "overlap_seconds"], [{ overlap_seconds: 2_592_001 }, "overlap_seconds"]] as const) {
    const answer = yield* post(`${at}/rotate-secret`, body)
    isProblem(answer, 400, "InvalidRequest")
    assert.strictEqual(errorsOf(answer)[0]!.field, field)
    assert.notInclude(answer.text, "s3cret")
  }
}))

api("an endpoint that is not there is 404, and one path has its methods", Effect.gen(function*() {
  const { at, get, patch, post } = yield* started
  for (const id of [randomUUID(), "nonsense", "%27"]) {
    isProblem(yield* patch(`/webhooks/endpoints/${id}`, {}), 404, "NoSuchEndpoint")
    isProblem(yield* get(`/webhooks/endpoints/${id}`), 404, "NoSuchEndpoint")
    for (const tool of ["rotate-secret", "test"]) isProblem(yield* post(`/webhooks/endpoints/${id}/${tool}`, {}), 404, "NoSuchEndpoint")
  }
  isProblem(yield* get(at, { method: "PUT" }), 405, "NoSuchMethod")
  assert.strictEqual((yield* get(at, { method: "PUT" })).headers.allow, "PATCH, GET, HEAD")
  isProblem(yield* get(`${at}/rotate-secret`), 405, "NoSuchMethod")
  for (const path of ["/webhooks/endpoints/", `${at}/`, `${at}/other`, `${at}/rotate-secret/x`, "/webhooks/endpoints/{id}"]) {
    isProblem(yield* get(path, { method: "POST" }), path.includes("{") ? 405 : 404, path.includes("{") ? "NoSuchMethod" : "NoSuchPath")
  }
}))

api("an id is taken in either case; answers and audit lines have it as it is stored", Effect.gen(function*() {
  const lines: Array<Readonly<Record<string, string | number | boolean>>> = []
  const { get, id, post } = yield* started.pipe(
    Effect.provideService(AuditLog, { write: (line) => Effect.sync(() => void lines.push(line)) })
  )
  const at = `/webhooks/endpoints/${id.toUpperCase()}`
  const shown = yield* get(at)
  assert.strictEqual(shown.status, 200, shown.text)
  assert.strictEqual(shown.json["id"], id)
  lines.length = 0
  const tested = yield* post(`${at}/test`, {})
  assert.strictEqual(tested.status, 200, tested.text)
  assert.deepStrictEqual(lines, [{ audit: "endpoint.test", who: "local", host: "h.example", endpointId: id }])
}))

api("a change needs JSON in a bounded body, and no page of another origin", Effect.gen(function*() {
  const { at, get, patch } = yield* started
  isProblem(yield* patch(at, {}, {}), 415, "NotJson")
  isProblem(yield* patch(at, "{\"url\": "), 400, "InvalidRequest")
  isProblem(yield* patch(at, "{}".padEnd(65_537)), 413, "TooLarge")
  const json = { "content-type": "application/json" }
  isProblem(yield* patch(at, {}, { ...json, origin: "http://evil.example" }), 403, "NotAllowed")
  isProblem(yield* patch(at, {}, { ...json, host: "evil.example" }), 403, "NotAllowed")
  isProblem(yield* get("/webhooks/endpoints", { headers: { host: "evil.example" } }), 403, "NotAllowed")
}))

api("what the store refuses has an answer of its own", Effect.gen(function*() {
  const refuse = (reason: EndpointRefused["reason"]) => Effect.fail(new EndpointRefused({ reason, detail: "PGSTREAM_SECRET_KEY or so, in a sentence." }))
  const failure = (unavailable: boolean) => Effect.fail(new EndpointStoreError({ operation: "update", unavailable, cause: new Error("s3cret") }))
  const cases = [
    [refuse("UrlTaken"), 409, "UrlTaken"], [refuse("SecretKeyMissing"), 400, "SecretKeyMissing"], [refuse("SecretKeyUnknown"), 409, "SecretKeyUnknown"],
    [failure(true), 503, "StoreUnavailable"], [failure(false), 500, "StoreRefused"]
  ] as const
  for (const [answer, status, code] of cases) {
    const { at, patch } = yield* started.pipe(Effect.provide(Layer.mock(EndpointStore, { update: () => answer })))
    const got = yield* patch(at, { auth: { type: "bearer", token: "t0ken" } })
    isProblem(got, status, code)
    assert.notMatch(got.text, /s3cret|t0ken/)
    if (code === "SecretKeyMissing") {
      assert.deepStrictEqual(errorsOf(got).map(({ field }) => field), ["auth"])
      assert.include(got.text, "PGSTREAM_SECRET_KEY")
    }
  }
  const { at, post } = yield* started.pipe(Effect.provide(Layer.mock(EndpointStore, { rotateSecret: () => refuse("TooManySecrets") })))
  isProblem(yield* post(`${at}/rotate-secret`, {}), 409, "TooManySecrets")
}))

api("is described in /openapi.json", Effect.gen(function*() {
  const { get } = yield* started
  const paths = (yield* get("/openapi.json")).json["paths"] as Record<string, Record<string, unknown>>
  assert.property(paths["/webhooks/endpoints/{id}"], "patch")
  assert.property(paths["/webhooks/endpoints/{id}/rotate-secret"], "post")
}))
