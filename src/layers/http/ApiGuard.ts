/**
 * What a request of the API must satisfy before its body is read: who asks, from where, for what,
 * and in which form.
 *
 * - Loopback only: the Host header must name loopback or the configured address, so that a page
 *   which a browser resolves to 127.0.0.1 by DNS rebinding gets nothing. Beyond loopback any name
 *   may lead here.
 * - A browser's Origin must be the API's own (its docs page); there is no CORS.
 * - Where there is a token, every request carries one (ApiTokenSet); with scope `read` it only asks.
 */
import type { IncomingHttpHeaders } from "node:http"
import { isIP } from "node:net"
import * as ApiToken from "../../domain/ApiToken.ts"
import type { Caller } from "../../services/ApiCaller.ts"
import {
  NoSuchMethod, NoSuchPath, NotAllowed, NotJson, type Refusal, ScopeTooSmall, StoreUnavailable, TooLarge, Unauthorized
} from "../../services/ApiProblems.ts"
import type { ApiSettingsShape } from "../../services/Settings.ts"
import { MAX_BODY_BYTES } from "../../services/SubscriptionApi.ts"
import { routeOf, routes } from "./ApiRoutes.ts"
import type { Refused, TokenSet } from "./ApiTokenSet.ts"

export interface Asked {
  readonly method: string
  /** Without the query. */
  readonly path: string
  readonly headers: IncomingHttpHeaders
}

/** Those that have one; DELETE names what it removes by its path alone. */
export const hasBody = (method: string): boolean => method === "POST" || method === "PATCH"

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

type Guarded = Pick<ApiSettingsShape, "host" | "hosts">

/** Names that are ours: a page cannot have bound them anew to this address. */
const ownNames = ({ host, hosts = [] }: Guarded): (name: string) => boolean => {
  const known = new Set([host.replace(/^\[|\]$/g, "").toLowerCase(), ...hosts])
  return (name) => isLoopback(name) || known.has(name)
}

const hostProblem = (settings: Guarded) => {
  const isOwn = ownNames(settings)
  const beyond = !isLoopback(settings.host.replace(/^\[|\]$/g, "").toLowerCase())
  const anyName = beyond && (settings.hosts ?? []).length === 0
  return ({ headers: { host } }: Asked): NotAllowed | undefined => {
    const name = hostName(host ?? "")
    if (name !== undefined && (anyName || isOwn(name) || (beyond && isIP(name) !== 0))) return undefined
    return new NotAllowed({
      detail: "The Host header names neither loopback nor the configured address. Use http://localhost with "
        + "the API's port; let the API listen on another address: "
        + "PGSTREAM_WEBHOOK_SUBSCRIPTION_SERVER_ADDRESS, with PGSTREAM_API_TOKEN; or name it in PGSTREAM_API_HOSTS."
    })
  }
}

/**
 * Equal to the Host is not enough: after DNS rebinding both are the attacker's name. A token he
 * does not have.
 */
const originProblem = (settings: Guarded, tokens: TokenSet) => {
  const isOwn = ownNames(settings)
  return ({ headers: { host, origin } }: Asked): NotAllowed | undefined => {
    if (origin === undefined) return undefined
    const url = URL.parse(origin)
    const name = url === null ? undefined : hostName(url.host)
    const own = url !== null && /^https?:$/.test(url.protocol) && url.host === host?.toLowerCase()
    const safe = name !== undefined && (isOwn(name) || isIP(name) !== 0 || tokens.required())
    if (own && safe) return undefined
    return new NotAllowed({
      detail: "A page of another origin cannot use the API: there is no CORS. Send the request from a server or "
        + "from the command line."
    })
  }
}

const seen: Readonly<Record<Exclude<Refused, "unknown">, string>> = {
  missing: "The request has no token",
  wrong: "The token is not one of this API",
  expired: "The token has expired"
}

const callerOf = ({ headers: { authorization } }: Asked, tokens: TokenSet): Caller | Unauthorized | StoreUnavailable => {
  const found = tokens.find(authorization, Date.now())
  if (typeof found !== "string") return found
  if (found === "unknown") {
    return new StoreUnavailable({
      detail: "The store has not said yet which tokens there are, so nobody is let in without PGSTREAM_API_TOKEN; try again."
    })
  }
  return new Unauthorized({
    detail: `${seen[found]}. Send one as   Authorization: Bearer TOKEN   : PGSTREAM_API_TOKEN of the service, or one that`
      + " was made with   pgstream tokens add NAME --scope read|manage"
  })
}

const scopeProblem = ({ name, scope }: Caller, { method }: Asked): ScopeTooSmall | undefined => {
  if (ApiToken.allows(scope, method)) return undefined
  return new ScopeTooSmall({
    detail: `The token ${name} has the scope read, which changes nothing. One with more:   pgstream tokens add NAME --scope manage`
  })
}

const routeProblem = ({ method, path }: Asked): NoSuchPath | NoSuchMethod | undefined => {
  const route = routeOf(path)
  if (route === undefined) {
    const known = routes.map(({ template }) => template).join(", ")
    return new NoSuchPath({ detail: `There are only ${known}, without a slash at the end.` })
  }
  if (route.methods.includes(method)) return undefined
  return new NoSuchMethod({ detail: `${route.template} takes ${route.methods.join(", ")}.` })
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

/** Who asks, or the first thing that is wrong. */
export const make = (settings: Guarded, tokens: TokenSet): (asked: Asked) => Caller | Refusal => {
  const [host, origin] = [hostProblem(settings), originProblem(settings, tokens)]
  return (asked) => {
    const from = host(asked) ?? origin(asked)
    if (from !== undefined) return from
    const caller = callerOf(asked, tokens)
    if ("status" in caller) return caller
    return routeProblem(asked) ?? scopeProblem(caller, asked) ?? bodyProblem(asked) ?? caller
  }
}
