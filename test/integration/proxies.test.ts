/** Webhooks by way of a proxy, on real sockets. */
import { assert, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import * as Result from "effect/Result"
import type * as Scope from "effect/Scope"
import { execFile } from "node:child_process"
import { readFileSync, writeFileSync } from "node:fs"
import { createServer as createTls } from "node:https"
import { join } from "node:path"
import { promisify } from "node:util"
import { afterAll } from "vitest"
import * as ProxyRules from "../../src/domain/ProxyRules.ts"
import * as Sending from "../../src/domain/Sending.ts"
import * as WebhookTransportHttp from "../../src/layers/http/WebhookTransportHttp.ts"
import { ProxySettings } from "../../src/services/ProxySettings.ts"
import { notifierDefaults, NotifierSettings } from "../../src/services/Settings.ts"
import { WebhookTransport } from "../../src/services/WebhookTransport.ts"
import { attempt, endpointAt, requestOf } from "../suites/WebhookTransportSuite.ts"
import { makeCertificates } from "../support/Certificates.ts"
import { eventually } from "../support/eventually.ts"
import { serveProxy } from "../support/HttpProxy.ts"
import { listen, serve, serveBytes } from "../support/webServers.ts"

const certificates = makeCertificates("receiver.example", "client")
afterAll(() => certificates.remove())
const local = makeCertificates("localhost", "client")
afterAll(() => local.remove())
const localTls = { key: readFileSync(local.serverKey), cert: readFileSync(local.serverCert) }
/** Both of them. */
const authorities = join(local.dir, "authorities.pem")
writeFileSync(authorities, readFileSync(local.ca, "utf8") + readFileSync(certificates.ca, "utf8"))
const tls = { key: readFileSync(certificates.serverKey), cert: readFileSync(certificates.serverCert) }

const accepted = { _tag: "Accepted", status: 200 } as const
const noAnswer = (reason: string) => ({ _tag: "NoAnswer", reason }) as const

interface Through {
  readonly proxy: string
  readonly noProxy?: string
  readonly isGuard?: boolean
}

/** A transport that goes through the proxy, for the rest of the scope. */
const through = ({ isGuard = false, noProxy = "", proxy: text }: Through) =>
  Effect.gen(function*() {
    const proxy = Result.getOrThrow(ProxyRules.parseProxy(text))
    const context = yield* Layer.build(WebhookTransportHttp.layer.pipe(Layer.provide(Layer.mergeAll(
      Layer.succeed(NotifierSettings, { ...notifierDefaults, attemptTimeoutMs: 2_000 }),
      Layer.succeed(ProxySettings, { http: proxy, https: proxy, noProxy: ProxyRules.parseNoProxy(noProxy), isGuard })
    ))))
    return yield* Effect.provide(WebhookTransport, context)
  })

const send = Effect.fnUntraced(function*(transport: WebhookTransport["Service"], url: string, count = 1) {
  const endpoint = { ...endpointAt(url), sending: Sending.make("1", { ...Sending.empty, ca: readFileSync(certificates.ca, "utf8") }) }
  const connection = yield* transport.open(endpoint)
  return yield* Effect.forEach(Array.from({ length: count }), (_, n) => attempt(connection, requestOf(String(n))))
})

const scenario = <E>(name: string, test: Effect.Effect<void, E, Scope.Scope>) => it.live(name, () => Effect.scoped(test))

const secureReceiver = Effect.gen(function*() {
  const seen: Array<string | undefined> = []
  const server = createTls(tls, (request, response) => {
    seen.push(request.headers["proxy-authorization"])
    request.resume().on("end", () => response.end())
  })
  const port = yield* Effect.acquireRelease(listen(server), () => Effect.sync(() => {
    server.close()
    server.closeAllConnections()
  }))
  return { seen, url: `https://receiver.example:${port}/webhook?a=b`, port }
})

scenario("http: the proxy is sent the whole URL, over one connection, and resolves the name", Effect.gen(function*() {
  const proxy = yield* serveProxy()
  const paths: Array<string | undefined> = []
  const hosts: Array<string | undefined> = []
  const receiver = yield* serve((request, response) => {
    paths.push(request.url)
    hosts.push(request.headers.host)
    response.end()
  })
  const transport = yield* through({ proxy: `http://user:p%40ss@127.0.0.1:${proxy.port}` })
  const url = `http://receiver.example:${receiver.port}/webhook?a=b`
  assert.deepStrictEqual(yield* send(transport, url, 3), [accepted, accepted, accepted])
  assert.deepStrictEqual(paths, ["/webhook?a=b", "/webhook?a=b", "/webhook?a=b"])
  assert.deepStrictEqual(new Set(hosts), new Set([`receiver.example:${receiver.port}`]))
  const { authorization } = proxy.asked[0]!
  assert.strictEqual(Buffer.from(authorization!.slice("Basic ".length), "base64").toString(), "user:p@ss")
  assert.deepStrictEqual(proxy.asked.map(({ method, target }) => [method, target]), [["POST", url], ["POST", url], ["POST", url]])
  assert.strictEqual(new Set(proxy.asked.map(({ port }) => port)).size, 1)
}))

scenario("https: a tunnel, used again; the receiver's certificate is verified, and it sees nothing of the proxy's password", Effect.gen(function*() {
  const proxy = yield* serveProxy()
  const receiver = yield* secureReceiver
  const transport = yield* through({ proxy: `http://user:secret@127.0.0.1:${proxy.port}` })
  assert.deepStrictEqual(yield* send(transport, receiver.url, 3), [accepted, accepted, accepted])
  assert.deepStrictEqual(proxy.asked.map(({ method, target }) => [method, target]), [["CONNECT", `receiver.example:${receiver.port}`]])
  assert.isString(proxy.asked[0]!.authorization)
  assert.deepStrictEqual(receiver.seen, [undefined, undefined, undefined])
  const [wrong] = yield* send(transport, receiver.url.replace("receiver.example", "other.example"))
  assert.deepStrictEqual(wrong, noAnswer("TLS failed: ERR_TLS_CERT_ALTNAME_INVALID"))
}))

scenario("hosts of NO_PROXY are reached straight", Effect.gen(function*() {
  const proxy = yield* serveProxy()
  const receiver = yield* serve((_request, response) => void response.end())
  const transport = yield* through({ proxy: `http://127.0.0.1:${proxy.port}`, noProxy: "127.0.0.1" })
  assert.deepStrictEqual(yield* send(transport, receiver.url), [accepted])
  assert.lengthOf(proxy.asked, 0)
}))

scenario("a proxy that refuses is named as such", Effect.gen(function*() {
  for (const status of [403, 407, 502]) {
    const proxy = yield* serveProxy({ status })
    const transport = yield* through({ proxy: `http://127.0.0.1:${proxy.port}` })
    assert.deepStrictEqual(yield* send(transport, "https://receiver.example/"), [noAnswer(`proxy refused: ${status}`)])
  }
  const wantsPassword = yield* serveProxy({ status: 407 })
  const transport = yield* through({ proxy: `http://127.0.0.1:${wantsPassword.port}` })
  assert.deepStrictEqual(yield* send(transport, "http://receiver.example/"), [noAnswer("proxy refused: 407")])
}))

scenario("a proxy that is away, closes, speaks no HTTP, too much of it, or nothing", Effect.gen(function*() {
  const outcome = (port: number) => Effect.flatMap(through({ proxy: `http://127.0.0.1:${port}` }), (transport) => send(transport, "https://receiver.example/"))
  assert.deepStrictEqual(yield* outcome(1), [noAnswer("proxy: connection refused")])
  const scripts: ReadonlyArray<readonly [answer: string | undefined, reason: string]> = [
    [undefined, "proxy: connection closed without an answer"],
    ["220 mail.example\r\n\r\n", "proxy: answer is not HTTP"],
    ["HTTP/1.1 200 OK\r\n\r\nbytes of nobody", "proxy: answer is not HTTP"],
    [`HTTP/1.1 200 OK\r\nx: ${"y".repeat(20_000)}`, "proxy: answer is not HTTP"],
    ["", "timeout after 2 s"]
  ]
  for (const [answer, reason] of scripts) {
    const server = yield* serveBytes((socket) => (answer === undefined ? socket.end() : socket.write(answer)))
    assert.deepStrictEqual(yield* outcome(Number(new URL(server.url).port)), [noAnswer(reason)], reason)
    yield* eventually(`${reason}: its connection is closed`, Effect.sync(() => server.open() === 0))
  }
}))

scenario("an address that is never allowed is not asked of the proxy, unless the proxy is the guard", Effect.gen(function*() {
  const proxy = yield* serveProxy({ status: 403 })
  const text = `http://127.0.0.1:${proxy.port}`
  const urls = ["http://169.254.169.254/latest", "https://169.254.169.254/latest", "https://[fe80::1]/"]
  for (const url of urls) assert.deepStrictEqual(yield* send(yield* through({ proxy: text }), url), [noAnswer("address not allowed")], url)
  assert.lengthOf(proxy.asked, 0)
  const guard = yield* through({ proxy: text, isGuard: true })
  assert.deepStrictEqual(yield* send(guard, urls[1]!), [noAnswer("proxy refused: 403")])
}))

/** Runs in a process of its own, since Node reads extra authorities at its start. */
const CLIENT = `
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Result from "effect/Result"
import { parseProxy } from "./src/domain/ProxyRules.ts"
import * as WebhookTransportHttp from "./src/layers/http/WebhookTransportHttp.ts"
import { ProxySettings } from "./src/services/ProxySettings.ts"
import { notifierDefaults, NotifierSettings } from "./src/services/Settings.ts"
import { WebhookTransport } from "./src/services/WebhookTransport.ts"
const proxy = Result.getOrThrow(parseProxy(process.env.PROXY))
const endpoint = (url) => ({ id: "e", url, order: "key", concurrency: 1, paused: false, pausedReason: undefined })
const request = { body: Buffer.from("{}"), id: "1", sequence: 0, endpointId: "e", epoch: "" }
const program = Effect.forEach(process.env.TARGETS.split(" "), (url) => Effect.gen(function*() {
  const connection = yield* (yield* WebhookTransport).open(endpoint(url))
  return yield* Effect.callback((resume) => connection.send(request, (result) => resume(Effect.succeed(result))))
}))
console.log(JSON.stringify(await Effect.runPromise(program.pipe(Effect.scoped, Effect.provide(WebhookTransportHttp.layer.pipe(
  Layer.provide(Layer.mergeAll(
    Layer.succeed(NotifierSettings, notifierDefaults), Layer.succeed(ProxySettings, { http: proxy, https: proxy, noProxy: [], isGuard: false })
  ))))))))
`

scenario("a proxy that speaks TLS: its certificate is verified, and a tunnel through it holds another TLS", Effect.gen(function*() {
  const proxy = yield* serveProxy({ tls: localTls })
  const secure = yield* secureReceiver
  const plain = yield* serve((_request, response) => void response.end())
  const outcomes = (host: string) =>
    Effect.map(
      Effect.promise(() => promisify(execFile)(process.execPath, ["--input-type=module", "-e", CLIENT], {
        env: {
          PATH: process.env["PATH"], NODE_EXTRA_CA_CERTS: authorities, PROXY: `https://${host}:${proxy.port}`,
          TARGETS: `${secure.url} http://receiver.example:${plain.port}/`
        }
      })),
      ({ stdout }) => JSON.parse(stdout) as unknown
    )
  assert.deepStrictEqual(yield* outcomes("localhost"), [accepted, accepted])
  const wrongName = noAnswer("proxy: TLS failed: ERR_TLS_CERT_ALTNAME_INVALID")
  assert.deepStrictEqual(yield* outcomes("127.0.0.1"), [wrongName, wrongName])
}))

it("shows no password of a proxy", () => {
  const proxy = Result.getOrThrow(ProxyRules.parseProxy("http://user:hush@proxy"))
  assert.notInclude(JSON.stringify(proxy) + String(proxy.authorization), "hush")
  assert.include(Redacted.value(proxy.authorization!), Buffer.from("user:hush").toString("base64"))
})
