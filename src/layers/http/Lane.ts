/**
 * One keep-alive connection to an endpoint: an undici `Client` of its own, with one request at a time. A Client per
 * connection and a free list cost less than a `Pool`, which hands a freed connection on only a turn later
 * (docs/adr/0006).
 */
import type { Client, Dispatcher } from "undici"
import type { AttemptResult } from "../../domain/Delivery.ts"
import { parseRetryAfter } from "./RetryAfter.ts"

/** Bytes of a response body that are kept for the log. */
export const BODY_KEPT_BYTES = 1_024
/** Bytes of a response body that are read before the connection is given up. */
export const BODY_READ_BYTES = 64 * 1_024

export interface LaneRequest {
  readonly path: string
  /** Name, value, name, value, … */
  readonly headers: Array<string>
  readonly body: Uint8Array
}

type Done = (lane: Lane, result: AttemptResult) => void

/** Errors of a connection that the server closed while it was idle: the request was not seen. */
const STALE = new Set(["UND_ERR_SOCKET", "ECONNRESET", "EPIPE", "UND_ERR_INFO"])

const reasonOf = (error: unknown): string => {
  const code = error !== null && typeof error === "object" && "code" in error ? String(error.code) : ""
  if (code === "ECONNREFUSED") return "connection refused"
  if (code === "ENOTFOUND" || code === "EAI_AGAIN") return "host name not found"
  if (code === "UND_ERR_CONNECT_TIMEOUT" || code === "ETIMEDOUT") return "timeout while connecting"
  if (code === "UND_ERR_SOCKET" || code === "ECONNRESET" || code === "EPIPE") return "connection closed without an answer"
  if (code.startsWith("ERR_TLS") || code.includes("CERT") || code.includes("SSL")) return `TLS failed: ${code}`
  if (code.startsWith("HPE_")) return "answer is not HTTP"
  return code === "" ? "request failed" : `request failed: ${code}`
}

export class Lane implements Dispatcher.DispatchHandler {
  /** ms since 1970 at which the attempt under way ends with a timeout; `Infinity` while idle. */
  deadlineMs = Infinity
  private client: Client
  private readonly make: () => Client
  private readonly done: Done
  private request: LaneRequest | undefined
  private callback: ((result: AttemptResult) => void) | undefined
  private controller: Dispatcher.DispatchController | undefined
  private reused = false
  /** Inside `dispatch`: what ends there is reported a turn later, never before `send` returned. */
  private starting = false
  private status = 0
  private retryAfterMs: number | undefined
  private kept: Array<Buffer> = []
  private keptBytes = 0
  private readBytes = 0

  constructor(make: () => Client, done: Done) {
    this.make = make
    this.client = make()
    this.done = done
  }

  /** Only while idle. `callback` belongs to whoever owns the lane: see `take`. */
  send(request: LaneRequest, deadlineMs: number, callback: (result: AttemptResult) => void): void {
    this.request = request
    this.callback = callback
    this.deadlineMs = deadlineMs
    this.start(request)
  }

  private start(request: LaneRequest): void {
    this.status = 0
    this.retryAfterMs = undefined
    this.keptBytes = 0
    this.readBytes = 0
    this.kept = []
    this.starting = true
    this.client.dispatch({ method: "POST", path: request.path, headers: request.headers, body: request.body }, this)
    this.starting = false
  }

  /** Called by the transport's timer. */
  expire(attemptTimeoutMs: number): void {
    this.abandon()
    this.end({ _tag: "NoAnswer", reason: `timeout after ${attemptTimeoutMs / 1_000} s` })
  }

  /** The transport ends: requests under way end with NoAnswer. */
  close(): void {
    const busy = this.request !== undefined
    this.abandon()
    if (busy) this.end({ _tag: "NoAnswer", reason: "stopped" })
  }

  onRequestStart(controller: Dispatcher.DispatchController): void {
    this.controller = controller
  }

  onResponseStart(controller: Dispatcher.DispatchController, statusCode: number, headers: Record<string, string | string[] | undefined>): void {
    if (controller !== this.controller || statusCode < 200) return
    this.status = statusCode
    const value = headers["retry-after"]
    if (typeof value === "string") this.retryAfterMs = parseRetryAfter(value, Date.now())
  }

  onResponseData(controller: Dispatcher.DispatchController, chunk: Buffer): void {
    if (controller !== this.controller) return
    this.readBytes += chunk.length
    if (this.status >= 300 && this.keptBytes < BODY_KEPT_BYTES) {
      const part = Buffer.from(chunk.subarray(0, BODY_KEPT_BYTES - this.keptBytes))
      this.kept.push(part)
      this.keptBytes += part.length
    }
    if (this.readBytes > BODY_READ_BYTES) {
      this.abandon()
      this.finish()
    }
  }

  onResponseEnd(controller: Dispatcher.DispatchController): void {
    if (controller !== this.controller) return
    this.reused = true
    this.finish()
  }

  onResponseError(controller: Dispatcher.DispatchController | undefined, error: Error): void {
    if (this.request === undefined || (this.controller !== undefined && controller !== this.controller)) return
    const code = "code" in error ? String(error.code) : ""
    const request = this.request
    if (this.reused && this.status === 0 && STALE.has(code)) {
      this.reused = false
      this.controller = undefined
      this.start(request)
      return
    }
    this.reused = false
    if (this.status !== 0) {
      this.finish()
      return
    }
    this.end({ _tag: "NoAnswer", reason: reasonOf(error) })
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
          bodyStart: this.keptBytes === 0 ? undefined : Buffer.concat(this.kept).toString("utf8")
        }
    )
  }

  /** Gives the connection up: whatever still comes from it is ignored. */
  private abandon(): void {
    this.controller = undefined
    this.reused = false
    const old = this.client
    this.client = this.make()
    old.destroy().catch(() => undefined)
  }

  private end(result: AttemptResult): void {
    const callback = this.callback
    this.request = undefined
    this.callback = undefined
    this.controller = undefined
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
