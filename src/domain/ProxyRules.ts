/**
 * The proxies that the environment names, and the hosts that are reached without them. Pure.
 *
 * `NO_PROXY`: entries with commas or blanks between; `*` is every host. A name stands for itself and all below it, with
 * or without a leading dot or `*.`; an address for itself alone; `:port` behind either narrows it. (Rules of curl, and
 * the port of Go's net/http.)
 */
import * as Redacted from "effect/Redacted"
import * as Result from "effect/Result"
import { hostOf } from "./AddressRules.ts"
import * as IpAddress from "./IpAddress.ts"

export interface Proxy {
  /** The connection to the proxy itself is TLS. */
  readonly secure: boolean
  readonly host: string
  readonly port: number
  /** Value of Proxy-Authorization, of the userinfo of its URL. */
  readonly authorization: Redacted.Redacted | undefined
}

interface Exception {
  /** Of names and addresses; `*`: every host. */
  readonly host: string
  readonly port: number | undefined
}

export type NoProxy = ReadonlyArray<Exception>

export interface Proxies {
  /** For `http:` endpoints, and for `https:`. */
  readonly http: Proxy | undefined
  readonly https: Proxy | undefined
  readonly noProxy: NoProxy
}

export const none: Proxies = { http: undefined, https: undefined, noProxy: [] }

const decode = (text: string): string => {
  try {
    return decodeURIComponent(text)
  } catch {
    return text
  }
}

/** Without a scheme it is `http:`. A failure says what is wrong, without the text: it may hold a password. */
export const parseProxy = (text: string): Result.Result<Proxy, string> => {
  const given = text.trim()
  const url = URL.parse(/^[a-z][a-z0-9+.-]*:\/\//i.test(given) ? given : `http://${given}`)
  if (url === null || url.hostname === "") return Result.fail("is no URL of a proxy; write for example http://proxy.internal:3128")
  if (url.protocol !== "http:" && url.protocol !== "https:") {
    return Result.fail(`names a proxy of the kind ${url.protocol.slice(0, -1)}; http and https are there`)
  }
  const secure = url.protocol === "https:"
  const userinfo = `${decode(url.username)}:${decode(url.password)}`
  return Result.succeed({
    secure, host: hostOf(url.hostname), port: url.port === "" ? (secure ? 443 : 80) : Number(url.port),
    authorization: userinfo === ":"
      ? undefined
      : Redacted.make(`Basic ${Buffer.from(userinfo, "utf8").toString("base64")}`, { label: "proxy" })
  })
}

const ADDRESS = "address "

/** Addresses in one form, so that two ways to write one are equal. */
const canonical = (host: string): string => {
  const name = hostOf(host)
  const ip = IpAddress.parse(name)
  return ip === undefined ? name : `${ADDRESS}${IpAddress.unmapped(ip).join(".")}`
}

const parseException = (entry: string): Exception => {
  if (entry === "*" || IpAddress.parse(hostOf(entry)) !== undefined) return { host: canonical(entry), port: undefined }
  const [, host = entry, port] = /^(.*?)(?::(\d{1,5}))?$/.exec(entry) ?? []
  return { host: canonical(host.replace(/^\*?\./, "")), port: port === undefined ? undefined : Number(port) }
}

export const parseNoProxy = (text: string): NoProxy =>
  text.split(/[\s,]+/).filter((entry) => entry !== "").map(parseException).filter(({ host }) => host !== "")

const excepts = (noProxy: NoProxy, host: string, port: number): boolean => {
  const asked = canonical(host)
  return noProxy.some((entry) =>
    (entry.port === undefined || entry.port === port)
    && (entry.host === "*" || entry.host === asked || (!asked.startsWith(ADDRESS) && asked.endsWith(`.${entry.host}`)))
  )
}

/** The proxy for `origin` (`https://host:port`); `undefined`: straight to it. */
export const proxyFor = (proxies: Proxies, origin: string): Proxy | undefined => {
  const url = new URL(origin)
  const secure = url.protocol === "https:"
  const proxy = secure ? proxies.https : proxies.http
  if (proxy === undefined) return undefined
  const port = url.port === "" ? (secure ? 443 : 80) : Number(url.port)
  return excepts(proxies.noProxy, url.hostname, port) ? undefined : proxy
}
