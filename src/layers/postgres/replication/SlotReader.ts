/**
 * The state of one stream, whatever carries it: what was read ahead, what is acknowledged, and the signs of life.
 * Plain code, called from socket events; `read` is the way into Effect.
 *
 * - Reading stops while `readAheadBytes` are waiting, and goes on below half of it.
 * - A dense stream of short reads (the walsender flushes each message) is read once a millisecond: a third of the
 *   CPU. A sparse one is read at once.
 * - Status updates go out by a timer whatever the reader does: they keep the connection while nobody pulls.
 * - The memory of a run of frames is used again when the next one is asked for.
 * - Once the stream has failed nothing is acknowledged any more.
 */
import * as Effect from "effect/Effect"
import type { Frame, Frames } from "../../../domain/Frame.ts"
import * as Lsn from "../../../domain/Lsn.ts"
import type { Slab } from "../../../domain/Slabs.ts"
import type { SourceError } from "../../../services/ChangeSource.ts"

/** What carries the stream. */
export interface Wire {
  /** `position` is written, flushed and applied. `sentMs`: time in the message, ms since 1970. */
  sendStatus(position: Lsn.Lsn, sentMs: number, askReply: boolean): void
  /** Reading is stopped by what `batch` returns. */
  resume(): void
  /** The memory of the frame that is being pushed, held. Without it frames have memory of their own. */
  hold?(): Slab
}

/** Frames, and the memory that they are in. */
interface Run extends Frames {
  readonly slabs: ReadonlyArray<Slab>
}

export interface SlotReaderOptions {
  /**
   * Where the slot stands: what status updates say until something is acknowledged. Not where reading starts:
   * after a reconnect that is ahead of what is settled.
   */
  readonly confirmed: Lsn.Lsn
  readonly readAheadBytes: number
  readonly silenceMs: number
  readonly statusIntervalMs: number
}

/** Frames are handed out in runs of about this many bytes. */
const RUN_BYTES = 128 * 1024
/** What a frame costs beside its bytes. */
const FRAME_OVERHEAD_BYTES = 64
const DENSE_READS = 8
const DENSE_GAP_MS = 1
const SHORT_READ_BYTES = 64 * 1024
const COALESCE_MS = 1
const ACKNOWLEDGE_DELAY_MS = 10
const KEPT_STATUS_TIMES = 16
/** A server that is shut down asks again and again whether we have all of it; else it asks once in half its own limit. */
const URGENT_ASKS = 8
const URGENT_WITHIN_MS = 1_000
const POSTGRES_EPOCH_MS = 946_684_800_000

/** Body of a standby status update. */
export const encodeStatus = (position: Lsn.Lsn, sentMs: number, askReply: boolean): Buffer => {
  const body = Buffer.alloc(34)
  body[0] = 0x72
  for (const offset of [1, 9, 17]) Lsn.write(body, offset, position)
  Lsn.write(body, 25, Math.max(0, (sentMs - POSTGRES_EPOCH_MS) * 1000))
  body[33] = askReply ? 1 : 0
  return body
}

export class SlotReader {
  readonly #wire: Wire
  readonly #readAheadBytes: number
  readonly #silenceMs: number
  #runs: Array<Run> = []
  #frames: Array<Frame> = []
  #slabs: Array<Slab> = []
  /** Of the run that was handed out last. */
  #handedOut: ReadonlyArray<Slab> = []
  #memory: Buffer | undefined
  #bytes = 0
  #heldBytes = 0
  #waiter: (() => void) | undefined
  #error: SourceError | undefined
  #acknowledged: Lsn.Lsn
  #acknowledging: NodeJS.Timeout | undefined
  #full = false
  #coalescing: NodeJS.Timeout | undefined
  #quickReads = 0
  #lastReadAt = 0
  #statusTimes: Array<number> = []
  #asks = 0
  #asksSinceMs = 0
  readonly #timer: NodeJS.Timeout
  /** When the server was last known to be there, by `performance.now()`: the machine's clock may be set back. */
  lastSignMs = performance.now()

  constructor(wire: Wire, options: SlotReaderOptions) {
    this.#wire = wire
    this.#acknowledged = options.confirmed
    this.#readAheadBytes = options.readAheadBytes
    this.#silenceMs = options.silenceMs
    this.#timer = setInterval(() => this.#tick(), options.statusIntervalMs)
  }

  /** The stream has begun: the server hears of us at once. */
  begin(): void {
    this.#tick()
  }

  get failed(): boolean {
    return this.#error !== undefined
  }

  /** Nobody pulls: what the server sends is not read. */
  get paused(): boolean {
    return this.#full
  }

  /** Time stamp of the newest timed status update that is at least `ageMs` old; `undefined` while there is none. */
  statusSentBefore(ageMs: number): number | undefined {
    const latest = Date.now() - ageMs
    return this.#statusTimes.findLast((sent) => sent <= latest)
  }

