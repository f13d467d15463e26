/** How sockets to endpoints are opened, and what went wrong with them, in constant words. */
import * as Redacted from "effect/Redacted"
import { connect as connectTcp, isIP, type OnReadOpts, Socket } from "node:net"
import { connect as connectTls, createSecureContext, getCACertificates, type SecureContext } from "node:tls"
import { hostOf } from "../../domain/AddressRules.ts"
import type { Proxy } from "../../domain/ProxyRules.ts"
import { ADDRESS_NOT_ALLOWED } from "../../services/AddressGuard.ts"
import { AddressNotAllowed, type Guard, guardedLookup, NOT_ALLOWED_CODE } from "./guarding.ts"
import { ProxyError, tunnel } from "./proxies.ts"

/**
 * Opens a connection. The socket that is given back is only there to be destroyed; `ready` is called once, later, with
 * one that requests can be written to, or why there is none. `onread`: who reads the bytes of it; where that is not
 * possible (TLS) they come as `data` events.
 */
export type Connect = (
  onread: OnReadOpts | undefined, ready: (error: Error | undefined, socket: Socket | undefined) => void
) => Socket

/** Of one address where a name has several: the next is tried then, ms. Node's 250 is too short for far continents. */
const ADDRESS_ATTEMPT_MS = 1_000
const TCP_KEEPALIVE_MS = 60_000

/** The system's and Node's own authorities. Read once: they are some 300 certificates. */
let authorities: SecureContext | undefined
const trusted = (): SecureContext => {
  authorities ??= createSecureContext({
    ca: [...new Set([...getCACertificates("default"), ...getCACertificates("system")])]
  })
  return authorities
}

/** An endpoint's own certificates, PEM. */
export interface Certificates {
  /** In place of the authorities of the system. */
  readonly ca: string | null
  readonly client: { readonly certificate: string; readonly key: string } | null
}

/** Throws on what is no PEM, or a key of another certificate. */
const contextFor = ({ ca, client }: Certificates): SecureContext => {
  if (ca === null && client === null) return trusted()
  return createSecureContext({
    ca: ca ?? [...getCACertificates("default"), ...getCACertificates("system")],
    ...(client === null ? {} : { cert: client.certificate, key: client.key })
  })
}

const NO_CERTIFICATES: Certificates = { ca: null, client: null }

/** What nobody waits for any more must not end the process. */
const ignore = (): void => undefined

const refused = (ready: Parameters<Connect>[1]): Socket => {
  queueMicrotask(() => ready(new AddressNotAllowed("address not allowed"), undefined))
  return new Socket()
}

/** Straight to the host. The address that it is connected to is judged before anything is written. */
const direct = (host: string, port: number, guard: Guard): Connect => {
  const lookup = guardedLookup(guard, host, port)
  return (onread, ready) => {
    if (isIP(host) !== 0 && guard.refusal(host, host, port) !== undefined) return refused(ready)
    const socket = connectTcp({
      host, port, lookup, autoSelectFamilyAttemptTimeout: ADDRESS_ATTEMPT_MS,
      noDelay: true, keepAlive: true, keepAliveInitialDelay: TCP_KEEPALIVE_MS,
      ...(onread === undefined ? {} : { onread })
    })
    const failed = (error: Error) => ready(error, undefined)
    socket.on("error", ignore).once("error", failed)
    socket.once("connect", () => {
      socket.off("error", failed)
      if (guard.refusal(host, socket.remoteAddress ?? "", port) === undefined) return ready(undefined, socket)
      socket.destroy()
      ready(new AddressNotAllowed("address not allowed"), undefined)
    })
    return socket
  }
}

