/** What an endpoint adds to its requests, on real servers: signature per attempt, headers, authorization, certificates. */
import { assert, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import { readFileSync } from "node:fs"
import type { IncomingHttpHeaders } from "node:http"
import { createServer as createTls, type ServerOptions } from "node:https"
import type { TLSSocket } from "node:tls"
import { Webhook } from "standardwebhooks"
import { afterAll } from "vitest"
import * as Sending from "../../src/domain/Sending.ts"
import * as Signature from "../../src/domain/Signature.ts"
import * as WebhookTransportHttp from "../../src/layers/http/WebhookTransportHttp.ts"
import { notifierDefaults, NotifierSettings } from "../../src/services/Settings.ts"
import { WebhookTransport } from "../../src/services/WebhookTransport.ts"
import { attempt, endpointAt, requestOf } from "../suites/WebhookTransportSuite.ts"
import { makeCertificates } from "../support/Certificates.ts"
import { listen, serve } from "../support/webServers.ts"

const layer = WebhookTransportHttp.layer.pipe(
  Layer.provide(Layer.succeed(NotifierSettings, { ...notifierDefaults, attemptTimeoutMs: 20_000 }))
)
const scenario = <E>(name: string, test: Effect.Effect<void, E, WebhookTransport | Scope.Scope>) =>
  it.live(name, () => test.pipe(Effect.scoped, Effect.provide(layer)))

const open = Effect.fnUntraced(function*(url: string, content: Partial<Sending.SendingContent>) {
  const sending = Sending.make("1", { ...Sending.empty, ...content })
  return yield* (yield* WebhookTransport).open({ ...endpointAt(url), sending })
})

const [OLD, NEW] = [1, 2].map((n) => Signature.formatSecret(Buffer.alloc(32, n))) as [string, string]

scenario("each attempt is signed with its own time, with each secret that counts then", Effect.gen(function*() {
  const seen: Array<{ readonly body: string; readonly headers: Record<string, string> }> = []
  const server = yield* serve((request, response, body) => {
    seen.push({ body: body.toString(), headers: request.headers as Record<string, string> })
    response.end()
  })
  const endsAtMs = Date.now() + 2_000
  const connection = yield* open(server.url, {
    secrets: [{ secret: NEW, expiresAtMs: null }, { secret: OLD, expiresAtMs: endsAtMs }]
  })
  const body = Buffer.from(`{"Data":{"x":"ü"}}`)
  yield* attempt(connection, requestOf("e-7", body))
  while (Date.now() < Math.ceil(endsAtMs / 1_000) * 1_000) yield* Effect.sleep("50 millis")
  yield* attempt(connection, requestOf("e-7", body))
  const [first, second] = [seen[0]!, seen[1]!]
  for (const secret of [NEW, OLD]) new Webhook(secret).verify(first.body, first.headers)
  new Webhook(NEW).verify(second.body, second.headers)
  assert.throws(() => new Webhook(OLD).verify(second.body, second.headers))
  assert.strictEqual(first.headers["webhook-id"], second.headers["webhook-id"])
  assert.notStrictEqual(first.headers["webhook-timestamp"], second.headers["webhook-timestamp"])
}))

scenario("headers and authorization are sent as they are; userinfo only where there is no other", Effect.gen(function*() {
  const seen: Array<IncomingHttpHeaders> = []
  const server = yield* serve((request, response) => {
    seen.push(request.headers)
    response.end()
  })
  const url = server.url.replace("//", "//u:p@")
  for (const content of [
    { headers: { "X-Api-Key": "k 1" }, auth: { type: "bearer", token: "t0ken" } },
    { auth: { type: "basic", username: "a", password: "b:c" } },
    { headers: {} }
  ] as const) yield* attempt(yield* open(url, content), requestOf("a"))
  const basic = (text: string) => `Basic ${Buffer.from(text).toString("base64")}`
  assert.deepStrictEqual(seen.map(({ authorization }) => authorization), ["Bearer t0ken", basic("a:b:c"), basic("u:p")])
  assert.strictEqual(seen[0]!["x-api-key"], "k 1")
  for (const headers of seen) assert.notProperty(headers, "webhook-signature")
}))

const certificates = makeCertificates("localhost", "pgstream")
afterAll(() => certificates.remove())
const pem = (file: string) => readFileSync(file, "utf8")
const client = { certificate: pem(certificates.clientCert), key: pem(certificates.clientKey) }

/** Answers with the name in the client's certificate. */
const serveTls = (options: ServerOptions) =>
  Effect.gen(function*() {
    const server = createTls({ cert: pem(certificates.serverCert), key: pem(certificates.serverKey), ...options }, (request, response) => {
      const name = (request.socket as TLSSocket).getPeerCertificate().subject?.CN
      request.resume().on("end", () => response.writeHead(name === undefined ? 200 : 201).end())
    })
    const port = yield* Effect.acquireRelease(listen(server), () =>
      Effect.sync(() => {
        server.close()
        server.closeAllConnections()
      }))
    return `https://localhost:${port}/`
  })

scenario("a custom CA is trusted, by that endpoint alone, and then no other is", Effect.gen(function*() {
  const url = yield* serveTls({})
  const results = []
  for (const ca of [pem(certificates.ca), null, pem(certificates.otherCa)]) results.push(yield* attempt(yield* open(url, { ca }), requestOf("a")))
  assert.deepStrictEqual(results[0], { _tag: "Accepted", status: 200 })
  for (const result of results.slice(1)) {
    assert.isTrue(result._tag === "NoAnswer" && result.reason.startsWith("TLS failed: "), JSON.stringify(result))
  }
}))

scenario("a client certificate is shown to a server that asks for it", Effect.gen(function*() {
  const ca = pem(certificates.ca)
  const url = yield* serveTls({ ca, requestCert: true, rejectUnauthorized: true })
  assert.deepStrictEqual(yield* attempt(yield* open(url, { ca, client }), requestOf("a")), { _tag: "Accepted", status: 201 })
  assert.strictEqual((yield* attempt(yield* open(url, { ca }), requestOf("a")))._tag, "NoAnswer")
}))

scenario("certificates that cannot be used are said at each attempt", Effect.gen(function*() {
  const url = yield* serveTls({})
  const connection = yield* open(url, { client: { ...client, key: pem(certificates.serverKey) } })
  assert.deepStrictEqual(yield* attempt(connection, requestOf("a")), {
    _tag: "NoAnswer", reason: "TLS failed: the endpoint's certificates cannot be used"
  })
}))
