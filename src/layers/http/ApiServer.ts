/**
 * The subscription API: `/webhooks/…`, `/docs` and `/openapi.json`, on an address of its own.
 *
 * A request is checked (ApiGuard), its body read to a bound, and then handed to the HttpApi as a
 * whole; so a slow or endless body holds a socket and 64 KiB, never a fiber. A mutation that began
 * is not interrupted by a client that leaves. At the end requests under way may take up to
 * `STOP_MS`.
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as HttpEffect from "effect/http/HttpEffect"
import * as HttpRouter from "effect/http/HttpRouter"
import * as HttpServer from "effect/http/HttpServer"
import type { HttpServerRequest } from "effect/http/HttpServerRequest"
import * as HttpServerRespondable from "effect/http/HttpServerRespondable"
import * as HttpApiBuilder from "effect/http-api/HttpApiBuilder"
import * as HttpApiScalar from "effect/http-api/HttpApiScalar"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import { createServer, type IncomingMessage, type ServerResponse } from "node:http"
import type { AddressGuard } from "../../services/AddressGuard.ts"
import { ApiCaller, type Caller } from "../../services/ApiCaller.ts"
import * as Problems from "../../services/ApiProblems.ts"
import type { ApiTokens } from "../../services/ApiTokens.ts"
import type { CopyAsking } from "../../services/CopyAsking.ts"
import type { CopyRequests } from "../../services/CopyRequests.ts"
import type { CurrentStream } from "../../services/CurrentStream.ts"
import type { DeliveryAdmin } from "../../services/DeliveryAdmin.ts"
import type { DeliveryCommands } from "../../services/DeliveryCommands.ts"
import type { Endpoints } from "../../services/Endpoints.ts"
import type { EndpointStore } from "../../services/EndpointStore.ts"
import type { EndpointTests } from "../../services/EndpointTests.ts"
import { ApiSettings, type ApiSettingsShape } from "../../services/Settings.ts"
import { MUST_BE_OBJECT } from "../../services/ApiNamedFields.ts"
import { MAX_BODY_BYTES, SubscriptionApi } from "../../services/SubscriptionApi.ts"
import type { SubscriptionStore } from "../../services/SubscriptionStore.ts"
import type { Verify } from "../../services/Verify.ts"
import * as ApiGuard from "./ApiGuard.ts"
import * as ApiHandlers from "./ApiHandlers.ts"
import * as ApiTokenSet from "./ApiTokenSet.ts"
import { routeOf } from "./ApiRoutes.ts"
import { type ListenError, listening } from "./listening.ts"

/** Names and values of the headers of a request, with its first line, bytes; more is 431. */
const MAX_HEADER_BYTES = 16 * 1_024
/** How long the end waits for requests under way, ms. */
const STOP_MS = 2_000
/** A client that got 503 may come again after this, s. */
const RETRY_AFTER_S = "5"

type WebHandler = (request: Request, context: Context.Context<never>) => Promise<Response>

const PROBLEM = "application/problem+json"

const encodeRefusal = Schema.encodeSync(Schema.Union([
  Problems.InvalidRequest, Problems.Unauthorized, Problems.NotAllowed, Problems.ScopeTooSmall,
  Problems.StoreUnavailable, Problems.NoSuchPath, Problems.NoSuchMethod, Problems.TooLarge, Problems.NotJson,
  Problems.InternalError
]))

type Refused = Parameters<typeof encodeRefusal>[0]

/** No page may frame the docs page and have its buttons pressed, or take an answer for a script or a picture. */
const fixedHeaders: Readonly<Record<string, string>> = {
  "cache-control": "no-store",
  "content-security-policy": "frame-ancestors 'none'",
  "cross-origin-resource-policy": "same-origin",
  "x-content-type-options": "nosniff",
  "x-frame-options": "DENY"
}

const headersFor = (problem: Refused, path: string): Record<string, string> => {
  if (problem.status === 401) return { "www-authenticate": "Bearer realm=\"pgstream\"" }
  if (problem.status === 405) return { allow: routeOf(path)?.methods.join(", ") ?? "" }
  if (problem.status === 503) return { "retry-after": RETRY_AFTER_S }
  return {}
}

/** Answers without the API. What is left of the body is read and dropped by Node until `requestTimeout`. */
const refuse = (response: ServerResponse, problem: Refused, path: string): void => {
  const body = Buffer.from(JSON.stringify(encodeRefusal(problem)))
  response.writeHead(problem.status, {
    "content-type": PROBLEM,
    "content-length": body.length,
    ...fixedHeaders,
    ...headersFor(problem, path)
  })
  response.end(body)
}

/** `undefined`: it is longer than the bound. Never resolves when the client leaves before its end. */
const readBody = (request: IncomingMessage): Promise<Buffer | undefined> =>
  new Promise((resolve) => {
    const parts: Array<Buffer> = []
    let bytes = 0
    request.on("data", (part: Buffer) => {
      bytes += part.length
      if (bytes <= MAX_BODY_BYTES) parts.push(part)
      else resolve(undefined)
    })
    request.on("end", () => resolve(Buffer.concat(parts)))
  })

const isJson = (body: Buffer): boolean => {
  try {
    JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(body))
    return true
  } catch {
    return false
  }
}

