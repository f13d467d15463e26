/**
 * The write buffer of the segments: one for all endpoints that are behind, an event in it once. One batch is appended
 * at a time, while the next one gathers. What it holds is held in memory, so it is bounded: over the bound the
 * Dispatcher waits. A failing store is tried again for ever; a stream that was taken over ends the Notifier.
 */
import * as Effect from "effect/Effect"
import * as Latch from "effect/Latch"
import type { SegmentTarget } from "../../../domain/Segment.ts"
import type { Ticket } from "../../../domain/Settlement.ts"
import type { Segments, SegmentsError } from "../../../services/Segments.ts"
import type { Core } from "./Core.ts"
import type { EventFacts } from "./Entry.ts"
import { untilDone } from "./ParkWriter.ts"
import { BufferedEvent, SegmentItem } from "./SegmentItem.ts"
import type { SegmentSide } from "./SegmentSide.ts"

/** Events and bytes of bodies in one segment at most (one larger body goes alone). Half as many cost a tenth more an event; twice as many hold the thread for longer. */
const SEGMENT_EVENTS = 2_000
const SEGMENT_BYTES = 512 * 1024
/** Bytes of bodies that wait at most, with those under way: enough for the next append while one is made. */
const BUFFER_BYTES = 4 * SEGMENT_BYTES
/** A batch below this many bytes waits until the append before is this long ago, ms. */
const SMALL_BYTES = 64 * 1024
const SMALL_PAUSE_MS = 20

export class SegmentWriter {
  private queue: Array<BufferedEvent> = []
  private queuedBytes = 0
  private underWayBytes = 0
  private underWay: ReadonlyArray<BufferedEvent> = []
  private appendedMs = -Infinity
  /** Events that ever came. */
  private added = 0
  private readonly some = Latch.makeUnsafe(false)
  private readonly work = Latch.makeUnsafe(false)
  private readonly core: Core
  private readonly store: Segments["Service"]

  constructor(core: Core, store: Segments["Service"]) {
    this.core = core
    this.store = store
  }

  /** Events that are not durable yet. */
  get size(): number {
    return this.queue.length + this.underWay.length
  }

  /** The last event may get more targets until another event comes. */
  add(side: SegmentSide, event: EventFacts, target: SegmentTarget, ticket: Ticket): void {
    let last = this.queue.at(-1)
    if (last === undefined || last.shared !== event.shared) {
      last = new BufferedEvent(event, ticket)
      this.queue.push(last)
      this.added++
      this.queuedBytes += last.body.byteLength
      this.core.hold(last)
      ticket.open++
      this.bound()
      this.work.openUnsafe()
    }
    const item = new SegmentItem(last, target)
    last.targets.push(item)
    side.add(item)
  }

  /** Copies the bodies that wait, so that the memory that they are in with others may be used again. */
  keepBodies(): void {
    for (const event of this.underWay) event.keepBody()
    for (const event of this.queue) event.keepBody()
  }

  /** Waits until what it holds now is durable. */
  readonly flushed: Effect.Effect<void> = Effect.suspend(() => {
    const until = this.added
    const wait: Effect.Effect<void> = Effect.suspend(() => {
      if (this.added - this.size >= until) return Effect.void
      this.some.closeUnsafe()
      return Effect.andThen(this.some.await, wait)
    })
    return wait
  })

  /** Never ends by itself; fails when the stream was taken over. */
  readonly loop: Effect.Effect<never, SegmentsError> = Effect.suspend(() => {
    if (this.queue.length === 0) {
      this.work.closeUnsafe()
      return this.work.await
    }
    const restMs = this.queuedBytes >= SMALL_BYTES || this.core.stopping ? 0 : this.appendedMs + SMALL_PAUSE_MS - this.core.now()
    return restMs > 0 ? Effect.sleep(restMs) : this.append(this.take())
  }).pipe(Effect.forever)

  private take(): ReadonlyArray<BufferedEvent> {
    let count = 0
    let bytes = 0
    while (count < this.queue.length && count < SEGMENT_EVENTS) {
      const more = this.queue[count]!.body.byteLength
      if (count > 0 && bytes + more > SEGMENT_BYTES) break
      bytes += more
      count++
    }
    this.underWay = this.queue.slice(0, count)
    this.queue = this.queue.slice(count)
    this.underWayBytes = bytes
    this.queuedBytes -= bytes
    return this.underWay
  }

  private append(batch: ReadonlyArray<BufferedEvent>): Effect.Effect<void, SegmentsError> {
    if (!this.core.rules.segmentSettlesAfterDurable) for (const { ticket } of batch) this.core.settle(ticket)
    this.core.hit?.("segments.before_append")
    return Effect.map(untilDone(this.store.append(this.core.stream, batch)), (number) => {
      this.core.hit?.("segments.after_append")
      this.appendedMs = this.core.now()
      this.underWay = []
      this.underWayBytes = 0
      this.written(batch, number)
      this.bound()
      this.some.openUnsafe()
      this.core.idle.openUnsafe()
    })
  }

  private written(batch: ReadonlyArray<BufferedEvent>, number: number): void {
    const counts = new Map<SegmentSide, number>()
    for (const event of batch) {
      for (const item of event.targets) {
        const side = item.side!
        const index = counts.get(side) ?? 0
        counts.set(side, index + 1)
        side.written(item, number, index)
      }
      this.core.release(event)
    }
    if (this.core.rules.segmentSettlesAfterDurable) for (const { ticket } of batch) this.core.settle(ticket)
    for (const side of counts.keys()) side.pump()
  }

  private bound(): void {
    this.core.holdStream("segments", this.queuedBytes + this.underWayBytes > Math.min(BUFFER_BYTES, this.core.settings.maxEndpointBytes))
  }
}