  /** One XLogData frame. The bytes belong to it. */
  push(lsn: Lsn.Lsn, bytes: Buffer, start: number, end: number): void {
    if (bytes !== this.#memory) {
      this.#memory = bytes
      if (this.#wire.hold !== undefined) this.#slabs.push(this.#wire.hold())
    }
    this.#add({ keepalive: false, lsn, bytes, start, end })
  }

  keepalive(walEnd: Lsn.Lsn, replyAsked: boolean): void {
    if (replyAsked) {
      this.#send(false)
      this.#asked()
    }
    this.#add({ keepalive: true, lsn: walEnd, bytes: NO_BYTES, start: 0, end: 0 })
  }

  #asked(): void {
    const now = performance.now()
    if (now - this.#asksSinceMs > URGENT_WITHIN_MS) this.calm()
    this.#asks++
  }

  /** The server asks for a reply over and over, as it does while it is shut down. */
  get urged(): boolean {
    return this.#asks >= URGENT_ASKS
  }

  /** Counts anew. */
  calm(): void {
    this.#asks = 0
    this.#asksSinceMs = performance.now()
  }

  /** Body of a CopyData message. */
  data(bytes: Buffer, start: number, end: number): void {
    const kind = bytes[start]
    if (kind === 0x77) this.push(Lsn.read(bytes, start + 1), bytes, start + 25, end)
    else if (kind === 0x6b) this.keepalive(Lsn.read(bytes, start + 1), bytes[start + 17] === 1)
  }

  #add(frame: Frame): void {
    this.#frames.push(frame)
    const length = frame.end - frame.start
    this.#bytes += length
    this.#heldBytes += length + FRAME_OVERHEAD_BYTES
    if (this.#bytes >= RUN_BYTES) this.#cut()
  }

  #cut(): void {
    this.#runs.push({ frames: this.#frames, bytes: this.#bytes, slabs: this.#slabs })
    this.#frames = []
    this.#bytes = 0
    this.#slabs = []
    this.#memory = undefined
  }

  /** After each read from the socket: wakes whoever waits, and says whether to go on reading. */
  batch(bytesRead: number): boolean {
    this.lastSignMs = performance.now()
    if (this.#frames.length > 0 || this.#runs.length > 0) this.#wake()
    if (this.#heldBytes >= this.#readAheadBytes) this.#full = true
    else if (this.#isDense(bytesRead)) this.#coalesce()
    return !this.#full && this.#coalescing === undefined
  }

  #isDense(bytesRead: number): boolean {
    const now = performance.now()
    const quick = now - this.#lastReadAt < DENSE_GAP_MS
    this.#lastReadAt = now
    this.#quickReads = quick ? Math.min(this.#quickReads + 1, DENSE_READS) : 0
    return this.#quickReads >= DENSE_READS && bytesRead < SHORT_READ_BYTES
  }

  #coalesce(): void {
    this.#coalescing ??= setTimeout(() => {
      this.#coalescing = undefined
      this.#lastReadAt = performance.now()
      if (!this.#full) this.#wire.resume()
    }, COALESCE_MS)
  }

  #wake(): void {
    const waiter = this.#waiter
    this.#waiter = undefined
    waiter?.()
  }

  #take(): Frames | undefined {
    for (const slab of this.#handedOut) slab.release()
    this.#handedOut = []
    if (this.#runs.length === 0 && this.#frames.length > 0) this.#cut()
    const run = this.#runs.shift()
    if (run === undefined) return undefined
    this.#handedOut = run.slabs
    this.#heldBytes -= run.bytes + run.frames.length * FRAME_OVERHEAD_BYTES
    if (this.#full && this.#heldBytes < this.#readAheadBytes / 2) {
      this.#full = false
      if (this.#coalescing === undefined) this.#wire.resume()
    }
    return run
  }

  readonly #arrived = Effect.callback<void>((resume) => {
    if (this.#runs.length > 0 || this.#frames.length > 0 || this.#error !== undefined)
      return resume(Effect.void)
    const waiter = () => resume(Effect.void)
    this.#waiter = waiter
    return Effect.sync(() => {
      if (this.#waiter === waiter) this.#waiter = undefined
    })
  })

  /** What was read before a failure is handed out first. */
  readonly read: Effect.Effect<Frames, SourceError> = Effect.suspend(() => {
    const frames = this.#take()
    if (frames !== undefined) return Effect.succeed(frames)
    return this.#error === undefined ? Effect.andThen(this.#arrived, this.read) : Effect.fail(this.#error)
  })

  acknowledge(position: Lsn.Lsn): void {
    if (position <= this.#acknowledged) return
    this.#acknowledged = position
    this.#acknowledging ??= setTimeout(() => {
      this.#acknowledging = undefined
      this.#send(false)
    }, ACKNOWLEDGE_DELAY_MS)
  }

  #send(askReply: boolean): number {
    const now = Date.now()
    if (this.#error === undefined) this.#wire.sendStatus(this.#acknowledged, now, askReply)
    return now
  }

  #tick(): void {
    this.#statusTimes.push(this.#send(performance.now() - this.lastSignMs >= this.#silenceMs / 2))
    if (this.#statusTimes.length > KEPT_STATUS_TIMES) this.#statusTimes.shift()
  }

  /** The stream is over. The first reason counts. */
  fail(error: SourceError): void {
    if (this.#error !== undefined) return
    this.#error = error
    this.#stop()
    this.#wake()
  }

  /** The last acknowledgement, and no timer more. */
  close(): void {
    this.#stop()
    this.#send(false)
  }

  #stop(): void {
    clearInterval(this.#timer)
    clearTimeout(this.#acknowledging)
    clearTimeout(this.#coalescing)
    this.#acknowledging = undefined
    this.#coalescing = undefined
  }
}

const NO_BYTES = Buffer.alloc(0)
