/**
 * What a request of the API must satisfy before its body is read: who asks, from where, for what,
 * and in which form.
 *
 * - Loopback only: the Host header must name loopback or the configured address, so that a page
 *   which a browser resolves to 127.0.0.1 by DNS rebinding gets nothing. Beyond loopback any name
 *   may lead here.
 * - A browser's Origin must be the API's own (its docs page); there is no CORS.
 * - With a token, every request carries it.
 */
import * as Redacted from "effect/Redacted"
import { createHash, timingSafeEqual } from "node:crypto"
import type { IncomingHttpHeaders } from "node:http"
import { isIP } from "node:net"
import {
  NoSuchMethod, NoSuchPath, NotAllowed, NotJson, type Refusal, TooLarge, Unauthorized
} from "../../services/ApiProblems.ts"
import type { ApiSettingsShape } from "../../services/Settings.ts"
import { MAX_BODY_BYTES } from "../../services/SubscriptionApi.ts"

export interface Asked {
  readonly method: string
  /** Without the query. */
  readonly path: string
  readonly headers: IncomingHttpHeaders
}

/** Methods of each path, as `Allow` has them. */
const paths: ReadonlyMap<string, string> = new Map([
  ["/webhooks/subscribe", "POST"],
  ["/webhooks/unsubscribe", "POST"],
  ["/webhooks/subscriptions", "GET, HEAD"],
  ["/webhooks/endpoints", "GET, HEAD"],
  ["/webhooks/endpoints/{id}", "PATCH"],
  ["/webhooks/endpoints/{id}/rotate-secret", "POST"],
  ["/docs", "GET, HEAD"],
  ["/openapi.json", "GET, HEAD"]
])

/** `undefined`: there is no such path. */
export const allowedMethods = (path: string): string | undefined =>
  paths.get(path) ?? paths.get(path.replace(/^(\/webhooks\/endpoints\/)[^/{}]+(?=$|\/)/, "$1{id}"))

/** Those that change something. */
export const hasBody = (method: string): boolean => method === "POST" || method === "PATCH"

const digest = (text: string): Buffer => createHash("sha256").update(text, "utf8").digest()

/**
 * Host name of a Host header or an origin, lower case, without port and brackets; `undefined` when
 * it is neither.
 */
const hostName = (authority: string): string | undefined => {
  const url = URL.parse(`http://${authority}`)
  if (url === null || url.username !== "" || url.pathname !== "/") return undefined
  if (url.search !== "" || url.hash !== "") return undefined
  return url.hostname.replace(/^\[|\]$/g, "").toLowerCase()
}

export const isLoopback = (name: string): boolean =>
  name === "localhost" || name.endsWith(".localhost") || name === "::1"
  || (isIP(name) === 4 && name.startsWith("127."))

type Guarded = Pick<ApiSettingsShape, "host" | "token">

const hostProblem = (settings: Guarded) => {
  const configured = settings.host.replace(/^\[|\]$/g, "").toLowerCase()
  const open = !isLoopback(configured)
  return ({ headers: { host } }: Asked): NotAllowed | undefined => {
    const name = hostName(host ?? "")
    if (name !== undefined && (open || isLoopback(name) || name === configured)) return undefined
    return new NotAllowed({
      detail: "The Host header names neither loopback nor the configured address. Use http://localhost with "
        + "the API's port, or let the API listen on another address: "
        + "PGSTREAM_WEBHOOK_SUBSCRIPTION_SERVER_ADDRESS, with PGSTREAM_API_TOKEN."
    })
  }
}

/**
 * Equal to the Host is not enough: after DNS rebinding both are the attacker's name. A token he
 * does not have.
 */
const originProblem = (settings: Guarded) => {
  const configured = settings.host.toLowerCase()
  return ({ headers: { host, origin } }: Asked): NotAllowed | undefined => {
    if (origin === undefined) return undefined
    const url = URL.parse(origin)
    const name = url === null ? undefined : hostName(url.host)
    const own = url !== null && /^https?:$/.test(url.protocol) && url.host === host?.toLowerCase()
    const safe = name !== undefined
      && (isLoopback(name) || name === configured || isIP(name) !== 0 || settings.token !== undefined)
    if (own && safe) return undefined
    return new NotAllowed({
      detail: "A page of another origin cannot use the API: there is no CORS. Send the request from a server or "
        + "from the command line."
    })
  }
}

const tokenProblem = (settings: Guarded) => {
  const expected = settings.token === undefined ? undefined : digest(Redacted.value(settings.token))
  return ({ headers: { authorization } }: Asked): Unauthorized | undefined => {
    if (expected === undefined) return undefined
    const given = /^Bearer +(\S+) *$/i.exec(authorization ?? "")?.[1]
    if (given !== undefined && timingSafeEqual(digest(given), expected)) return undefined
    const seen = authorization === undefined ? "The request has no token" : "The token is not the one of this API"
    return new Unauthorized({ detail: `${seen}. Send it as   Authorization: Bearer <PGSTREAM_API_TOKEN>` })
  }
}

const routeProblem = ({ method, path }: Asked): NoSuchPath | NoSuchMethod | undefined => {
  const methods = allowedMethods(path)
  if (methods === undefined) {
    const known = [...paths.keys()].join(", ")
    return new NoSuchPath({ detail: `There are only ${known}, without a slash at the end.` })
  }
  if (methods.split(", ").includes(method)) return undefined
  return new NoSuchMethod({ detail: `${path} takes ${methods}.` })
}

export const tooLarge = (): TooLarge =>
  new TooLarge({
    detail: `The body is longer than ${MAX_BODY_BYTES} bytes. A subscription needs less than a tenth of that.`
  })

const bodyProblem = ({ headers, method }: Asked): NotJson | TooLarge | undefined => {
  if (!hasBody(method)) return undefined
  const type = (headers["content-type"] ?? "").split(";", 1)[0]!.trim().toLowerCase()
  if (type !== "application/json") {
    return new NotJson({
      detail: "The Content-Type is not application/json. With curl:   -H 'Content-Type: application/json'"
    })
  }
  return Number(headers["content-length"] ?? 0) > MAX_BODY_BYTES ? tooLarge() : undefined
}

/** The first thing that is wrong, or `undefined`. */
export const make = (settings: Guarded): (asked: Asked) => Refusal | undefined => {
  const [host, origin, token] = [hostProblem(settings), originProblem(settings), tokenProblem(settings)]
  return (asked) => host(asked) ?? origin(asked) ?? token(asked) ?? routeProblem(asked) ?? bodyProblem(asked)
}
