/**
 * Webhooks over HTTP/1.1 with keep-alive: one lane (connection) per request in flight, taken from a
 * free list.
 *
 * - `webhook-timestamp` is made per attempt, in seconds, and so is `webhook-signature`, for an endpoint with a secret.
 * - Authorization: what the endpoint has, else the URL's userinfo.
 * - Redirects are not followed: a receiver's redirect would turn the POST into a GET, or carry it
 *   elsewhere.
 * - An attempt ends, at the latest, `attemptTimeoutMs` after it began, whatever the server does:
 *   one timer per endpoint looks at all lanes, so the real limit is up to a tenth above.
 */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import * as Result from "effect/Result"
import type { AttemptResult } from "../../domain/Delivery.ts"
import * as Sending from "../../domain/Sending.ts"
import type { Endpoint } from "../../domain/Subscription.ts"
import * as WebhookUrl from "../../domain/WebhookUrl.ts"
import { NotifierSettings } from "../../services/Settings.ts"
import {
  type EndpointConnection, type OutgoingRequest, WebhookTransport
} from "../../services/WebhookTransport.ts"
import { version } from "../../version.ts"
import { type Connect, connectorFor } from "./connecting.ts"
import { Lane } from "./Lane.ts"
import { type Signer, signerFor } from "./Signer.ts"

const USER_AGENT = `pgstream/${version}`

const stopped: AttemptResult = { _tag: "NoAnswer", reason: "stopped" }

/** What cannot be sent to: every attempt says why. */
const unusable = (reason: string): EndpointConnection => ({
  send: (_request, done) => queueMicrotask(() => done({ _tag: "NoAnswer", reason }))
})

class Connection implements EndpointConnection {
  private readonly idle: Array<Lane> = []
  private readonly lanes = new Set<Lane>()
  private readonly connect: Connect
  private readonly origin: string
  private readonly path: string
  private readonly fixed: ReadonlyArray<string>
  private readonly attemptTimeoutMs: number
  private readonly maxIdle: number
  private timer: NodeJS.Timeout | undefined
  private busy = 0
  private closed = false
  private second = 0
  private secondText = ""
  private readonly signer: Signer | undefined

  /** Throws where the endpoint's certificates cannot be used. */
  constructor(endpoint: Endpoint, target: WebhookUrl.WebhookTarget, attemptTimeoutMs: number) {
    const content = endpoint.sending === undefined ? Sending.empty : Redacted.value(endpoint.sending.content)
    const authorization = content.auth === null ? target.authorization : Sending.authorizationOf(content.auth)
    this.origin = target.origin
    this.connect = connectorFor(target.origin, attemptTimeoutMs, content)
    this.path = target.path
    this.attemptTimeoutMs = attemptTimeoutMs
    this.maxIdle = endpoint.concurrency
    this.signer = signerFor(endpoint.sending)
    this.fixed = [
      "content-type", "application/json",
      "user-agent", USER_AGENT,
      ...(authorization === undefined ? [] : ["authorization", authorization]),
      ...Object.entries(content.headers).flat()
    ]
  }

  send(request: OutgoingRequest, done: (result: AttemptResult) => void): void {
    if (this.closed) return queueMicrotask(() => done(stopped))
    let lane = this.idle.pop()
    if (lane === undefined) {
      lane = new Lane(this.origin, this.connect, this.release)
      this.lanes.add(lane)
    }
    if (++this.busy === 1) this.watch()
    lane.send(
      { path: this.path, headers: this.headersOf(request, Date.now()), body: request.body },
      performance.now() + this.attemptTimeoutMs,
      done
    )
  }

  close(): void {
    this.closed = true
    for (const lane of this.lanes) lane.close()
    this.unwatch()
    this.lanes.clear()
    this.idle.length = 0
  }

  private headersOf(request: OutgoingRequest, nowMs: number): Array<string> {
    const second = Math.floor(nowMs / 1_000)
    if (second !== this.second) {
      this.second = second
      this.secondText = String(second)
      this.signer?.expire(nowMs)
    }
    const headers = [
      ...this.fixed,
      "webhook-id", request.id,
      "webhook-timestamp", this.secondText,
      "webhook-endpoint", request.endpointId
    ]
    if (request.sequence > 0) {
      headers.push("webhook-sequence", String(request.sequence), "webhook-epoch", request.epoch)
    }
    if (this.signer !== undefined) {
      headers.push("webhook-signature", this.signer.sign(request.id, this.secondText, request.body))
    }
    return headers
  }

  private readonly release = (lane: Lane): void => {
    if (--this.busy === 0) this.unwatch()
    if (this.idle.length < this.maxIdle && !this.closed) this.idle.push(lane)
    else {
      this.lanes.delete(lane)
      lane.close()
    }
  }

  private watch(): void {
    this.timer = setInterval(this.expire, Math.max(Math.ceil(this.attemptTimeoutMs / 10), 1))
  }

  private unwatch(): void {
    clearInterval(this.timer)
    this.timer = undefined
  }

  private readonly expire = (): void => {
    const now = performance.now()
    for (const lane of this.lanes) if (lane.deadlineMs <= now) lane.expire(this.attemptTimeoutMs)
  }
}

/** `undefined`: its certificates cannot be used. */
const connectionTo = (endpoint: Endpoint, target: WebhookUrl.WebhookTarget, attemptTimeoutMs: number) => {
  try {
    return new Connection(endpoint, target, attemptTimeoutMs)
  } catch {
    return undefined
  }
}

export const layer = Layer.effect(
  WebhookTransport,
  Effect.gen(function*() {
    const settings = yield* NotifierSettings
    return WebhookTransport.of({
      open: (endpoint) =>
        Effect.gen(function*() {
          const target = WebhookUrl.parse(endpoint.url)
          if (Result.isFailure(target)) return unusable("not a usable URL")
          const connection = yield* Effect.acquireRelease(
            Effect.sync(() => connectionTo(endpoint, target.success, settings.attemptTimeoutMs)),
            (opened) => Effect.sync(() => opened?.close())
          )
          return connection ?? unusable("TLS failed: the endpoint's certificates cannot be used")
        })
    })
  })
)
