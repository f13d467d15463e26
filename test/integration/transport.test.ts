/** The transport against real servers: the contract, then what servers do on the wire. */
import { assert, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import { execFile, execFileSync } from "node:child_process"
import { mkdtempSync, readFileSync, rmSync } from "node:fs"
import { createServer, type IncomingMessage, type ServerResponse } from "node:http"
import { createServer as createTls } from "node:https"
import type { AddressInfo, Socket } from "node:net"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { promisify } from "node:util"
import * as WebhookTransportHttp from "../../src/layers/http/WebhookTransportHttp.ts"
import { notifierDefaults, NotifierSettings } from "../../src/services/Settings.ts"
import { WebhookTransport } from "../../src/services/WebhookTransport.ts"
import { version } from "../../src/version.ts"
import { type Arrived, attempt, endpointAt, requestOf, suite } from "../suites/WebhookTransportSuite.ts"
import { eventually } from "../support/eventually.ts"
import { listen, serve, serveBytes } from "../support/webServers.ts"

const TIMEOUT_MS = 400
const transport = (attemptTimeoutMs: number) =>
  WebhookTransportHttp.layer.pipe(Layer.provide(Layer.succeed(NotifierSettings, { ...notifierDefaults, attemptTimeoutMs })))
const patient = transport(20_000)
const hasty = transport(TIMEOUT_MS)

const sendTo = Effect.fnUntraced(function*(url: string, id = "a", body?: Uint8Array) {
  const connection = yield* (yield* WebhookTransport).open(endpointAt(url))
  return yield* attempt(connection, requestOf(id, body))
})

const arrived: Array<Arrived> = []
const contractServer = createServer((request, response) => {
  const parts: Array<Buffer> = []
  request.on("data", (part: Buffer) => parts.push(part))
  request.on("end", () => {
    const header = (name: string) => String(request.headers[name])
    arrived.push({
      body: Buffer.concat(parts), id: header("webhook-id"), sequence: Number(header("webhook-sequence")),
      endpointId: header("webhook-endpoint"), epoch: header("webhook-epoch"),
      answer: (status, body) => response.writeHead(status).end(body)
    })
  })
})
await Effect.runPromise(listen(contractServer))
contractServer.unref()
suite("http", { url: `http://127.0.0.1:${(contractServer.address() as AddressInfo).port}/webhook`, arrived }, patient)

type Test<E> = Effect.Effect<void, E, WebhookTransport | Scope.Scope>
const scenario = <E>(name: string, layer: Layer.Layer<WebhookTransport>, test: Test<E>) =>
  it.live(name, () => test.pipe(Effect.scoped, Effect.provide(layer)))

scenario("sends the headers that receivers rely on, and no more of its own", patient, Effect.gen(function*() {
  const seen: Array<IncomingMessage> = []
  const server = yield* serve((request, response) => {
    seen.push(request)
    response.end()
  })
  const before = Math.floor(Date.now() / 1_000)
  const connection = yield* (yield* WebhookTransport).open(endpointAt(`${server.url}/in?a=b%20c#part`))
  yield* attempt(connection, requestOf("id-1"))
  yield* attempt(connection, { ...requestOf("id-2"), sequence: 0, epoch: "" })
  const { "webhook-timestamp": timestamp, ...headers } = seen[0]!.headers
  assert.deepStrictEqual(headers, {
    host: `127.0.0.1:${server.port}`, connection: "keep-alive", "content-type": "application/json", "content-length": "13",
    "user-agent": `pgstream/${version}`, "webhook-id": "id-1", "webhook-endpoint": "e-1", "webhook-sequence": "7", "webhook-epoch": "ab12"
  })
  assert.strictEqual(seen[0]!.url, "/webhook/in?a=b%20c")
  assert.isTrue(/^\d{10}$/.test(String(timestamp)) && Number(timestamp) >= before && Number(timestamp) <= before + 60)
  assert.isUndefined(seen[1]!.headers["webhook-sequence"])
  assert.isUndefined(seen[1]!.headers["webhook-epoch"])
}))

scenario("userinfo becomes Basic authorization and is in no header else", patient, Effect.gen(function*() {
  const seen: Array<IncomingMessage> = []
  const server = yield* serve((request, response) => {
    seen.push(request)
    response.end()
  })
  yield* sendTo(server.url.replace("//", "//us%3Aer:p%40ss%20w%C3%B6rd@"))
  assert.strictEqual(seen[0]!.headers.authorization, `Basic ${Buffer.from("us:er:p@ss wörd").toString("base64")}`)
  assert.strictEqual(seen[0]!.headers.host, `127.0.0.1:${server.port}`)
  assert.strictEqual(seen[0]!.url, "/webhook")
}))

scenario("keeps connections alive: one for one after the other, as many as are in flight", patient, Effect.gen(function*() {
  const held: Array<ServerResponse> = []
  let hold = false
  const server = yield* serve((_request, response) => void (hold ? held.push(response) : response.end()))
  const connection = yield* (yield* WebhookTransport).open(endpointAt(server.url, 8))
  for (let n = 0; n < 20; n++) yield* attempt(connection, requestOf(`serial ${n}`))
  assert.strictEqual(server.state.connections, 1)
  hold = true
  const all = Effect.all(Array.from({ length: 8 }, (_, n) => attempt(connection, requestOf(`parallel ${n}`))), { concurrency: "unbounded" })
  const release = Effect.andThen(
    eventually("all arrived", Effect.sync(() => held.length === 8)),
    Effect.sync(() => held.forEach((response) => response.end()))
  )
  yield* Effect.all([all, release], { concurrency: "unbounded" })
  assert.strictEqual(server.state.connections, 8)
}))

scenario("sockets end with the scope", patient, Effect.gen(function*() {
  const server = yield* serve((_request, response) => void response.end())
  yield* Effect.scoped(sendTo(server.url))
  yield* eventually("the socket is closed", Effect.sync(() => server.state.open() === 0))
}))

scenario("a socket that is still connecting ends with the scope, too", patient, Effect.gen(function*() {
  const server = yield* serveBytes(() => undefined)
  const url = server.url.replace("http:", "https:")
  const connection = yield* Effect.scoped(Effect.gen(function*() {
    const open = yield* (yield* WebhookTransport).open(endpointAt(url))
    open.send(requestOf("cut"), () => undefined)
    yield* eventually("the handshake began", Effect.sync(() => server.open() === 1))
    return open
  }))
  yield* eventually("the socket is closed", Effect.sync(() => server.open() === 0), 5_000)
  assert.deepStrictEqual(yield* attempt(connection, requestOf("late")), { _tag: "NoAnswer", reason: "stopped" })
}))

scenario("a redirect is not followed", patient, Effect.gen(function*() {
  const server = yield* serve((_request, response) => void response.writeHead(307, { location: "/elsewhere" }).end())
  assert.deepStrictEqual(yield* sendTo(server.url), { _tag: "Refused", status: 307, retryAfterMs: undefined, bodyStart: undefined })
  assert.strictEqual(server.state.requests, 1)
}))

scenario("reads Retry-After in seconds and as a date", patient, Effect.gen(function*() {
  let header: string | undefined
  const server = yield* serve((_request, response) => void response.writeHead(503, header === undefined ? {} : { "retry-after": header }).end())
  const waits = Effect.fnUntraced(function*(value: string | undefined) {
    header = value
    const result = yield* sendTo(server.url)
    return result._tag === "Refused" ? result.retryAfterMs : assert.fail(result._tag)
  })
  assert.strictEqual(yield* waits("7"), 7_000)
  assert.strictEqual(yield* waits(undefined), undefined)
  const later = yield* waits(new Date(Date.now() + 3_600_000).toUTCString())
  assert.isTrue(later! > 3_500_000 && later! <= 3_600_000)
}))

scenario("keeps the first kilobyte of a refusal, and reads 64 KiB at most", patient, Effect.gen(function*() {
  const endless = yield* serve((_request, response) => {
    response.writeHead(500)
    const more = (): void => {
      while (!response.destroyed && response.write("x".repeat(16_384)));
    }
    response.on("drain", more)
    more()
  })
  const result = yield* sendTo(endless.url)
  assert.deepStrictEqual(result, { _tag: "Refused", status: 500, retryAfterMs: undefined, bodyStart: "x".repeat(1_024) })
  yield* eventually("the connection is given up", Effect.sync(() => endless.state.open() === 0))
  const long = yield* serve((_request, response) => void response.end(Buffer.alloc(60_000, "é")))
  const connection = yield* (yield* WebhookTransport).open(endpointAt(long.url))
  for (let n = 0; n < 3; n++) assert.deepStrictEqual(yield* attempt(connection, requestOf("long")), { _tag: "Accepted", status: 200 })
  assert.strictEqual(long.state.connections, 1)
}))

scenario("a body of 32 MiB arrives whole", patient, Effect.gen(function*() {
  const body = Buffer.alloc(32 * 1024 * 1024, "0123456789abcdef!")
  let same = false
  const server = yield* serve((_request, response, received) => {
    same = received.equals(body)
    response.end()
  })
  assert.deepStrictEqual(yield* sendTo(server.url, "big", body), { _tag: "Accepted", status: 200 })
  assert.isTrue(same)
}))

scenario("an answer that comes before the body was read counts, and its connection is not used again", patient, Effect.gen(function*() {
  const server = yield* serveBytes((socket, text) => {
    if (!text.includes("\r\n\r\n")) return
    socket.pause()
    socket.write("HTTP/1.1 413 Payload Too Large\r\ncontent-length: 0\r\n\r\n")
  })
  const connection = yield* (yield* WebhookTransport).open(endpointAt(server.url))
  const big = Buffer.alloc(16 * 1024 * 1024, "x")
  for (const id of ["one", "two"]) {
    assert.deepStrictEqual(yield* attempt(connection, requestOf(id, big)), {
      _tag: "Refused", status: 413, retryAfterMs: undefined, bodyStart: undefined
    })
  }
  assert.strictEqual(server.state.connections, 2)
  assert.match(server.state.texts[1]!, /^POST \/ HTTP\/1.1\r\n/)
}))

scenario("a connection that the server closed while idle is opened again, without a failed attempt", patient, Effect.gen(function*() {
  const server = yield* serveBytes((socket, text, connection) => {
    const requests = text.split("POST / HTTP/1.1").length - 1
    // The first connection dies at the first byte of its second request: the race that keep-alive has.
    if (connection === 0 && requests === 2) return void socket.resetAndDestroy()
    if (text.endsWith("}")) socket.write("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")
  })
  const connection = yield* (yield* WebhookTransport).open(endpointAt(server.url))
  for (const id of ["one", "two", "three"]) {
    assert.deepStrictEqual(yield* attempt(connection, requestOf(id)), { _tag: "Accepted", status: 200 })
  }
  assert.strictEqual(server.state.connections, 2)
  assert.include(server.state.texts[1]!, "webhook-id: two")
}))

scenario("a server that closes each new connection gets one request an attempt", patient, Effect.gen(function*() {
  const server = yield* serveBytes((socket) => void socket.destroy())
  const connection = yield* (yield* WebhookTransport).open(endpointAt(server.url))
  for (const id of ["one", "two"]) {
    assert.deepStrictEqual(yield* attempt(connection, requestOf(id)), { _tag: "NoAnswer", reason: "connection closed without an answer" })
  }
  assert.strictEqual(server.state.connections, 2)
}))

const slow: ReadonlyArray<readonly [string, (socket: Socket) => void]> = [
  ["says nothing", () => undefined],
  ["hangs after the headers", (socket) => void socket.write("HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\n")],
  ["drips its headers", (socket) => {
    socket.write("HTTP/1.1 200 OK\r\nx: ")
    const timer = setInterval(() => socket.write("x"), 20)
    socket.on("close", () => clearInterval(timer))
  }],
  ["drips its body", (socket) => {
    socket.write("HTTP/1.1 200 OK\r\ncontent-length: 1000000\r\n\r\n")
    const timer = setInterval(() => socket.write("x"), 20)
    socket.on("close", () => clearInterval(timer))
  }]
]

for (const [name, answer] of slow) {
  scenario(`a server that ${name} is a timeout, and its connection is not used again`, hasty, Effect.gen(function*() {
    const begun = new Set<Socket>()
    const server = yield* serveBytes((socket, _text, connection) => {
      if (connection > 0) return void socket.write("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")
      if (!begun.has(socket)) answer(socket)
      begun.add(socket)
    })
    const connection = yield* (yield* WebhookTransport).open(endpointAt(server.url))
    assert.deepStrictEqual(yield* attempt(connection, requestOf("one")), { _tag: "NoAnswer", reason: `timeout after ${TIMEOUT_MS / 1_000} s` })
    assert.deepStrictEqual(yield* attempt(connection, requestOf("two")), { _tag: "Accepted", status: 200 })
    assert.strictEqual(server.state.connections, 2)
    yield* eventually("the first connection is closed", Effect.sync(() => server.open() === 1))
  }))
}

scenario("a TLS handshake that does not come about is a timeout", hasty, Effect.gen(function*() {
  const server = yield* serveBytes(() => undefined)
  const result = yield* sendTo(server.url.replace("http:", "https:"))
  assert.deepStrictEqual(result, { _tag: "NoAnswer", reason: `timeout after ${TIMEOUT_MS / 1_000} s` })
  yield* eventually("the connection is closed", Effect.sync(() => server.open() === 0))
}))

scenario("a timeout while another request waits for its connection reaches the right one", hasty, Effect.gen(function*() {
  let answer = false
  const server = yield* serveBytes((socket) => void (answer && socket.write("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")))
  const connection = yield* (yield* WebhookTransport).open(endpointAt(server.url, 1))
  const results: Array<string> = []
  yield* Effect.callback<void>((resume) => {
    const next = (n: number): void =>
      connection.send(requestOf(`n ${n}`), (result) => {
        results.push(result._tag)
        answer = true
        if (n === 3) resume(Effect.void)
        else next(n + 1)
      })
    next(0)
  })
  assert.deepStrictEqual(results, ["NoAnswer", "Accepted", "Accepted", "Accepted"])
}))

scenario("what is no HTTP, refused, unknown or unusable is NoAnswer in constant words", patient, Effect.gen(function*() {
  const garbage = yield* serveBytes((socket) => void socket.end("SSH-2.0-OpenSSH_9.2\r\n"))
  const gone = yield* Effect.scoped(Effect.map(serveBytes(() => undefined), ({ url }) => url))
  const secret = (url: string) => url.replace("//", "//u:s3cret@").concat("?token=s3cret")
  const cases: ReadonlyArray<readonly [string, string]> = [
    [garbage.url, "answer is not HTTP"],
    [gone, "connection refused"],
    ["http://no-such-host.invalid/", "host name not found"],
    [garbage.url.replace("http:", "https:"), "TLS failed"]
  ]
  for (const [url, reason] of cases) {
    const result = yield* sendTo(secret(url))
    assert.strictEqual(result._tag, "NoAnswer")
    if (result._tag !== "NoAnswer") continue
    assert.isTrue(result.reason.startsWith(reason), `${url}: ${result.reason}`)
    assert.notInclude(result.reason, "s3cret")
  }
  for (const url of ["", "nonsense", "ftp://a/", "http://"]) {
    assert.deepStrictEqual(yield* sendTo(url), { _tag: "NoAnswer", reason: "not a usable URL" })
  }
}))

scenario("interim answers are no answers", patient, Effect.gen(function*() {
  const server = yield* serve((_request, response) => {
    response.writeEarlyHints({ link: "</a>; rel=preload" }, () => response.writeHead(503).end("later"))
  })
  const result = yield* sendTo(server.url)
  assert.deepStrictEqual(result, { _tag: "Refused", status: 503, retryAfterMs: undefined, bodyStart: "later" })
}))

scenario("a body that breaks off leaves the verdict of its status", patient, Effect.gen(function*() {
  const server = yield* serveBytes((socket, text) => {
    if (text.endsWith("}")) socket.end("HTTP/1.1 503 Busy\r\ncontent-length: 1000\r\nretry-after: 3\r\n\r\nnot now")
  })
  assert.deepStrictEqual(yield* sendTo(server.url), { _tag: "Refused", status: 503, retryAfterMs: 3_000, bodyStart: "not now" })
}))

/** Runs in a process of its own, since Node reads extra authorities at its start. */
const CLIENT = `
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as WebhookTransportHttp from "./src/layers/http/WebhookTransportHttp.ts"
import { notifierDefaults, NotifierSettings } from "./src/services/Settings.ts"
import { WebhookTransport } from "./src/services/WebhookTransport.ts"
const endpoint = { id: "e", url: process.env.TARGET, order: "key", concurrency: 1, paused: false, pausedReason: undefined }
const request = { body: Buffer.from("{}"), id: "1", sequence: 0, endpointId: "e", epoch: "" }
const program = Effect.gen(function*() {
  const connection = yield* (yield* WebhookTransport).open(endpoint)
  const result = yield* Effect.callback((resume) => connection.send(request, (result) => resume(Effect.succeed(result))))
  console.log(JSON.stringify(result))
})
await Effect.runPromise(program.pipe(Effect.scoped, Effect.provide(WebhookTransportHttp.layer.pipe(
  Layer.provide(Layer.succeed(NotifierSettings, notifierDefaults))))))
`

const clientOf = (target: string, environment: Record<string, string>) =>
  Effect.promise(() =>
    promisify(execFile)(process.execPath, ["--input-type=module", "-e", CLIENT], {
      env: { PATH: process.env["PATH"], TARGET: target, ...environment }
    })
  ).pipe(Effect.map(({ stdout }) => JSON.parse(stdout) as unknown))

scenario("https: a certificate is trusted by its authority only, for its name only; the system's count", patient, Effect.gen(function*() {
  const folder = yield* Effect.acquireRelease(
    Effect.sync(() => mkdtempSync(join(tmpdir(), "pgstream-tls-"))),
    (path) => Effect.sync(() => rmSync(path, { recursive: true }))
  )
  const [key, cert] = [join(folder, "key.pem"), join(folder, "cert.pem")]
  execFileSync("openssl", [
    "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
    "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost", "-keyout", key, "-out", cert
  ], { stdio: "ignore" })
  const server = createTls({ key: readFileSync(key), cert: readFileSync(cert) }, (request, response) => {
    request.resume().on("end", () => response.writeHead(202).end())
  })
  const port = yield* Effect.acquireRelease(listen(server), () =>
    Effect.sync(() => {
      server.close()
      server.closeAllConnections()
    }))
  const trusting = { NODE_EXTRA_CA_CERTS: cert }
  const reason = (code: string) => ({ _tag: "NoAnswer", reason: `TLS failed: ${code}` })
  assert.deepStrictEqual(yield* clientOf(`https://localhost:${port}/`, trusting), { _tag: "Accepted", status: 202 })
  // Where the system keeps its authorities.
  assert.deepStrictEqual(yield* clientOf(`https://localhost:${port}/`, { SSL_CERT_FILE: cert }), { _tag: "Accepted", status: 202 })
  assert.deepStrictEqual(yield* clientOf(`https://127.0.0.1:${port}/`, trusting), reason("ERR_TLS_CERT_ALTNAME_INVALID"))
  assert.deepStrictEqual(yield* clientOf(`https://localhost:${port}/`, {}), reason("DEPTH_ZERO_SELF_SIGNED_CERT"))
}))

scenario("an interim answer and then nothing is NoAnswer", patient, Effect.gen(function*() {
  const server = yield* serveBytes((socket, text) => {
    if (text.endsWith("}")) socket.end("HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n")
  })
  assert.deepStrictEqual(yield* sendTo(server.url), { _tag: "NoAnswer", reason: "connection closed without an answer" })
}))

scenario("a request that cannot be written ends like any other, after send returned", patient, Effect.gen(function*() {
  const server = yield* serve((_request, response) => void response.end())
  const connection = yield* (yield* WebhookTransport).open(endpointAt(server.url))
  assert.deepStrictEqual(yield* attempt(connection, requestOf("a\nb")), { _tag: "NoAnswer", reason: "request has a header that HTTP does not allow" })
  assert.deepStrictEqual(yield* attempt(connection, requestOf("c")), { _tag: "Accepted", status: 200 })
}))
