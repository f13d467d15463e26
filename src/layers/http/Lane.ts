/**
 * One keep-alive connection to an endpoint: an undici `Client` of its own, with one request at a
 * time. A Client per connection and a free list cost less than a `Pool`, which hands a freed
 * connection on only a turn later (docs/adr/0006).
 *
 * A connection that is given up (timeout, too long an answer, the end) is cut off from its lane
 * before it is destroyed, so that what still comes from it can reach no later request.
 */
import type { Socket } from "node:net"
import { Client, type Dispatcher } from "undici"
import type { AttemptResult } from "../../domain/Delivery.ts"
import { codeOf, type Connect, reasonOf, STALE_CODES } from "./connecting.ts"
import { parseRetryAfter } from "./RetryAfter.ts"

/** Bytes of a response body that are kept for the log. */
export const BODY_KEPT_BYTES = 1_024
/** Bytes of a response body that are read before the connection is given up. */
export const BODY_READ_BYTES = 64 * 1_024
/** An idle connection is closed after this, ms; earlier where the server's `Keep-Alive` says so. */
const IDLE_MS = 30_000

const GIVEN_UP = new Error("given up")

export interface LaneRequest {
  readonly path: string
  /** Name, value, name, value, … */
  readonly headers: Array<string>
  readonly body: Uint8Array
}

type Done = (lane: Lane, result: AttemptResult) => void
type Headers = Record<string, string | string[] | undefined>

/** A Client and what its events mean to the lane, as long as it belongs to one. */
class Wire implements Dispatcher.DispatchHandler {
  readonly client: Client
  lane: Lane | undefined
  socket: Socket | undefined
  /** The socket has answered a request: the server may close it while it is idle. */
  used = false

  constructor(lane: Lane, origin: string, connect: Connect) {
    this.lane = lane
    this.client = new Client(origin, {
      allowH2: false,
      headersTimeout: 0,
      bodyTimeout: 0,
      keepAliveTimeout: IDLE_MS,
      connect: (options, callback) => {
        this.used = false
        this.socket = connect(options, callback)
      }
    })
  }

  cut(): void {
    this.lane = undefined
    this.client.destroy().catch(() => undefined)
    // With an error, so that undici hears of a socket that was still connecting.
    this.socket?.destroy(GIVEN_UP)
  }

  /** Nothing to do: undici asks for the method. */
  onRequestStart(): void {}

  onResponseStart(_controller: Dispatcher.DispatchController, statusCode: number, headers: Headers): void {
    this.lane?.answered(statusCode, headers)
  }

  onResponseData(_controller: Dispatcher.DispatchController, chunk: Buffer): void {
    this.lane?.received(chunk)
  }

  onResponseEnd(): void {
    this.used = true
    this.lane?.complete()
  }

  onResponseError(_controller: Dispatcher.DispatchController | undefined, error: Error): void {
    this.lane?.failed(error)
  }
}

export class Lane {
  /** `performance.now()` at which the attempt under way ends with a timeout; `Infinity` while idle. */
  deadlineMs = Infinity
  private wire: Wire
  private readonly origin: string
  private readonly connect: Connect
  private readonly done: Done
  private request: LaneRequest | undefined
  private callback: ((result: AttemptResult) => void) | undefined
  /** Inside `dispatch`: what ends there is reported a turn later, never before `send` returned. */
  private starting = false
  private status = 0
  private retryAfterMs: number | undefined
  private kept: Array<Buffer> | undefined
  private keptBytes = 0
  private readBytes = 0

  constructor(origin: string, connect: Connect, done: Done) {
    this.origin = origin
    this.connect = connect
    this.done = done
    this.wire = new Wire(this, origin, connect)
  }

  /** Only while idle. `done` is told first, then `callback`. */
  send(request: LaneRequest, deadlineMs: number, callback: (result: AttemptResult) => void): void {
    this.request = request
    this.callback = callback
    this.deadlineMs = deadlineMs
    this.start(request)
  }

  /** The time of the attempt is over. */
  expire(attemptTimeoutMs: number): void {
    this.giveUp()
    this.end({ _tag: "NoAnswer", reason: `timeout after ${attemptTimeoutMs / 1_000} s` })
  }

  /** The last call: a request under way ends with NoAnswer. */
  close(): void {
    this.wire.cut()
    if (this.request !== undefined) this.end({ _tag: "NoAnswer", reason: "stopped" })
  }

  answered(statusCode: number, headers: Headers): void {
    if (statusCode < 200) return
    this.status = statusCode
    const value = headers["retry-after"]
    if (typeof value === "string") this.retryAfterMs = parseRetryAfter(value, Date.now())
  }

  received(chunk: Buffer): void {
    this.readBytes += chunk.length
    if (this.status >= 300 && this.keptBytes < BODY_KEPT_BYTES) {
      const part = Buffer.from(chunk.subarray(0, BODY_KEPT_BYTES - this.keptBytes))
      this.kept ??= []
      this.kept.push(part)
      this.keptBytes += part.length
    }
    if (this.readBytes > BODY_READ_BYTES) {
      this.giveUp()
      this.finish()
    }
  }

  complete(): void {
    // Answered before the body was written: its bytes must not be read once `done` was told.
    if (this.wire.socket !== undefined && this.wire.socket.writableLength > 0) this.giveUp()
    this.finish()
  }

  failed(error: Error): void {
    const request = this.request
    if (request === undefined) return
    if (this.status !== 0) {
      // The verdict is there; only the rest of the body is not.
      this.finish()
    } else if (this.wire.used && STALE_CODES.has(codeOf(error))) {
      this.wire.used = false
      this.start(request)
    } else {
      this.end({ _tag: "NoAnswer", reason: reasonOf(error) })
    }
  }

  private start(request: LaneRequest): void {
    this.status = 0
    this.retryAfterMs = undefined
    this.kept = undefined
    this.keptBytes = 0
    this.readBytes = 0
    this.starting = true
    const { body, headers, path } = request
    this.wire.client.dispatch({ method: "POST", path, headers, body }, this.wire)
    this.starting = false
  }

  private finish(): void {
    const status = this.status
    this.end(
      status >= 200 && status < 300
        ? { _tag: "Accepted", status }
        : {
          _tag: "Refused",
          status,
          retryAfterMs: this.retryAfterMs,
          bodyStart: this.kept === undefined ? undefined : Buffer.concat(this.kept).toString("utf8")
        }
    )
  }

  private giveUp(): void {
    this.wire.cut()
    this.wire = new Wire(this, this.origin, this.connect)
  }

  private end(result: AttemptResult): void {
    const callback = this.callback
    this.request = undefined
    this.callback = undefined
    this.deadlineMs = Infinity
    if (callback === undefined) return
    const report = () => {
      this.done(this, result)
      callback(result)
    }
    if (this.starting) queueMicrotask(report)
    else report()
  }
}
