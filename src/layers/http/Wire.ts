/**
 * One keep-alive connection, from its opening to its end: one request at a time, head and body in one write, the answer
 * read by `HttpResponse` (docs/adr/0011). It belongs to a lane; once it is cut off nothing of it reaches the lane.
 */
import type { OnReadOpts, Socket } from "node:net"
import { HttpResponse } from "../../domain/HttpResponse.ts"
import { CLOSED, type Connect, isStale, reasonOf } from "./connecting.ts"

/** An idle connection is used again up to this, ms; less where the server's `Keep-Alive` says so. */
const IDLE_MS = 30_000
/** A server closes at its limit, not after it: ms by which we are earlier. */
const IDLE_MARGIN_MS = 1_000
/** A request up to this many bytes is one write; the body of a larger one is not copied. */
const JOINED_BYTES = 32 * 1_024
const FIRST_BUFFER_BYTES = 2 * 1_024

/** Where all plain sockets read into: what comes is used up before the next read. */
const readBuffer = Buffer.allocUnsafeSlow(64 * 1_024)

/** What a lane hears of the request under way. */
export interface WireEvents {
  /** The bytes hold only until it returns. */
  received(bytes: Uint8Array, from: number, to: number): void
  /** The answer is whole. */
  complete(): void
  /** The connection ended first; so end answers without a length, too. `stale`: an idle connection that the server had closed, the request was hardly seen. */
  broken(reason: string, stale: boolean): void
}

export class Wire {
  readonly response: HttpResponse
  private lane: WireEvents | undefined
  private readonly prefix: Uint8Array
  private readonly opening: Socket
  private socket: Socket | undefined
  private buffer: Buffer
  private head = ""
  private body: Uint8Array | undefined
  /** A request is under way. */
  private busy = false
  /** It has answered a request: the server may close it while it is idle. */
  private used = false
  private idleUntilMs = Infinity

  /** `prefix`: of each head, from the method on. */
  constructor(lane: WireEvents, prefix: Uint8Array, connect: Connect) {
    this.lane = lane
    this.prefix = prefix
    this.buffer = Buffer.allocUnsafeSlow(FIRST_BUFFER_BYTES + prefix.length)
    this.buffer.set(prefix)
    this.response = new HttpResponse((bytes, from, to) => this.lane?.received(bytes, from, to))
    this.opening = connect(this.reading, this.connected)
  }

  /** It can take another request. Also cuts off what has been idle for too long. */
  fresh(nowMs: number): boolean {
    if (this.lane !== undefined && nowMs >= this.idleUntilMs) this.cut()
    return this.lane !== undefined
  }

  /** `head`: what follows the prefix, empty line included. `body` must not change until the end of the request. */
  send(head: string, body: Uint8Array): void {
    this.busy = true
    this.response.reset()
    this.head = head
    this.body = body
    if (this.socket !== undefined) this.write(this.socket, head, body)
  }

  /** The last call. */
  cut(): void {
    this.lane = undefined
    this.body = undefined
    this.socket?.destroy()
    this.opening.destroy()
  }

  private readonly connected = (error: Error | undefined, socket: Socket | undefined): void => {
    if (this.lane === undefined) return void socket?.destroy()
    if (socket === undefined) return this.fail(error ?? new Error("no socket"))
    this.socket = socket
    socket.on("data", (bytes) => this.read(bytes, bytes.length))
    socket.on("end", () => this.ended())
    socket.on("error", (failure) => this.fail(failure))
    socket.on("close", () => this.ended())
    if (this.busy) this.write(socket, this.head, this.body!)
  }

  private readonly reading: OnReadOpts = {
    buffer: readBuffer,
    callback: (length) => {
      this.read(readBuffer, length)
      return true
    }
  }

  private write(socket: Socket, head: string, body: Uint8Array): void {
    const headBytes = this.prefix.length + head.length
    const bytes = headBytes + body.length
    if (bytes > JOINED_BYTES) {
      socket.cork()
      socket.write(this.prefix)
      socket.write(head, "latin1")
      socket.write(body)
      return socket.uncork()
    }
    if (bytes > this.buffer.length) {
      this.buffer = Buffer.allocUnsafeSlow(Math.min(2 * bytes, JOINED_BYTES))
      this.buffer.set(this.prefix)
    }
    this.buffer.write(head, this.prefix.length, "latin1")
    this.buffer.set(body, headBytes)
    socket.write(this.buffer.subarray(0, bytes))
  }

  private read(bytes: Uint8Array, length: number): void {
    const { lane, response } = this
    if (lane === undefined) return
    // Nothing was asked.
    if (!this.busy) return this.cut()
    const progress = response.push(bytes, length)
    if (this.lane === undefined || progress === "more") return
    this.busy = false
    if (progress === "bad") {
      this.cut()
      return lane.broken(response.problem!, false)
    }
    this.rest(response.consumed === length)
    lane.complete()
  }

  /** The answer is whole; keeps the connection if another request may follow. */
  private rest(clean: boolean): void {
    const idleMs = Math.min(IDLE_MS, this.response.keepAliveMs - IDLE_MARGIN_MS)
    // Answered before the request was written: the body's bytes must not be read once `done` was told.
    const written = this.socket?.writableLength === 0
    if (!clean || !written || !this.response.keepAlive || idleMs <= 0) return this.cut()
    this.used = true
    this.body = undefined
    this.idleUntilMs = performance.now() + idleMs
  }

  /** The server has closed its side. */
  private ended(): void {
    const { lane } = this
    if (lane === undefined) return
    if (!this.busy) return this.cut()
    this.busy = false
    const stale = this.used && !this.response.begun
    this.cut()
    lane.broken(CLOSED, stale)
  }

  private fail(error: Error): void {
    const { lane } = this
    if (lane === undefined) return
    const { busy } = this
    this.busy = false
    this.cut()
    if (busy) lane.broken(reasonOf(error), this.used && !this.response.begun && isStale(error))
  }
}
