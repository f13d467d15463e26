/**
 * A receiver of bytes that answers by the path of the request, as good and bad receivers do on the wire: what no HTTP
 * server would send, too. Records what came, and counts its sockets.
 *
 * `/ok`, `/slow/200` (ms), `/hang`, `/status/500`, `/status/429/7` (Retry-After), `/reset`, `/loseReply`, …: `SCRIPTS`.
 */
import * as Effect from "effect/Effect"
import { type AddressInfo, createServer, type Server, type Socket } from "node:net"
import { createServer as createTls, type TlsOptions } from "node:tls"

export interface ScriptedRequest {
  readonly path: string
  readonly headers: Readonly<Record<string, string>>
  readonly body: Buffer
  /** Number of its connection, from 0. */
  readonly connection: number
}

/** `rest`: parts of the path behind its name. */
type Script = (socket: Socket, rest: ReadonlyArray<string>) => void

const OK = "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n"

/** Writes the same bytes for as long as somebody takes them. */
const endless = (socket: Socket, piece: Buffer): void => {
  const more = (): void => {
    while (!socket.destroyed && socket.write(piece));
  }
  socket.on("drain", more)
  more()
}

const dripping = (socket: Socket, piece: string): void => {
  const timer = setInterval(() => socket.write(piece), 10)
  socket.once("close", () => clearInterval(timer))
}

export const SCRIPTS: Readonly<Record<string, Script>> = {
  ok: (socket) => void socket.write(OK),
  slow: (socket, [ms]) => void setTimeout(() => socket.write(OK), Number(ms)),
  /** Takes the request, never answers. */
  hang: () => undefined,
  status: (socket, [status, retryAfter]) => {
    const wait = retryAfter === undefined ? "" : `retry-after: ${retryAfter}\r\n`
    socket.write(`HTTP/1.1 ${status} Some Reason\r\n${wait}content-length: 3\r\n\r\nno!`)
  },
  /** Closes the connection hard, the request not taken. */
  reset: (socket) => void socket.resetAndDestroy(),
  /** Takes it, and closes without an answer. */
  loseReply: (socket) => void socket.end(),
  hugeBody: (socket) => {
    socket.write("HTTP/1.1 500 No\r\ntransfer-encoding: chunked\r\n\r\n")
    endless(socket, Buffer.concat([Buffer.from("4000\r\n"), Buffer.alloc(0x4000, "x"), Buffer.from("\r\n")]))
  },
  hugeOk: (socket) => {
    socket.write("HTTP/1.1 200 OK\r\n\r\n")
    endless(socket, Buffer.alloc(0x4000, "x"))
  },
  slowBody: (socket) => {
    socket.write("HTTP/1.1 200 OK\r\ncontent-length: 100000\r\n\r\n")
    dripping(socket, "x")
  },
  hugeHead: (socket) => {
    socket.write("HTTP/1.1 200 OK\r\n")
    endless(socket, Buffer.from(`x-filler: ${"x".repeat(500)}\r\n`.repeat(30)))
  },
  hugeField: (socket) => {
    socket.write("HTTP/1.1 200 OK\r\nx: ")
    endless(socket, Buffer.alloc(0x4000, "x"))
  },
  slowHead: (socket) => {
    socket.write("HTTP/1.1 200 OK\r\nx: ")
    dripping(socket, "x")
  },
  interimFlood: (socket) => endless(socket, Buffer.from("HTTP/1.1 102 Processing\r\n\r\n".repeat(500))),
  slowInterim: (socket) => dripping(socket, "HTTP/1.1 102 Processing\r\n\r\n"),
  hugeTrailers: (socket) => {
    socket.write("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n0\r\n")
    endless(socket, Buffer.from(`x-filler: ${"x".repeat(500)}\r\n`.repeat(30)))
  },
  slowChunks: (socket) => {
    socket.write("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n")
    dripping(socket, "1\r\nx\r\n")
  },
  garbage: (socket) => void socket.write("\x16\x03\x01\x02garbage"),
  /** A whole answer, and bytes that nobody asked for. */
  extra: (socket) => void socket.write(`${OK}HTTP/1.1 500 No\r\ncontent-length: 0\r\n\r\n`),
  /** Closes each connection behind its answer, and says so, or not. */
  close: (socket) => void socket.end("HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"),
  closeSilently: (socket) => void socket.end(OK),
  resetBehind: (socket) => void socket.write(OK, () => socket.resetAndDestroy()),
  untilClose: (socket) => void socket.end("HTTP/1.1 503 No\r\n\r\nbody without a length"),
  breaksOff: (socket) => void socket.end("HTTP/1.1 503 No\r\ncontent-length: 1000\r\nretry-after: 3\r\n\r\nnot now"),
  chunked: (socket) => void socket.write("HTTP/1.1 404 No\r\ntransfer-encoding: chunked\r\n\r\n3;a=b\r\nnot\r\n5\r\n here\r\n0\r\nx: y\r\n\r\n")
}

/** Takes requests off the bytes of one connection. */
const reading = (
  take: (path: string, headers: Readonly<Record<string, string>>, body: Buffer) => void
): ((part: Buffer) => void) => {
  let bytes = Buffer.alloc(0)
  return (part) => {
    bytes = Buffer.concat([bytes, part])
    for (;;) {
      const end = bytes.indexOf("\r\n\r\n")
      if (end < 0) return
      const [first = "", ...lines] = bytes.subarray(0, end).toString("latin1").split("\r\n")
      const headers = Object.fromEntries(lines.map((line) => [line.slice(0, line.indexOf(":")), line.slice(line.indexOf(":") + 2)]))
      const whole = end + 4 + Number(headers["content-length"])
      if (bytes.length < whole) return
      take(first.split(" ")[1] ?? "", headers, bytes.subarray(end + 4, whole))
      bytes = bytes.subarray(whole)
    }
  }
}

const started = (makeServer: (take: (socket: Socket) => void) => Server) =>
  Effect.gen(function*() {
    const sockets = new Set<Socket>()
    const requests: Array<ScriptedRequest> = []
    let connections = 0
    const server = makeServer((socket) => {
      const connection = connections++
      sockets.add(socket)
      socket.on("close", () => sockets.delete(socket)).on("error", () => undefined)
      socket.on("data", reading((path, headers, body) => {
        requests.push({ path, headers, body, connection })
        const [name = "", ...rest] = path.split("/").slice(1)
        const script = SCRIPTS[name]
        if (script === undefined) socket.destroy(new Error(`no script ${name}`))
        else script(socket, rest)
      }))
    })
    const port = yield* Effect.acquireRelease(
      Effect.callback<number>((resume) => {
        server.listen(0, "127.0.0.1", () => resume(Effect.succeed((server.address() as AddressInfo).port)))
      }),
      () =>
        Effect.sync(() => {
          server.close()
          for (const socket of sockets) socket.destroy()
        })
    )
    return { port, requests, open: () => sockets.size, connections: () => connections }
  })

/** Until the scope ends. `urlOf("slow/200")`. */
export const scriptedReceiver = Effect.map(
  started((take) => createServer(take)),
  (receiver) => ({ ...receiver, urlOf: (script: string) => `http://127.0.0.1:${receiver.port}/${script}` })
)

export const scriptedTlsReceiver = (options: TlsOptions, host: string) =>
  Effect.map(
    started((take) => createTls(options, take)),
    (receiver) => ({ ...receiver, urlOf: (script: string) => `https://${host}:${receiver.port}/${script}` })
  )
