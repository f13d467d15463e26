/** How sockets to endpoints are opened, and what went wrong with them, in constant words. */
import type { Socket } from "node:net"
import { createSecureContext, getCACertificates, type SecureContext } from "node:tls"
import { buildConnector } from "undici"

/** Opens a socket; the one that is given back may not be connected yet. */
export type Connect = (options: buildConnector.Options, callback: buildConnector.Callback) => Socket | undefined

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

/**
 * `origin`: with `https:` the server's certificate is verified. `timeoutMs`: for the connection alone. Throws where
 * `certificates` cannot be used.
 */
export const connectorFor = (origin: string, timeoutMs: number, certificates = NO_CERTIFICATES): Connect => {
  const tls = origin.startsWith("https:") ? { secureContext: contextFor(certificates) } : {}
  const connector = buildConnector({ allowH2: false, timeout: timeoutMs, ...tls })
  // The types of undici leave out the socket that its connector gives back.
  return connector as unknown as Connect
}

/**
 * Codes of a connection that the server closed while it was idle: the request was hardly seen, and
 * is sent again.
 */
export const STALE_CODES: ReadonlySet<string> = new Set(["UND_ERR_SOCKET", "ECONNRESET", "EPIPE", "UND_ERR_INFO"])

const known: ReadonlyMap<string, string> = new Map([
  ["ECONNREFUSED", "connection refused"],
  ["ENOTFOUND", "host name not found"],
  ["EAI_AGAIN", "host name not found"],
  ["EHOSTUNREACH", "host not reachable"],
  ["ENETUNREACH", "host not reachable"],
  ["UND_ERR_CONNECT_TIMEOUT", "timeout while connecting"],
  ["ETIMEDOUT", "timeout while connecting"],
  ["UND_ERR_SOCKET", "connection closed without an answer"],
  ["ECONNRESET", "connection closed without an answer"],
  ["EPIPE", "connection closed without an answer"],
  ["UND_ERR_RES_CONTENT_LENGTH_MISMATCH", "answer is not HTTP"],
  ["UND_ERR_HEADERS_OVERFLOW", "headers of the answer are too long"]
])

export const codeOf = (error: Error): string => ("code" in error ? String(error.code) : "")

/** Never shows a URL, a host or a value. */
export const reasonOf = (error: Error): string => {
  const code = codeOf(error)
  const words = known.get(code)
  if (words !== undefined) return words
  if (/^ERR_(TLS|SSL)|CERT|SIGNATURE|^EPROTO$/.test(code)) return `TLS failed: ${code}`
  if (error.name === "HTTPParserError") return "answer is not HTTP"
  return /^[A-Z][A-Z0-9_]*$/.test(code) ? `request failed: ${code}` : "request failed"
}
