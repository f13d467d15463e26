/**
 * Webhooks over HTTP/1.1 with keep-alive: one lane (connection) per request in flight, taken from a
 * free list.
 *
 * - `webhook-timestamp` is made per attempt, in seconds, and so is `webhook-signature`, for an endpoint with a secret.
 * - Authorization: what the endpoint has, else the URL's userinfo.
 * - Redirects are not followed: a receiver's redirect would turn the POST into a GET, or carry it
 *   elsewhere.
 * - Every connection passes the address guard, by the address that it is connected to, or goes by way of a proxy that
 *   the environment names (`ProxySettings`).
 * - An attempt ends, at the latest, `attemptTimeoutMs` after it began, whatever the server does:
 *   one timer per endpoint looks at all lanes, so the real limit is up to a tenth above.
 */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import * as Result from "effect/Result"
import type { AttemptResult } from "../../domain/Delivery.ts"
import { proxyFor } from "../../domain/ProxyRules.ts"
import * as Sending from "../../domain/Sending.ts"
import type { Endpoint } from "../../domain/Subscription.ts"
import * as WebhookUrl from "../../domain/WebhookUrl.ts"
import { ADDRESS_NOT_ALLOWED, AddressGuardSettings } from "../../services/AddressGuard.ts"
import { ProxySettings, type ProxySettingsShape } from "../../services/ProxySettings.ts"
import { NotifierSettings } from "../../services/Settings.ts"
import {
  type EndpointConnection, type OutgoingRequest, WebhookTransport
} from "../../services/WebhookTransport.ts"
import { version } from "../../version.ts"
import { compress, MIN_BYTES } from "./compressing.ts"
import { type Connect, connectorFor, type Route } from "./connecting.ts"
import { type Guard, guardOf } from "./guarding.ts"
import { Lane } from "./Lane.ts"
import { Heads, prefixOf } from "./RequestHead.ts"
import { type Signer, signerFor } from "./Signer.ts"

const USER_AGENT = `pgstream/${version}`
/** How often idle connections are looked at that are past their time, ms. */
const SWEEP_MS = 10_000

const stopped: AttemptResult = { _tag: "NoAnswer", reason: "stopped" }

/** What cannot be sent to: every attempt says why. */
const unusable = (reason: string): EndpointConnection => ({
  send: (_request, done) => queueMicrotask(() => done({ _tag: "NoAnswer", reason }))
})

const PROXY_AUTHENTICATION_REQUIRED = 407

const ofProxy = (result: AttemptResult): AttemptResult =>
  result._tag === "Refused" && result.status === PROXY_AUTHENTICATION_REQUIRED
    ? { _tag: "NoAnswer", reason: `proxy refused: ${PROXY_AUTHENTICATION_REQUIRED}` }
    : result

interface ConnectionOptions {
  /** Of each head: what is the same in all of them. */
  readonly prefix: Uint8Array
  readonly connect: Connect
  readonly signer: Signer | undefined
  /** Requests go to a proxy that is told the whole URL: 407 is its answer. */
  readonly absolute: boolean
  readonly gzip: boolean
  readonly concurrency: number
  readonly attemptTimeoutMs: number
}

/** Called once: the address guard has refused an attempt. */
type Refused = () => void

class Connection implements EndpointConnection {
  private readonly idle: Array<Lane> = []
  private readonly lanes = new Set<Lane>()
  private readonly options: ConnectionOptions
  private readonly heads = new Heads()
  private timer: NodeJS.Timeout | undefined
  private sweeper: NodeJS.Timeout | undefined
  private busy = 0
  private closed = false
  private second = 0
  private secondText = ""
  private refused: Refused | undefined

  constructor(options: ConnectionOptions, refused: Refused) {
    this.options = options
    this.refused = refused
  }

  send(request: OutgoingRequest, done: (result: AttemptResult) => void): void {
    if (this.closed) return queueMicrotask(() => done(stopped))
    const lane = this.idle.pop() ?? this.another()
    if (++this.busy === 1) this.watch()
    lane.begin(performance.now() + this.options.attemptTimeoutMs, this.options.absolute ? (result) => done(ofProxy(result)) : done)
    this.tick(Date.now())
    const { body } = request
    const signature = this.options.signer?.sign(request.id, this.secondText, body)
    const signed = signature === undefined ? "" : `webhook-signature: ${signature}\r\n`
    const timestamp = this.secondText
    if (!this.options.gzip || body.length < MIN_BYTES) this.start(lane, this.heads.of(request, timestamp, body.length, signed), body)
    else {
      const { attempt } = lane
      compress(body, (compressed) => {
        const head = this.heads.of(request, timestamp, compressed.length, `${signed}content-encoding: gzip\r\n`)
        if (lane.attempt === attempt) this.start(lane, head, compressed)
      })
    }
  }

