/**
 * One request in flight to an endpoint, and the connection that it goes over. A connection that is given up (timeout,
 * too long an answer, the end) is cut off first, so that what still comes from it can reach no later request.
 */
import type { AttemptResult } from "../../domain/Delivery.ts"
import type { Connect } from "./connecting.ts"
import { parseRetryAfter } from "./RetryAfter.ts"
import { Wire, type WireEvents } from "./Wire.ts"

/** Bytes of a response body that are kept for the log. */
export const BODY_KEPT_BYTES = 1_024
/** Bytes of a response body that are read before the connection is given up. */
export const BODY_READ_BYTES = 64 * 1_024

type Done = (lane: Lane, result: AttemptResult) => void

export class Lane implements WireEvents {
  /** `performance.now()` at which the attempt under way ends with a timeout; `Infinity` while idle. */
  deadlineMs = Infinity
  /** Counts the attempts. */
  attempt = 0
  private wire: Wire | undefined
  private readonly prefix: Uint8Array
  private readonly connect: Connect
  private readonly done: Done
  private callback: ((result: AttemptResult) => void) | undefined
  private head = ""
  private body: Uint8Array | undefined
  private kept: Array<Buffer> | undefined
  private keptBytes = 0
  private readBytes = 0

  /** `prefix`: of each request's head. */
  constructor(prefix: Uint8Array, connect: Connect, done: Done) {
    this.prefix = prefix
    this.connect = connect
    this.done = done
  }

  /** Only while idle: the attempt begins; `send` sends its request. `done` is told first, then `callback`. */
  begin(deadlineMs: number, callback: (result: AttemptResult) => void): void {
    this.attempt++
    this.callback = callback
    this.deadlineMs = deadlineMs
  }

  /** `head`: what follows the prefix. Nothing happens where the attempt has ended. */
  send(head: string, body: Uint8Array): void {
    if (this.callback === undefined) return
    this.head = head
    this.body = body
    this.start(head, body)
  }

  /** The attempt ends without a request. */
  refuse(reason: string): void {
    this.end({ _tag: "NoAnswer", reason })
  }

  /** The time of the attempt is over. */
  expire(attemptTimeoutMs: number): void {
    this.giveUp()
    this.end({ _tag: "NoAnswer", reason: `timeout after ${attemptTimeoutMs / 1_000} s` })
  }

  /** Closes a connection that was idle for too long. Only while idle. */
  rest(nowMs: number): void {
    if (this.wire?.fresh(nowMs) === false) this.wire = undefined
  }

  /** The last call: a request under way ends with NoAnswer. */
  close(): void {
    this.giveUp()
    this.end({ _tag: "NoAnswer", reason: "stopped" })
  }

  received(bytes: Uint8Array, from: number, to: number): void {
    this.readBytes += to - from
    if (this.wire!.response.status >= 300 && this.keptBytes < BODY_KEPT_BYTES) {
      const part = Buffer.from(bytes.subarray(from, Math.min(to, from + BODY_KEPT_BYTES - this.keptBytes)))
      this.kept ??= []
      this.kept.push(part)
      this.keptBytes += part.length
    }
    if (this.readBytes <= BODY_READ_BYTES) return
    const result = this.verdict()
    this.giveUp()
    this.end(result)
  }

  complete(): void {
    this.end(this.verdict())
  }

  broken(reason: string, stale: boolean): void {
    // The verdict is there where the status is; at most the rest of the body is not.
    if (this.wire!.response.status !== 0) this.end(this.verdict())
    else if (stale) this.start(this.head, this.body!)
    else this.end({ _tag: "NoAnswer", reason })
  }

  private start(head: string, body: Uint8Array): void {
    this.kept = undefined
    this.keptBytes = 0
    this.readBytes = 0
    if (this.wire?.fresh(performance.now()) !== true) this.wire = new Wire(this, this.prefix, this.connect)
    this.wire.send(head, body)
  }

  private verdict(): AttemptResult {
    const { retryAfter, status } = this.wire!.response
    if (status < 300) return { _tag: "Accepted", status }
    return {
      _tag: "Refused",
      status,
      retryAfterMs: retryAfter === undefined ? undefined : parseRetryAfter(retryAfter, Date.now()),
      bodyStart: this.kept === undefined ? undefined : Buffer.concat(this.kept).toString("utf8")
    }
  }

  private giveUp(): void {
    this.wire?.cut()
    this.wire = undefined
  }

  private end(result: AttemptResult): void {
    const callback = this.callback
    this.callback = undefined
    this.body = undefined
    this.deadlineMs = Infinity
    if (callback === undefined) return
    this.done(this, result)
    callback(result)
  }
}
