/** The address guard on real sockets: what is refused is never connected to, or hears no byte. */
import { assert, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import { lookup } from "node:dns/promises"
import { createServer } from "node:http"
import type { Socket } from "node:net"
import * as AddressRules from "../../src/domain/AddressRules.ts"
import type { AttemptResult } from "../../src/domain/Delivery.ts"
import * as RetryPolicy from "../../src/domain/RetryPolicy.ts"
import * as AddressGuardLive from "../../src/layers/http/AddressGuardLive.ts"
import { connectorFor } from "../../src/layers/http/connecting.ts"
import { listening } from "../../src/layers/http/listening.ts"
import * as WebhookTransportHttp from "../../src/layers/http/WebhookTransportHttp.ts"
import { ADDRESS_NOT_ALLOWED, AddressGuard, AddressGuardSettings, type AddressGuardSettingsShape } from "../../src/services/AddressGuard.ts"
import { notifierDefaults, NotifierSettings } from "../../src/services/Settings.ts"
import { WebhookTransport } from "../../src/services/WebhookTransport.ts"
import { attempt, endpointAt, requestOf } from "../suites/WebhookTransportSuite.ts"
import { eventually } from "../support/eventually.ts"
import { serve, serveBytes } from "../support/webServers.ts"

const refused: AttemptResult = { _tag: "NoAnswer", reason: ADDRESS_NOT_ALLOWED }
const accepted: AttemptResult = { _tag: "Accepted", status: 200 }

const policy = (reach: AddressRules.Reach, ...allowed: Array<string>): AddressGuardSettingsShape => ({
  reach, own: [], allowed: AddressRules.parseAllowedHosts(allowed).allowed
})

const under = (settings: AddressGuardSettingsShape) =>
  Layer.mergeAll(WebhookTransportHttp.layer, AddressGuardLive.layer).pipe(
    Layer.provide(Layer.mergeAll(Layer.succeed(NotifierSettings, notifierDefaults), Layer.succeed(AddressGuardSettings, settings)))
  )

const scenario = <E>(
  name: string, settings: AddressGuardSettingsShape, test: Effect.Effect<void, E, WebhookTransport | AddressGuard | Scope.Scope>
) => it.live(name, () => test.pipe(Effect.scoped, Effect.provide(under(settings))))

const sendTo = Effect.fnUntraced(function*(url: string) {
  return yield* attempt(yield* (yield* WebhookTransport).open(endpointAt(url)), requestOf("a"))
})

/** `undefined`: it passes. */
const checked = (url: string) =>
  Effect.flatMap(AddressGuard, (guard) => guard.check(url)).pipe(Effect.match({ onSuccess: () => undefined, onFailure: (error) => error }))

/** Every way to write the loopback of a server at this port. */
const loopbacks = (port: number): ReadonlyArray<string> => [
  "127.0.0.1", "127.1", "2130706433", "0x7f.0.0.1", "017700000001", "localhost", "LOCALHOST.", "0.0.0.0", "0", "[::1]", "[::ffff:127.0.0.1]",
  "[::ffff:7f00:1]", "[::]", "127.0.0.9", "user:secret@127.0.0.1"
].map((host) => `http://${host}:${port}/webhook`)

scenario("public: no way to write loopback is connected to, and it is no outage", policy("public"), Effect.gen(function*() {
  const server = yield* serve((_request, response) => void response.end())
  for (const url of loopbacks(server.port)) {
    assert.deepStrictEqual(yield* sendTo(url), refused, url)
    const error = yield* checked(url)
    assert.isDefined(error, url)
    assert.match(error!.message, /its address is (?:loopback|unspecified)\. .*PGSTREAM_WEBHOOK_ALLOWED_HOSTS/)
    assert.notInclude(error!.message, "secret")
  }
  assert.strictEqual(server.state.connections, 0)
  assert.strictEqual(RetryPolicy.verdict({ _tag: "NoAnswer", reason: ADDRESS_NOT_ALLOWED }), "park")
}))

scenario("local: loopback is reached, link-local addresses and metadata services are not", policy("local"), Effect.gen(function*() {
  const server = yield* serve((_request, response) => void response.end())
  assert.deepStrictEqual(yield* sendTo(server.url), accepted)
  assert.isUndefined(yield* checked(server.url))
  for (const host of ["169.254.169.254", "[::ffff:169.254.169.254]", "[fd00:ec2::254]", "[64:ff9b::a9fe:a9fe]", "169.254.1.1", "[fe80::1]", "2852039166"]) {
    for (const scheme of ["http", "https"]) assert.deepStrictEqual(yield* sendTo(`${scheme}://${host}/latest/meta-data`), refused, host)
    assert.match((yield* checked(`http://${host}/`))!.message, /its address is (?:metadata|link-local)\. .*a name does not do/)
  }
}))

scenario("public, a name allowed: it reaches loopback by that name alone", policy("public", "localhost"), Effect.gen(function*() {
  const server = yield* serve((_request, response) => void response.end())
  const named = server.url.replace("127.0.0.1", "localhost")
  assert.deepStrictEqual(yield* sendTo(named), accepted)
  assert.isUndefined(yield* checked(named))
  assert.deepStrictEqual(yield* sendTo(server.url), refused)
}))

scenario("public, an address allowed: it is reached by any name", policy("public", "127.0.0.0/8"), Effect.gen(function*() {
  const server = yield* serve((_request, response) => void response.end())
  for (const url of [server.url, server.url.replace("127.0.0.1", "localhost"), server.url.replace("127.0.0.1", "[::ffff:127.0.0.1]")]) {
    assert.deepStrictEqual(yield* sendTo(url), accepted, url)
  }
}))

scenario("what is no URL, and a host without an address, is for others to say", policy("public"), Effect.gen(function*() {
  for (const url of ["nonsense", "ftp://127.0.0.1/", "http://no-such-host.invalid/"]) assert.isUndefined(yield* checked(url))
}))

scenario("our own listeners are never reached, even if all is allowed", policy("local", "0.0.0.0/0", "::/0", "localhost"), Effect.gen(function*() {
  for (const host of ["127.0.0.1", "0.0.0.0"]) {
    let requests = 0
    const own = createServer((_request, response) => {
      requests++
      response.end()
    })
    const port = yield* Effect.scoped(Effect.gen(function*() {
      const listens = yield* listening(own, { what: "test", host, port: 0, setting: "X" })
      for (const url of loopbacks(listens)) {
        assert.deepStrictEqual(yield* sendTo(url), refused, url)
        assert.match((yield* checked(url))!.message, /pgstream itself listens there/)
      }
      assert.strictEqual(requests, 0)
      return listens
    }))
    // Whoever listens there later may be reached.
    yield* eventually("it is forgotten", Effect.map(checked(`http://127.0.0.1:${port}/`), (error) => error === undefined))
  }
}))

scenario("a configured listener counts before it listens", { ...policy("local"), own: [{ host: "", port: 9900 }] }, Effect.gen(function*() {
  assert.deepStrictEqual(yield* sendTo("http://127.0.0.1:9900/webhooks/subscriptions"), refused)
  assert.deepStrictEqual(yield* sendTo("http://localhost:9900/webhooks/subscriptions"), refused)
}))

for (const scheme of ["http", "https"]) {
  scenario(`${scheme}: an address that is another one when it is connected to hears no byte`, policy("local"), Effect.gen(function*() {
    let bytes = 0
    let connections = 0
    const server = yield* serveBytes((_socket, text) => void (bytes += text.length))
    const { port } = new URL(server.url)
    const resolved = yield* Effect.promise(() => lookup("localhost", { all: true }))
    let asked = 0
    // A name that resolves to an allowed address, and a socket that is connected to one that is not.
    const connect = connectorFor(`${scheme}://localhost:${port}`, {
      refusal: () => (++asked > resolved.length ? "loopback" : undefined)
    })
    const failure = yield* Effect.callback<Error | undefined>((resume) => {
      connect(undefined, (error: Error | undefined, socket: Socket | undefined) => {
        connections += socket === undefined ? 0 : 1
        resume(Effect.succeed(error))
      })
    })
    assert.strictEqual(failure?.message, "address not allowed")
    yield* eventually("the connection is closed", Effect.sync(() => server.state.connections === 1 && server.open() === 0))
    assert.deepStrictEqual([bytes, connections], [0, 0])
  }))
}
