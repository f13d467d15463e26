/**
 * A stream that can be written to at once and connects by itself (`openSocket`): what `@effect/sql-pg` and `pg`
 * take as their transport, so that hosts and TLS follow one set of rules on both connections.
 */
import type * as Net from "node:net"
import { Duplex } from "node:stream"
import type { ConnectionTarget } from "../../../domain/PostgresUrl.ts"
import { endSilent } from "../endSilent.ts"
import { openSocket } from "./openSocket.ts"

type Done = (error?: Error | null) => void

export class SocketStream extends Duplex {
  #socket: Net.Socket | undefined
  #opening = new AbortController()
  /** At most one write waits for the connection: a Duplex hands over one at a time. */
  #waiting: (() => void) | undefined

  /** `silenceMs`: see `endSilent`. */
  constructor(target: ConnectionTarget, silenceMs?: number) {
    super({ allowHalfOpen: false })
    openSocket(target, undefined, this.#opening.signal).then(
      ({ socket }) => this.#attach(endSilent(socket, silenceMs)),
      (error: Error) => this.destroy(error)
    )
  }

  #attach(socket: Net.Socket): void {
    if (this.destroyed) {
      socket.destroy()
      return
    }
    this.#socket = socket
    socket.on("data", (bytes: Buffer) => {
      if (!this.push(bytes)) socket.pause()
    })
    socket.on("end", () => this.push(null))
    socket.on("error", (error) => this.destroy(error))
    socket.on("close", () => this.destroy())
    socket.resume()
    this.#waiting?.()
    this.#waiting = undefined
  }

  #whenOpen(run: (socket: Net.Socket) => void): void {
    if (this.#socket !== undefined) run(this.#socket)
    else this.#waiting = () => run(this.#socket!)
  }

  /** What `pg` asks of a socket. It is told that it is connected at once: writes wait. */
  connect(): this {
    process.nextTick(() => this.emit("connect"))
    return this
  }
  setNoDelay(): this {
    return this
  }
  setKeepAlive(): this {
    return this
  }
  ref(): this {
    return this
  }
  unref(): this {
    return this
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: Done): void {
    this.#whenOpen((socket) => socket.write(chunk, done))
  }

  override _writev(chunks: Array<{ readonly chunk: Buffer }>, done: Done): void {
    this.#whenOpen((socket) => socket.write(Buffer.concat(chunks.map(({ chunk }) => chunk)), done))
  }

  override _final(done: Done): void {
    this.#whenOpen((socket) => socket.end(() => done()))
  }

  override _read(): void {
    this.#socket?.resume()
  }

  override _destroy(error: Error | null, done: Done): void {
    this.#opening.abort()
    this.#socket?.destroy()
    done(error)
  }
}
