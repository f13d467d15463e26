/**
 * One socket to the first host of a target that answers, with TLS as the target's `sslmode` says. For both
 * connections: our own replication connection, and the SQL client's (`SocketStream.ts`).
 *
 * As libpq, except: `allow` is `prefer` (TLS where the server has it). Without `sslrootcert` the verify modes trust
 * `~/.postgresql/root.crt`, and Node's own authorities where that is not there (libpq: an error). `require` encrypts and verifies nothing, unless `sslrootcert` is given: then it is
 * `verify-ca`. A Unix socket is never encrypted.
 */
import { PgProtocol } from "@effect/sql-pg"
import * as Redacted from "effect/Redacted"
import { existsSync } from "node:fs"
import { readFile } from "node:fs/promises"
import * as Net from "node:net"
import { homedir } from "node:os"
import { join } from "node:path"
import * as Tls from "node:tls"
import type { ConnectionTarget, HostPort } from "../../../domain/PostgresUrl.ts"
import { fromCause, ServerError, tlsFailed } from "./sourceErrors.ts"

export interface OpenedSocket {
  readonly socket: Net.Socket
  readonly host: HostPort
  readonly encrypted: boolean
}

/** Where a plain socket puts its bytes (Node's `onread`): fewer copies. TLS sockets emit `data` instead. */
export interface ByteReader {
  /** Memory for the next read; asked for after each `received`. */
  next(): Buffer
  /** The first `length` bytes of that memory were filled. `false` pauses the socket. */
  received(length: number): boolean
}

export const socketOptions = ({
  host,
  port
}: HostPort): { readonly path: string } | { readonly host: string; readonly port: number } =>
  host.startsWith("/") ? { path: `${host}/.s.PGSQL.${port}` } : { host, port }

const file = async (what: string, path: string | undefined): Promise<Buffer | undefined> => {
  if (path === undefined) return undefined
  try {
    return await readFile(path)
  } catch (cause) {
    throw tlsFailed(
      `Cannot read the file of ${what}: ${JSON.stringify(path)}.`,
      `Mend ${what} in the URL, or make the file readable for this user.`,
      cause
    )
  }
}

/** Certificates that the server's is verified with; `undefined`: Node's own. */
const authorities = async (target: ConnectionTarget): Promise<Buffer | undefined> => {
  if (target.sslRootCert === "system") return undefined
  if (target.sslRootCert !== undefined) return file("sslrootcert", target.sslRootCert)
  const home = join(homedir(), ".postgresql/root.crt")
  return target.sslMode.startsWith("verify") && existsSync(home) ? file("sslrootcert (by default)", home) : undefined
}

/** Options for `tls.connect` to `host`, by libpq's rules. */
export const tlsOptions = async (
  target: ConnectionTarget,
  host: string
): Promise<Tls.ConnectionOptions> => {
  const [ca, cert, key] = await Promise.all([
    authorities(target),
    file("sslcert", target.sslCert),
    file("sslkey", target.sslKey)
  ])
  const verified = target.sslMode.startsWith("verify") || (target.sslMode === "require" && ca !== undefined)
  const named = target.sslMode === "verify-full"
  return {
    host,
    ...(Net.isIP(host) === 0 ? { servername: host } : {}),
    ...(ca === undefined ? {} : { ca }),
    ...(cert === undefined ? {} : { cert }),
    ...(key === undefined ? {} : { key }),
    ...(target.sslPassword === undefined ? {} : { passphrase: Redacted.value(target.sslPassword) }),
    rejectUnauthorized: verified,
    ...(named ? {} : { checkServerIdentity: () => undefined })
  }
}

const timedOut = (seconds: number) =>
  Object.assign(new Error(`no answer within ${seconds} s`), { code: "ETIMEDOUT" })