  private start(lane: Lane, head: string | undefined, body: Uint8Array): void {
    if (head !== undefined) lane.send(head, body)
    else queueMicrotask(() => lane.refuse("request has a header that HTTP does not allow"))
  }

  close(): void {
    this.closed = true
    for (const lane of this.lanes) lane.close()
    this.unwatch()
    clearInterval(this.sweeper)
    this.lanes.clear()
    this.idle.length = 0
  }

  private another(): Lane {
    const lane = new Lane(this.options.prefix, this.options.connect, this.release)
    this.lanes.add(lane)
    this.sweeper ??= setInterval(this.sweep, SWEEP_MS).unref()
    return lane
  }

  private tick(nowMs: number): void {
    const second = Math.floor(nowMs / 1_000)
    if (second === this.second) return
    this.second = second
    this.secondText = String(second)
    this.options.signer?.expire(nowMs)
  }

  private readonly release = (lane: Lane, result: AttemptResult): void => {
    if (result._tag === "NoAnswer" && result.reason === ADDRESS_NOT_ALLOWED) {
      this.refused?.()
      this.refused = undefined
    }
    if (--this.busy === 0) this.unwatch()
    if (this.idle.length < this.options.concurrency && !this.closed) this.idle.push(lane)
    else {
      this.lanes.delete(lane)
      lane.close()
    }
  }

  private watch(): void {
    this.timer = setInterval(this.expire, Math.max(Math.ceil(this.options.attemptTimeoutMs / 10), 1))
  }

  private unwatch(): void {
    clearInterval(this.timer)
    this.timer = undefined
  }

  private readonly expire = (): void => {
    const now = performance.now()
    for (const lane of this.lanes) if (lane.deadlineMs <= now) lane.expire(this.options.attemptTimeoutMs)
  }

  private readonly sweep = (): void => {
    const now = performance.now()
    for (const lane of this.idle) lane.rest(now)
  }
}

const routeTo = (origin: string, proxies: ProxySettingsShape): Route | undefined => {
  const proxy = proxyFor(proxies, origin)
  return proxy === undefined ? undefined : { proxy, isGuard: proxies.isGuard }
}

/** Its connection, to be closed; or why there is none. */
const connectionTo = (
  endpoint: Endpoint, target: WebhookUrl.WebhookTarget, attemptTimeoutMs: number, guard: Guard, proxies: ProxySettingsShape,
  refused: Refused
): Connection | string => {
  const content = endpoint.sending === undefined ? Sending.empty : Redacted.value(endpoint.sending.content)
  const authorization = content.auth === null ? target.authorization : Sending.authorizationOf(content.auth)
  const route = routeTo(target.origin, proxies)
  const absolute = route !== undefined && target.origin.startsWith("http:")
  const prefix = prefixOf(target.origin, target.path, [
    ["content-type", "application/json"],
    ["user-agent", USER_AGENT],
    ...(absolute && route.proxy.authorization !== undefined
      ? [["proxy-authorization", Redacted.value(route.proxy.authorization)] as const]
      : []),
    ...(authorization === undefined ? [] : [["authorization", authorization] as const]),
    ...Object.entries(content.headers)
  ], absolute)
  if (prefix === undefined) return "the endpoint has a header that HTTP does not allow"
  try {
    return new Connection({
      prefix, attemptTimeoutMs, connect: connectorFor(target.origin, guard, content, route), signer: signerFor(endpoint.sending), absolute,
      gzip: endpoint.gzip === true, concurrency: endpoint.concurrency
    }, refused)
  } catch {
    return "TLS failed: the endpoint's certificates cannot be used"
  }
}

const warning = (endpointId: string) =>
  Effect.logWarning("An endpoint's address is not allowed; nothing is sent to it.").pipe(
    Effect.annotateLogs({ endpointId, allow: "PGSTREAM_WEBHOOK_ALLOWED_HOSTS" })
  )

export const layer = Layer.effect(
  WebhookTransport,
  Effect.gen(function*() {
    const settings = yield* NotifierSettings
    const guard = guardOf(yield* AddressGuardSettings)
    const proxies = yield* ProxySettings
    const runFork = Effect.runForkWith(yield* Effect.context())
    return WebhookTransport.of({
      open: (endpoint) =>
        Effect.gen(function*() {
          const target = WebhookUrl.parse(endpoint.url)
          if (Result.isFailure(target)) return unusable("not a usable URL")
          const connection = connectionTo(endpoint, target.success, settings.attemptTimeoutMs, guard, proxies,
            () => void runFork(warning(endpoint.id)))
          if (typeof connection === "string") return unusable(connection)
          return yield* Effect.acquireRelease(Effect.succeed(connection), (opened) => Effect.sync(() => opened.close()))
        })
    })
  })
)
