/** Servers for tests, until the scope ends: of HTTP, and of bytes for what no HTTP server would send. */
import * as Effect from "effect/Effect"
import { createServer, type IncomingMessage, type ServerResponse } from "node:http"
import { type AddressInfo, createServer as createTcp, type Server, type Socket } from "node:net"

export const listen = (server: Server): Effect.Effect<number> =>
  Effect.callback((resume) => {
    server.listen(0, "127.0.0.1", () => resume(Effect.succeed((server.address() as AddressInfo).port)))
  })

/** A web server until the scope ends; counts its connections. */
export const serve = (handle: (request: IncomingMessage, response: ServerResponse, body: Buffer) => void, keepAliveTimeout = 60_000) =>
  Effect.gen(function*() {
    const sockets = new Set<Socket>()
    const state = { connections: 0, requests: 0, open: () => sockets.size }
    const server = createServer({ keepAliveTimeout }, (request, response) => {
      state.requests++
      const parts: Array<Buffer> = []
      request.on("data", (part: Buffer) => parts.push(part))
      request.on("end", () => handle(request, response, Buffer.concat(parts)))
    })
    server.on("connection", (socket: Socket) => {
      state.connections++
      sockets.add(socket)
      socket.on("close", () => sockets.delete(socket))
    })
    const port = yield* Effect.acquireRelease(listen(server), () =>
      Effect.sync(() => {
        server.close()
        server.closeAllConnections()
      }))
    return { port, url: `http://127.0.0.1:${port}/webhook`, state }
  })

/** A server of bytes: `answer` sees each socket and the bytes that came so far. */
export const serveBytes = (answer: (socket: Socket, text: string, connection: number) => void) =>
  Effect.gen(function*() {
    const sockets = new Set<Socket>()
    const state = { connections: 0, texts: [] as Array<string> }
    const server = createTcp((socket) => {
      const mine = state.connections++
      sockets.add(socket)
      state.texts[mine] = ""
      socket.on("close", () => sockets.delete(socket)).on("error", () => undefined)
      socket.on("data", (part) => {
        state.texts[mine] += part.toString("latin1")
        answer(socket, state.texts[mine]!, mine)
      })
    })
    const port = yield* Effect.acquireRelease(listen(server), () =>
      Effect.sync(() => {
        server.close()
        for (const socket of sockets) socket.destroy()
      }))
    return { url: `http://127.0.0.1:${port}/`, state, open: () => sockets.size }
  })
