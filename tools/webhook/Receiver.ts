/**
 * The tutorial's dummy receiver: answers every POST with 200 and hands its body on, decompressed. For trying things out: it
 * verifies nothing and keeps nothing.
 */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http"
import { type AddressInfo } from "node:net"
import { gunzipSync } from "node:zlib"

/** Bodies above this many bytes are answered with 413, what is compressed and becomes more with 400. */
export const MAX_BODY_BYTES = 64 * 1024 * 1024

export interface Received {
  /** Path of the request, such as `/webhook`. */
  readonly path: string
  readonly headers: Readonly<Record<string, string | ReadonlyArray<string> | undefined>>
  readonly body: string
}

export interface ReceiverOptions {
  /** Default 9910; 0 = a free one. */
  readonly port?: number
  /** Default 127.0.0.1. */
  readonly host?: string
  readonly onEvent: (event: Received) => void
}

export interface Receiver {
  readonly port: number
  /** Stops listening and ends open connections. */
  close(): Promise<void>
}

const answer = (response: ServerResponse, status: number): void => {
  response.writeHead(status).end()
}

/** `undefined`: it is not what its head says, or too large when it is opened. */
const opened = (request: IncomingMessage, body: Buffer): Buffer | undefined => {
  if (request.headers["content-encoding"] !== "gzip") return body
  try {
    return gunzipSync(body, { maxOutputLength: MAX_BODY_BYTES })
  } catch {
    return undefined
  }
}

const handle = (options: ReceiverOptions) => (request: IncomingMessage, response: ServerResponse): void => {
  if (request.method !== "POST") {
    response.setHeader("allow", "POST")
    answer(response, 405)
    return
  }
  const parts: Array<Buffer> = []
  let size = 0
  request.on("data", (part: Buffer) => {
    size += part.length
    if (size <= MAX_BODY_BYTES) parts.push(part)
  })
  request.on("end", () => {
    if (size > MAX_BODY_BYTES) {
      answer(response, 413)
      return
    }
    const body = opened(request, Buffer.concat(parts))
    if (body === undefined) {
      answer(response, 400)
      return
    }
    options.onEvent({ path: request.url ?? "/", headers: request.headers, body: body.toString("utf8") })
    answer(response, 200)
  })
}

const close = (server: Server) => (): Promise<void> =>
  new Promise((resolve) => {
    server.close(() => resolve())
    server.closeAllConnections()
  })

/** Rejects when the port is taken. */
export const startReceiver = (options: ReceiverOptions): Promise<Receiver> =>
  new Promise((resolve, reject) => {
    const server = createServer(handle(options))
    server.once("error", reject)
    server.listen(options.port ?? 9910, options.host ?? "127.0.0.1", () => {
      const address = server.address() as AddressInfo
      resolve({ port: address.port, close: close(server) })
    })
  })

const INDENT = "  "

/** Strings whole, so that what is inside them is left alone; else one character of structure, or a number or word. */
const TOKEN = /"(?:[^"\\]|\\.)*"|[[\]{}:,]|[^\s[\]{}:,"]+/g

/**
 * The event as people read it: indented JSON. The text itself is laid out, so that every digit of a number stays;
 * what is no JSON comes as it is.
 */
export const pretty = (body: string): string => {
  try {
    JSON.parse(body)
  } catch {
    return body
  }
  let depth = 0
  let before = ""
  let text = ""
  for (const [token] of body.matchAll(TOKEN)) {
    const closes = token === "}" || token === "]"
    const empty = closes && (before === "{" || before === "[")
    if (closes) depth--
    if (!empty && (closes || before === "{" || before === "[" || before === ",")) text += `\n${INDENT.repeat(depth)}`
    text += token === ":" ? ": " : token
    if (token === "{" || token === "[") depth++
    before = token
  }
  return text
}
