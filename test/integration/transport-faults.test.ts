/** Receivers that misbehave: the result of the attempt, that the next one is not harmed, and what is held of them. */
import { assert, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import { execFileSync } from "node:child_process"
import { closeSync, constants, mkdtempSync, openSync, readFileSync, rmSync } from "node:fs"
import { open as openFile } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { gunzipSync } from "node:zlib"
import { Webhook } from "standardwebhooks"
import type { AttemptResult } from "../../src/domain/Delivery.ts"
import * as Sending from "../../src/domain/Sending.ts"
import * as Signature from "../../src/domain/Signature.ts"
import * as WebhookTransportHttp from "../../src/layers/http/WebhookTransportHttp.ts"
import { notifierDefaults, NotifierSettings } from "../../src/services/Settings.ts"
import { type EndpointConnection, WebhookTransport } from "../../src/services/WebhookTransport.ts"
import { attempt, endpointAt, requestOf } from "../suites/WebhookTransportSuite.ts"
import { makeCertificates } from "../support/Certificates.ts"
import { eventually } from "../support/eventually.ts"
import { scriptedReceiver, scriptedTlsReceiver } from "../support/ScriptedReceiver.ts"
import { serveBytes } from "../support/webServers.ts"

const TIMEOUT_MS = 400
const transport = (attemptTimeoutMs: number) =>
  WebhookTransportHttp.layer.pipe(Layer.provide(Layer.succeed(NotifierSettings, { ...notifierDefaults, attemptTimeoutMs })))
const patient = transport(20_000)
const hasty = transport(TIMEOUT_MS)

type Test<E> = Effect.Effect<void, E, WebhookTransport | Scope.Scope>
const scenario = <E>(name: string, layer: Layer.Layer<WebhookTransport>, test: Test<E>) =>
  it.live(name, () => test.pipe(Effect.scoped, Effect.provide(layer)))

const open = Effect.fnUntraced(function*(url: string, concurrency = 16) {
  return yield* (yield* WebhookTransport).open(endpointAt(url, concurrency))
})

const accepted: AttemptResult = { _tag: "Accepted", status: 200 }
const none = (reason: string): AttemptResult => ({ _tag: "NoAnswer", reason })
const refusal = (status: number, bodyStart: string | undefined, retryAfterMs?: number): AttemptResult => ({
  _tag: "Refused", status, retryAfterMs, bodyStart
})
const timeout = none(`timeout after ${TIMEOUT_MS / 1_000} s`)
const closed = none("connection closed without an answer")
const notHttp = none("answer is not HTTP")
const tooLong = none("headers of the answer are too long")

/** Script, result, and whether its connection is used again. */
const CASES: ReadonlyArray<readonly [script: string, layer: Layer.Layer<WebhookTransport>, result: AttemptResult, kept: boolean]> = [
  ["ok", patient, accepted, true],
  ["slow/100", patient, accepted, true],
  ["status/500", patient, refusal(500, "no!"), true],
  ["status/410", patient, refusal(410, "no!"), true],
  ["status/429/7", patient, refusal(429, "no!", 7_000), true],
  ["chunked", patient, refusal(404, "not here"), true],
  ["hang", hasty, timeout, false],
  ["slow/60000", hasty, timeout, false],
  ["slowHead", hasty, timeout, false],
  ["slowBody", hasty, timeout, false],
  ["slowChunks", hasty, timeout, false],
  ["slowInterim", patient, none("too many interim answers"), false],
  ["interimFlood", patient, none("too many interim answers"), false],
  ["reset", patient, closed, false],
  ["loseReply", patient, closed, false],
  ["hugeBody", patient, refusal(500, "x".repeat(1_024)), false],
  ["hugeOk", patient, accepted, false],
  ["hugeHead", patient, tooLong, false],
  ["hugeField", patient, tooLong, false],
  ["hugeTrailers", patient, accepted, false],
  ["garbage", patient, notHttp, false],
  ["extra", patient, accepted, false],
  ["close", patient, accepted, false],
  ["closeSilently", patient, accepted, false],
  ["untilClose", patient, refusal(503, "body without a length"), false],
  ["breaksOff", patient, refusal(503, "not now", 3_000), false]
]

for (const [script, layer, result, kept] of CASES) {
  scenario(`${script}: ${result._tag}${kept ? ", and its connection is used again" : ", and its connection is closed"}`, layer, Effect.gen(function*() {
    const receiver = yield* scriptedReceiver
    const connection = yield* open(receiver.urlOf(script))
    assert.deepStrictEqual(yield* attempt(connection, requestOf("one")), result)
    if (!kept) yield* eventually("the connection is closed", Effect.sync(() => receiver.open() === 0))
    assert.deepStrictEqual(yield* attempt(connection, requestOf("two")), result)
    assert.strictEqual(receiver.connections(), kept ? 1 : 2)
    assert.deepStrictEqual(receiver.requests.map(({ headers }) => headers["webhook-id"]), ["one", "two"])
  }))
}

const results = (connection: EndpointConnection, ids: ReadonlyArray<string>) =>
  Effect.all(ids.map((id) => attempt(connection, requestOf(id))), { concurrency: "unbounded" })

scenario("a connection that is reset behind each answer loses no request, whichever comes first", patient, Effect.gen(function*() {
  const receiver = yield* scriptedReceiver
  const connection = yield* open(receiver.urlOf("resetBehind"), 4)
  for (let round = 0; round < 200; round++) {
    const found = yield* results(connection, [0, 1, 2, 3].map((n) => `${round}-${n}`))
    // A reset may overtake the answer of its own request; then nobody knows whether it was taken.
    for (const result of found) assert.include([JSON.stringify(accepted), JSON.stringify(closed)], JSON.stringify(result))
  }
  yield* eventually("no socket is left", Effect.sync(() => receiver.open() === 0))
}))

scenario("a connection that is closed behind each answer costs no attempt", patient, Effect.gen(function*() {
  const receiver = yield* scriptedReceiver
  const connection = yield* open(receiver.urlOf("closeSilently"), 4)
  for (let round = 0; round < 200; round++) {
    for (const result of yield* results(connection, [0, 1, 2, 3].map((n) => `${round}-${n}`))) assert.deepStrictEqual(result, accepted)
  }
}))

scenario("what endless answers hold of memory is bounded", patient, Effect.gen(function*() {
  const receiver = yield* scriptedReceiver
  const before = process.memoryUsage().arrayBuffers
  for (const script of ["hugeBody", "hugeOk", "hugeHead", "hugeField", "hugeTrailers", "interimFlood"]) {
    const connection = yield* open(receiver.urlOf(script), 32)
    for (let round = 0; round < 3; round++) yield* results(connection, Array.from({ length: 32 }, (_, n) => `${script} ${round} ${n}`))
  }
  yield* eventually("no socket is left", Effect.sync(() => receiver.open() === 0))
  // 576 answers without an end: sender and receiver live in this process, and hold what a few sockets have in flight.
  yield* eventually("memory is given back", Effect.sync(() => {
    globalThis.gc?.()
    return process.memoryUsage().arrayBuffers - before < 64 * 1_024 * 1_024
  }))
}))

const certificates = Effect.acquireRelease(
  Effect.sync(() => makeCertificates("localhost", "user")),
  (made) => Effect.sync(() => made.remove())
)

const sendingTo = (url: string, content: Partial<Sending.SendingContent>, gzip = false) =>
  Effect.flatMap(WebhookTransport, (service) =>
    service.open({ ...endpointAt(url), gzip, sending: Sending.make("1", { ...Sending.empty, ...content }) }))

scenario("bad TLS: a foreign authority, another name, an old protocol, no TLS at all", patient, Effect.gen(function*() {
  const made = yield* certificates
  const server = { key: readFileSync(made.serverKey), cert: readFileSync(made.serverCert) }
  const ca = readFileSync(made.ca, "utf8")
  const result = Effect.fnUntraced(function*(url: string, authority: string) {
    return yield* attempt(yield* sendingTo(url, { ca: authority }), requestOf("a"))
  })
  const good = yield* scriptedTlsReceiver(server, "localhost")
  assert.deepStrictEqual(yield* result(good.urlOf("ok"), ca), accepted)
  assert.deepStrictEqual(yield* result(good.urlOf("ok"), readFileSync(made.otherCa, "utf8")), none("TLS failed: UNABLE_TO_VERIFY_LEAF_SIGNATURE"))
  assert.deepStrictEqual(yield* result(good.urlOf("ok").replace("localhost", "127.0.0.1"), ca), none("TLS failed: ERR_TLS_CERT_ALTNAME_INVALID"))
  const old = yield* scriptedTlsReceiver({ ...server, minVersion: "TLSv1.1", maxVersion: "TLSv1.1", ciphers: "DEFAULT@SECLEVEL=0" }, "localhost")
  const failure = yield* result(old.urlOf("ok"), ca)
  assert.match(failure._tag === "NoAnswer" ? failure.reason : failure._tag, /^TLS failed: ERR_SSL_/)
  const plain = yield* serveBytes((socket) => void socket.end("HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n"))
  const wrong = yield* result(plain.url.replace("http://127.0.0.1", "https://localhost"), ca)
  assert.match(wrong._tag === "NoAnswer" ? wrong.reason : wrong._tag, /^TLS failed: ERR_SSL_/)
  assert.strictEqual(good.requests.length, 1)
}))

scenario("TLS: connections are kept, and a new one resumes the session", patient, Effect.gen(function*() {
  const made = yield* certificates
  const receiver = yield* scriptedTlsReceiver({ key: readFileSync(made.serverKey), cert: readFileSync(made.serverCert) }, "localhost")
  const ca = readFileSync(made.ca, "utf8")
  const kept = yield* sendingTo(receiver.urlOf("ok"), { ca })
  for (const id of ["one", "two", "three"]) assert.deepStrictEqual(yield* attempt(kept, requestOf(id)), accepted)
  assert.strictEqual(receiver.connections(), 1)
  const closing = yield* sendingTo(receiver.urlOf("close"), { ca })
  for (const id of ["one", "two", "three"]) assert.deepStrictEqual(yield* attempt(closing, requestOf(id)), accepted)
  assert.strictEqual(receiver.connections(), 4)
  const big = Buffer.alloc(300_000, "x")
  assert.deepStrictEqual(yield* attempt(kept, requestOf("big", big)), accepted)
  assert.deepStrictEqual(receiver.requests.at(-1)!.body, big)
}))

const SIZES = [0, 1, 1_023, 1_024, 2_047, 2_048, 16_384, 16_385, 32_767, 32_768, 32_769, 65_536, 1_000_000]

scenario("bodies of any size arrive whole on one connection, one after the other", patient, Effect.gen(function*() {
  const receiver = yield* scriptedReceiver
  const connection = yield* open(receiver.urlOf("ok"))
  const bodies = [...SIZES, ...SIZES.toReversed()].map((size, n) => Buffer.alloc(size, `${n}é`))
  for (const [n, body] of bodies.entries()) assert.deepStrictEqual(yield* attempt(connection, requestOf(`n ${n}`, body)), accepted)
  assert.strictEqual(receiver.connections(), 1)
  for (const [n, body] of bodies.entries()) assert.isTrue(receiver.requests[n]!.body.equals(body), `body ${n}`)
}))

scenario("gzip: bodies from 1 KiB on are compressed, what is signed are the bytes before", patient, Effect.gen(function*() {
  const receiver = yield* scriptedReceiver
  const secret = Signature.formatSecret(Buffer.alloc(32, 3))
  const connection = yield* sendingTo(receiver.urlOf("ok"), { secrets: [{ secret, expiresAtMs: null }] }, true)
  const bodies = SIZES.map((size, n) => Buffer.from(JSON.stringify({ n, text: "é\\\"".repeat(size / 4) })))
  const found = yield* Effect.all(bodies.map((body, n) => attempt(connection, requestOf(String(n), body))), { concurrency: "unbounded" })
  assert.deepStrictEqual(found, bodies.map(() => accepted))
  assert.strictEqual(receiver.requests.length, bodies.length)
  for (const { body, headers } of receiver.requests) {
    const sent = bodies[Number(headers["webhook-id"])]!
    assert.strictEqual(headers["content-encoding"], sent.length < 1_024 ? undefined : "gzip")
    const plain = headers["content-encoding"] === "gzip" ? gunzipSync(body) : body
    assert.isTrue(plain.equals(sent), `body of ${sent.length} bytes`)
    new Webhook(secret).verify(plain.toString("utf8"), headers)
  }
}))

/** Node's four threads wait until the scope ends, and with them what compresses. */
const busyThreads = Effect.acquireRelease(
  Effect.sync(() => {
    const dir = mkdtempSync(join(tmpdir(), "pgstream-fifo-"))
    const fifo = join(dir, "fifo")
    execFileSync("mkfifo", [fifo])
    const opened = [1, 2, 3, 4].map(() => openFile(fifo, "r"))
    return { dir, fifo, opened }
  }),
  ({ dir, fifo, opened }) =>
    Effect.promise(async () => {
      const writer = openSync(fifo, constants.O_RDWR)
      for (const file of await Promise.all(opened)) await file.close()
      closeSync(writer)
      rmSync(dir, { recursive: true })
    })
)

scenario("gzip: what is compressed when the time of its attempt is over does not get into the next one", hasty, Effect.gen(function*() {
  const receiver = yield* scriptedReceiver
  const connection = yield* sendingTo(receiver.urlOf("slow/200"), {}, true)
  const next = yield* Effect.scoped(Effect.gen(function*() {
    yield* busyThreads
    assert.deepStrictEqual(yield* attempt(connection, requestOf("late", Buffer.alloc(100_000, "x"))), timeout)
    const fiber = yield* Effect.forkDetach(attempt(connection, requestOf("next")))
    yield* eventually("the next one arrived", Effect.sync(() => receiver.requests.length === 1))
    return fiber
  }))
  assert.deepStrictEqual(yield* Fiber.join(next), accepted)
  assert.deepStrictEqual(yield* attempt(connection, requestOf("third", Buffer.alloc(100_000, "x"))), accepted)
  assert.deepStrictEqual(receiver.requests.map(({ headers }) => headers["webhook-id"]), ["next", "third"])
}))

scenario("gzip: what is compressed when its endpoint ends is not sent", hasty, Effect.gen(function*() {
  const receiver = yield* scriptedReceiver
  const big = Buffer.alloc(4_000_000, "x")
  const ended = yield* Effect.scoped(Effect.gen(function*() {
    const connection = yield* sendingTo(receiver.urlOf("ok"), {}, true)
    const found: Array<AttemptResult> = []
    connection.send(requestOf("cut", big), (result) => found.push(result))
    return found
  }))
  assert.deepStrictEqual(ended, [none("stopped")])
  const connection = yield* sendingTo(receiver.urlOf("ok"), {}, true)
  assert.deepStrictEqual(yield* attempt(connection, requestOf("next", big)), accepted)
  assert.deepStrictEqual(receiver.requests.map(({ headers }) => headers["webhook-id"]), ["next"])
}))
