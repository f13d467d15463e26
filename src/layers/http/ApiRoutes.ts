/** Paths and methods of the API, read from its definition: what the guard lets through, and what it names. */
import * as HttpApi from "effect/http-api/HttpApi"
import { SubscriptionApi } from "../../services/SubscriptionApi.ts"

export interface Route {
  /** As people read it: `/webhooks/endpoints/{id}`. */
  readonly template: string
  /** `GET, HEAD`, as `Allow` has it. */
  readonly methods: ReadonlyArray<string>
  readonly matches: (path: string) => boolean
}

const literal = (text: string): string => text.replaceAll(/[.*+?^${}()|[\]\\]/g, "\\$&")

/** A parameter is one segment; braces in it are a template that was not filled in. */
const matcher = (path: string): (path: string) => boolean => {
  const parts = path.split("/").map((part) => (part.startsWith(":") ? "[^/{}]+" : literal(part)))
  const pattern = new RegExp(`^${parts.join("/")}$`)
  return (given) => pattern.test(given)
}

const withHead = (methods: ReadonlySet<string>): ReadonlyArray<string> =>
  [...methods].flatMap((method) => (method === "GET" ? ["GET", "HEAD"] : [method]))

/** `paths`: method and path of each endpoint. */
export const make = (paths: ReadonlyArray<readonly [method: string, path: string]>): ReadonlyArray<Route> => {
  const methods = new Map<string, Set<string>>()
  for (const [method, path] of paths) methods.set(path, (methods.get(path) ?? new Set()).add(method))
  return Array.from(methods, ([path, known]) => ({
    template: path.replaceAll(/:([^/]+)/g, "{$1}"), methods: withHead(known), matches: matcher(path)
  }))
}

const declared = (): ReadonlyArray<readonly [string, string]> => {
  const found: Array<readonly [string, string]> = []
  HttpApi.reflect(SubscriptionApi, {
    onGroup: () => undefined,
    onEndpoint: ({ endpoint }) => found.push([endpoint.method, endpoint.path])
  })
  return [...found, ["GET", "/docs"], ["GET", "/openapi.json"]]
}

export const routes: ReadonlyArray<Route> = make(declared())

/** `%zz` and `%ff` are the encoding of no text. */
const isEncoded = (path: string): boolean => {
  try {
    decodeURIComponent(path)
    return true
  } catch {
    return false
  }
}

/** Those without a parameter first: they are not taken for one. `undefined`: there is no such path. */
export const routeOf = (path: string): Route | undefined =>
  routes.find(({ template }) => template === path)
    ?? (isEncoded(path) ? routes.find(({ matches }) => matches(path)) : undefined)