/** TLS over a connection that `open` makes; sessions are used again. */
const secured = (open: Connect, host: string, secureContext: SecureContext): Connect => {
  const name = isIP(host) === 0 ? { servername: host } : {}
  let session: Buffer | undefined
  return (_onread, ready) =>
    open(undefined, (error, raw) => {
      if (raw === undefined) return ready(error, undefined)
      const socket = connectTls({
        socket: raw, host, secureContext, ALPNProtocols: ["http/1.1"], ...name,
        ...(session === undefined ? {} : { session })
      })
      const failed = (failure: Error) => ready(failure, undefined)
      socket.on("error", ignore).once("error", failed)
      // A session that was made before the certificate was verified would skip that the next time.
      socket.on("session", (made) => {
        if (socket.authorized) session = made
      })
      socket.once("secureConnect", () => {
        socket.off("error", failed)
        ready(undefined, socket)
      })
    })
}

/** Whoever configures the program chose it. */
const unguarded: Guard = { refusal: () => undefined }

/** What goes wrong on the way to the proxy is said to be there. */
const toProxy = (proxy: Proxy): Connect => {
  const plain = direct(proxy.host, proxy.port, unguarded)
  const open = proxy.secure ? secured(plain, proxy.host, trusted()) : plain
  return (onread, ready) =>
    open(onread, (error, socket) =>
      ready(error === undefined ? undefined : new ProxyError(`proxy: ${reasonOf(error)}`), socket))
}

/** By way of a proxy. `isGuard`: it judges where it connects to. */
export interface Route {
  readonly proxy: Proxy
  readonly isGuard: boolean
}

/** The name of the host is resolved by the proxy; an address that stands in the URL is judged here, too. */
const byProxy = (host: string, port: number, secure: boolean, { isGuard, proxy }: Route, guard: Guard): Connect => {
  if (!isGuard && isIP(host) !== 0 && guard.refusal(host, host, port) !== undefined) return (_onread, ready) => refused(ready)
  if (!secure) return toProxy(proxy)
  return tunnel(toProxy(proxy), host, port, proxy.authorization === undefined ? undefined : Redacted.value(proxy.authorization))
}

/**
 * With `https:` the server's certificate is verified. Throws where `certificates` cannot be used. `http:` by way of a
 * proxy: requests are to name the whole URL.
 */
export const connectorFor = (
  origin: string, guard: Guard, certificates = NO_CERTIFICATES, route: Route | undefined = undefined
): Connect => {
  const url = new URL(origin)
  const host = hostOf(url.hostname)
  const secure = url.protocol === "https:"
  const port = Number(url.port === "" ? (secure ? 443 : 80) : url.port)
  const open = route === undefined ? direct(host, port, guard) : byProxy(host, port, secure, route, guard)
  return secure ? secured(open, host, contextFor(certificates)) : open
}

export const CLOSED = "connection closed without an answer"

/** Errors of a connection that the server closed while it was idle: the request was hardly seen, and is sent again. */
export const isStale = (error: Error): boolean => ["ECONNRESET", "EPIPE"].includes(codeOf(error))

const known: ReadonlyMap<string, string> = new Map([
  [NOT_ALLOWED_CODE, ADDRESS_NOT_ALLOWED],
  ["ECONNREFUSED", "connection refused"],
  ["ENOTFOUND", "host name not found"],
  ["EAI_AGAIN", "host name not found"],
  ["EHOSTUNREACH", "host not reachable"],
  ["ENETUNREACH", "host not reachable"],
  ["ETIMEDOUT", "timeout while connecting"],
  ["ECONNRESET", CLOSED],
  ["EPIPE", CLOSED]
])

const codeOf = (error: Error): string => ("code" in error ? String(error.code) : "")

/** Never shows a URL, a host or a value. */
export const reasonOf = (error: Error): string => {
  if (error instanceof ProxyError) return error.message
  const code = codeOf(error)
  const words = known.get(code)
  if (words !== undefined) return words
  if (/^ERR_(TLS|SSL)|CERT|SIGNATURE|^EPROTO$/.test(code)) return `TLS failed: ${code}`
  return /^[A-Z][A-Z0-9_]*$/.test(code) ? `request failed: ${code}` : "request failed"
}
