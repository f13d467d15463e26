/** An HTTP proxy for tests: CONNECT and whole URLs, to loopback whatever the name; it records what it was asked. */
import * as Effect from "effect/Effect"
import { createServer, request as httpRequest, type RequestListener } from "node:http"
import { createServer as createTls } from "node:https"
import { connect, type Socket } from "node:net"
import type { Duplex } from "node:stream"
import { listen } from "./webServers.ts"

export interface Asked {
  readonly method: string
  readonly target: string
  readonly authorization: string | undefined
  readonly port: number
}

/** `status`: of an answer to everything, in place of a connection. `tls`: the proxy itself speaks TLS. */
export const serveProxy = (options: { readonly status?: number; readonly tls?: { readonly key: Buffer; readonly cert: Buffer } } = {}) =>
  Effect.gen(function*() {
    const asked: Array<Asked> = []
    const sockets = new Set<Duplex>()
    const forward: RequestListener = (request, response) => {
      const url = URL.parse(request.url ?? "")
      asked.push({ method: request.method ?? "", target: request.url ?? "", authorization: request.headers["proxy-authorization"], port: request.socket.remotePort! })
      if (options.status !== undefined || url === null) return void response.writeHead(options.status ?? 400).end()
      const { "proxy-authorization": _, ...headers } = request.headers
      const onward = httpRequest({ host: "127.0.0.1", port: url.port, path: url.pathname + url.search, method: request.method!, headers }, (answer) => {
        response.writeHead(answer.statusCode!, answer.headers)
        answer.pipe(response)
      })
      onward.on("error", () => response.writeHead(502).end())
      request.pipe(onward)
    }
    const server = options.tls === undefined ? createServer(forward) : createTls(options.tls, forward)
    server.on("connection", (socket: Socket) => sockets.add(socket))
    server.on("connect", (request: { url?: string; headers: Record<string, string | undefined> }, socket: Duplex) => {
      asked.push({ method: "CONNECT", target: request.url ?? "", authorization: request.headers["proxy-authorization"], port: 0 })
      socket.on("error", () => undefined)
      if (options.status !== undefined) return void socket.end(`HTTP/1.1 ${options.status} No\r\n\r\n`)
      const onward = connect(Number(request.url?.split(":").at(-1)), "127.0.0.1", () => {
        socket.write("HTTP/1.1 200 Connection established\r\n\r\n")
        onward.pipe(socket).pipe(onward)
      })
      sockets.add(onward)
      onward.on("error", () => socket.destroy())
    })
    const port = yield* Effect.acquireRelease(listen(server), () =>
      Effect.sync(() => {
        server.close()
        server.closeAllConnections()
        for (const socket of sockets) socket.destroy()
      }))
    return { port, asked }
  })