/** Resolves with what `arm` hands over; the socket is destroyed on error, time-out and abort. */
const settle = <A>(
  socket: Net.Socket,
  target: ConnectionTarget,
  signal: AbortSignal,
  arm: (done: (value: A) => void, fail: (cause: unknown) => void) => () => void
) =>
  new Promise<A>((resolve, reject) => {
    const end = () => {
      clearTimeout(timer)
      signal.removeEventListener("abort", onAbort)
      socket.off("error", fail)
      socket.off("close", onClose)
      disarm()
    }
    const fail = (cause: unknown) => {
      end()
      socket.on("error", ignore)
      socket.destroy()
      reject(cause instanceof Error ? cause : new Error("the connection was closed"))
    }
    const onAbort = () => fail(new Error("interrupted"))
    const onClose = () => fail(new Error("the server closed the connection"))
    const timer = setTimeout(
      () => fail(timedOut(target.connectTimeoutSeconds)),
      target.connectTimeoutSeconds * 1000
    )
    const disarm = arm((value) => {
      end()
      resolve(value)
    }, fail)
    socket.on("error", fail)
    socket.on("close", onClose)
    signal.addEventListener("abort", onAbort)
    if (signal.aborted) onAbort()
  })

const ignore = () => {}

const plain = (
  target: ConnectionTarget,
  host: HostPort,
  reader: ByteReader | undefined,
  signal: AbortSignal
): Promise<Net.Socket> => {
  const onread =
    reader === undefined
      ? {}
      : {
          onread: {
            buffer: () => reader.next(),
            callback: (length: number) => reader.received(length)
          }
        }
  const socket = Net.connect({
    ...socketOptions(host),
    noDelay: true,
    keepAlive: true,
    keepAliveInitialDelay: 10_000,
    ...onread
  } as Net.NetConnectOpts)
  return settle(socket, target, signal, (done) => {
    const connected = () => done(socket)
    socket.once("connect", connected)
    return () => socket.off("connect", connected)
  })
}

/** Asks for TLS: `S` yes, `N` no. Anything else is an ErrorResponse of a server that does not know the question. */
const askForTls = (socket: Net.Socket, target: ConnectionTarget, signal: AbortSignal): Promise<boolean> =>
  settle(socket, target, signal, (done, fail) => {
    const answered = (bytes: Buffer) => {
      socket.pause()
      if (bytes.length === 1 && bytes[0] === 0x53) return done(true)
      if (bytes.length === 1 && bytes[0] === 0x4e) return done(false)
      return fail(
        new ServerError({
          message: "it answered neither yes nor no to the question for TLS",
          code: "08P01"
        })
      )
    }
    socket.once("data", answered)
    socket.write(PgProtocol.encodeSslRequest())
    return () => socket.off("data", answered)
  })

const upgrade = async (
  raw: Net.Socket,
  target: ConnectionTarget,
  host: string,
  signal: AbortSignal
): Promise<Net.Socket> => {
  const secure = Tls.connect({ ...(await tlsOptions(target, host)), socket: raw })
  return settle(secure, target, signal, (done) => {
    const ready = () => done(secure)
    secure.once("secureConnect", ready)
    return () => secure.off("secureConnect", ready)
  })
}

const openHost = async (
  target: ConnectionTarget,
  host: HostPort,
  reader: ByteReader | undefined,
  signal: AbortSignal
): Promise<OpenedSocket> => {
  const open = async () => ({ socket: await plain(target, host, reader, signal), host, encrypted: false })
  if (target.sslMode === "disable" || host.host.startsWith("/")) return open()
  const optional = target.sslMode === "prefer" || target.sslMode === "allow"
  const raw = await plain(target, host, undefined, signal)
  if (await askForTls(raw, target, signal)) {
    try {
      return { socket: await upgrade(raw, target, host.host, signal), host, encrypted: true }
    } catch (cause) {
      raw.destroy()
      if (!optional || signal.aborted) throw cause
      return open()
    }
  }
  raw.destroy()
  if (optional) return open()
  throw tlsFailed(
    `Cannot connect to ${host.host}:${host.port} with sslmode=${target.sslMode}: the server has no TLS.`,
    "Turn it on in the server (ssl = on), or take sslmode=prefer."
  )
}

/** Tries the hosts in order. Rejects with a `SourceError`, the first host's if all fail. */
export const openSocket = async (
  target: ConnectionTarget,
  reader: ByteReader | undefined,
  signal: AbortSignal
): Promise<OpenedSocket> => {
  let first: unknown
  for (const host of target.hosts) {
    try {
      return await openHost(target, host, reader, signal)
    } catch (cause) {
      first ??= cause
      if (signal.aborted) break
    }
  }
  throw fromCause(target, first)
}
