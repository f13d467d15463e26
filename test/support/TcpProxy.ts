/** A TCP proxy that can go silent: the connections of that moment stay open and carry nothing more, either way. */
import * as Net from "node:net"

export interface TcpProxy {
  readonly port: number
  /** Bytes of the connections that are open now are not taken any more. New connections work. */
  silence(): void
  /** Every connection, new ones too, carries nothing. */
  silenceAll(): void
  close(): Promise<void>
}

export const startProxy = (targetPort: number): Promise<TcpProxy> => {
  const sockets = new Set<Net.Socket>()
  const silent = new WeakSet<Net.Socket>()
  let all = false
  const pipe = (from: Net.Socket, to: Net.Socket) => {
    from.on("data", (bytes) => {
      if (all || silent.has(from)) return
      if (!to.write(bytes)) {
        from.pause()
        to.once("drain", () => {
          if (!all && !silent.has(from)) from.resume()
        })
      }
    })
    from.on("close", () => {
      sockets.delete(from)
      if (!all && !silent.has(from)) to.destroy()
    })
    from.on("error", () => from.destroy())
    sockets.add(from)
  }
  const server = Net.createServer((client) => {
    const target = Net.connect({ host: "127.0.0.1", port: targetPort, noDelay: true })
    pipe(client, target)
    pipe(target, client)
  })
  return new Promise((resolve) => {
    server.listen(0, "127.0.0.1", () => {
      const address = server.address()
      resolve({
        port: typeof address === "object" && address !== null ? address.port : 0,
        silence: () => {
          for (const socket of sockets) {
            silent.add(socket)
            socket.pause()
          }
        },
        silenceAll: () => {
          all = true
          for (const socket of sockets) socket.pause()
        },
        close: () =>
          new Promise((closed) => {
            for (const socket of sockets) socket.destroy()
            server.close(() => closed())
          })
      })
    })
  })
}