const notJson = (body: Buffer) => {
  const problem = `${body.length === 0 ? "is empty" : "is not valid JSON in UTF-8"}; it ${MUST_BE_OBJECT}`
  return new Problems.InvalidRequest({ detail: `The body ${problem}.`, errors: [{ field: "", problem }] })
}

/** From the moment that the answer is complete, it must leave within the limit. */
const limitWriting = (response: ServerResponse, writeTimeoutMs: number): void => {
  response.once("prefinish", () => {
    const timer = setTimeout(() => response.destroy(), writeTimeoutMs)
    response.once("close", () => clearTimeout(timer))
  })
}

const respond = async (response: ServerResponse, answer: Response): Promise<void> => {
  const body = Buffer.from(await answer.arrayBuffer())
  response.writeHead(answer.status, {
    ...Object.fromEntries(answer.headers),
    "content-length": body.length,
    ...fixedHeaders,
    ...(answer.status === 503 ? { "retry-after": RETRY_AFTER_S } : {})
  })
  response.end(body)
}

interface Serving {
  readonly settings: ApiSettingsShape
  readonly tokens: ApiTokenSet.TokenSet
  readonly handler: WebHandler
  readonly underWay: Set<Promise<void>>
}

/** `target`: path and query. */
const answer = async (
  { handler, underWay }: Serving, request: IncomingMessage, response: ServerResponse, target: string, caller: Caller
): Promise<void> => {
  const path = target.split("?", 1)[0]!
  const init: RequestInit = { method: request.method ?? "GET", headers: { accept: "application/json" } }
  if (ApiGuard.hasBody(request.method ?? "")) {
    const body = await readBody(request)
    if (body === undefined) return refuse(response, ApiGuard.tooLarge(), path)
    if (!isJson(body)) return refuse(response, notJson(body), path)
    Object.assign(init, { body, headers: { "content-type": "application/json" } })
  }
  const context: Context.Context<never> = Context.make(ApiCaller, caller)
  const work = handler(new Request(`http://localhost${target}`, init), context)
    .then((answered) => respond(response, answered))
  underWay.add(work)
  try {
    await work
  } finally {
    underWay.delete(work)
  }
}

const listener = (serving: Serving) => {
  const guard = ApiGuard.make(serving.settings, serving.tokens)
  return (request: IncomingMessage, response: ServerResponse): void => {
    limitWriting(response, serving.settings.writeTimeoutMs)
    const target = request.url ?? "/"
    const path = target.split("?", 1)[0]!
    const asked = guard({ method: request.method ?? "", path, headers: request.headers })
    if ("status" in asked) return refuse(response, asked, path)
    answer(serving, request, response, target, asked).catch(() => response.destroy())
  }
}

const routes = Layer.mergeAll(
  HttpApiBuilder.layer(SubscriptionApi, { openapiPath: "/openapi.json" }).pipe(
    Layer.provide(ApiHandlers.layer)
  ),
  HttpApiScalar.layer(SubscriptionApi, { path: "/docs" })
).pipe(Layer.provide(HttpServer.layerServices))

const webHandler = Effect.gen(function*() {
  const api = yield* HttpRouter.toHttpEffect(routes)
  const safe = api.pipe(
    Effect.catchCause((cause) =>
      Effect.andThen(
        Effect.logError("The API failed to answer.", cause),
        HttpServerRespondable.toResponse(
          new Problems.InternalError({ detail: "A fault of the service itself; its log has it." })
        )
      )
    )
  )
  const context = yield* Effect.context<never>()
  return HttpEffect.toWebHandlerWith<never, HttpServerRequest | Scope.Scope>(context)(safe)
})

/** Gives the port; for who chose port 0. */
export const serve = Effect.gen(function*() {
  const settings = yield* ApiSettings
  const handler = yield* webHandler
  const tokens = yield* ApiTokenSet.make(settings.token)
  const underWay = new Set<Promise<void>>()
  const server = createServer({
    headersTimeout: settings.readTimeoutMs,
    requestTimeout: settings.readTimeoutMs,
    connectionsCheckingInterval: Math.max(Math.ceil(settings.readTimeoutMs / 10), 50),
    maxHeaderSize: MAX_HEADER_BYTES
  }, listener({ settings, tokens, handler, underWay }))
  // Bytes bound them; by number Node would leave the last ones out in silence, an Origin perhaps.
  server.maxHeadersCount = 0
  const port = yield* listening(server, {
    what: "subscription API",
    host: settings.host,
    port: settings.port,
    setting: "PGSTREAM_WEBHOOK_SUBSCRIPTION_SERVER_ADDRESS"
  })
  yield* Effect.addFinalizer(() =>
    Effect.promise(() => Promise.allSettled(underWay)).pipe(
      Effect.timeoutOrElse({ duration: STOP_MS, orElse: () => Effect.void })
    )
  )
  return port
})

type Requirements =
  ApiSettings | ApiTokens | CurrentStream | DeliveryAdmin | DeliveryCommands | Verify | CopyAsking | CopyRequests | SubscriptionStore | Endpoints | EndpointStore | EndpointTests | AddressGuard

export const layer: Layer.Layer<never, ListenError, Requirements> = Layer.effectDiscard(serve)
