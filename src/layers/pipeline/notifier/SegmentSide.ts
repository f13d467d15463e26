/**
 * What one endpoint has in segments, and how far it is with them: a second stream beside the Dispatcher's, read from the
 * store, and at its end from the write buffer, one event after the other, into the same lanes.
 *
 * `handed` are the events between the cursor and the reader, in order: decided ones leave it at its head. What is taken
 * back from the lanes without an attempt stays in it, and the reader goes back to the first of those; what it meets
 * there again that is decided, or in the lanes, it passes over.
 */
import { isErased } from "../../../domain/Segment.ts"
import type { Segment, SegmentCursor } from "../../../services/Segments.ts"
import type { Core } from "./Core.ts"
import type { EventFacts } from "./Entry.ts"
import { before, compare, type Placed, START } from "./Position.ts"
import { SegmentItem } from "./SegmentItem.ts"

/** Events of one endpoint between its cursor and its reader: behind one that takes long the reader waits. */
const MAX_HANDED = 65_536

/** Where events go: returns whether it took this one. */
export interface SegmentTaker {
  readonly id: string
  take(item: SegmentItem, event: EventFacts, fresh: boolean): boolean
  /** The reader is past one more event, or at the end. */
  met(): void
  /** Something may be taken, or read. */
  pumpSegments(): void
  /** So many more bytes wait, or fewer, since everything before `passed` is decided. */
  waiting(bytes: number, passed: SegmentCursor | undefined): void
  appended(segment: number): void
}

export class SegmentSide {
  /** The reader's own place may not be passed by rows that are later (`limit`). */
  private reached: Placed = START
  private readonly core: Core
  private readonly taker: SegmentTaker
  /** In the write buffer, in order. The first of them is number `written`. */
  private buffered: Array<SegmentItem> = []
  private bufferedHead = 0
  private added = 0
  private durable = 0
  /** The next that the reader takes from the write buffer, by number. */
  private nextBuffered = 0
  private handed: Array<SegmentItem> = []
  private head = 0
  /** Where the reader is in `handed`: at its end it meets new ones. */
  private at = 0
  /** Where it reads from the store next; `undefined`: nothing was ever there. */
  private next: SegmentCursor | undefined
  /** The store has, or may have, events that the reader has not met. */
  private unreadStored = false
  /** Changes whenever an answer of the store that is under way is out of date. */
  private version = 0
  private storedVersion = 0
  /** A read of the store is under way. */
  reading = false
  /** Rows that are there already for events behind the stored cursor: those are not sent again. */
  readonly skip = new Set<string>()
  /** The first event that is not decided, as far as it is durable. */
  cursor: SegmentCursor | undefined

  constructor(core: Core, taker: SegmentTaker) {
    this.core = core
    this.taker = taker
  }

  /** A backlog of before the start. */
  start(cursor: SegmentCursor): void {
    this.next = cursor
    this.unreadStored = true
  }

  // ── from the stream ────────────────────────────────────────────────────────────────────────────────────────────

  add(item: SegmentItem): void {
    if (!this.hasUnread) this.reached = before(item)
    item.side = this
    item.nth = this.added++
    this.buffered.push(item)
    this.taker.waiting(item.bytes, undefined)
  }

  /** It is durable: from here on the store has it. */
  written(item: SegmentItem, segment: number, index: number): void {
    item.segment = segment
    item.index = index
    item.event = undefined
    this.shift()
    if (index === 0) this.taker.appended(segment)
    const wasMet = this.nextBuffered >= this.durable
    if (!wasMet) {
      this.nextBuffered = this.durable
      if (!this.unreadStored) this.next = { segment, index }
      this.unreadStored = true
      this.storedVersion++
    } else if (!this.unreadStored) this.next = { segment, index: index + 1 }
    this.advance()
  }

  private shift(): void {
    this.bufferedHead++
    this.durable++
    if (this.bufferedHead === this.buffered.length) {
      this.buffered = []
      this.bufferedHead = 0
    } else if (this.bufferedHead > 256 && 2 * this.bufferedHead > this.buffered.length) {
      this.buffered = this.buffered.slice(this.bufferedHead)
      this.bufferedHead = 0
    }
  }

  // ── reading ────────────────────────────────────────────────────────────────────────────────────────────────────

  get hasUnread(): boolean {
    return this.unreadStored || this.nextBuffered < this.added
  }

  /** Nothing waits that is not decided. */
  get isEmpty(): boolean {
    return !this.hasUnread && this.head === this.handed.length
  }

  /** The store has something to read, and may be asked. */
  get mustRead(): boolean {
    return this.unreadStored && !this.reading
  }

  /** The reader is where it was before: what it meets is known. */
  get isRereading(): boolean {
    return this.at < this.handed.length
  }

  get isFull(): boolean {
    return !this.isRereading && this.handed.length - this.head >= MAX_HANDED
  }

  /** No row that is later than this may be fed: the reader has earlier events in hand. */
  limit(stream: Placed): Placed {
    if (this.isRereading) return before(this.handed[this.at]!)
    return this.hasUnread ? this.reached : stream
  }

  pump(): void {
    this.taker.pumpSegments()
  }

  /** From the write buffer, as far as the taker goes. */
  takeBuffered(): void {
    while (!this.unreadStored && this.nextBuffered < this.added) {
      const item = this.buffered[this.bufferedHead + this.nextBuffered - this.durable]!
      if (!this.meet(item, item.event!)) return
      this.nextBuffered++
    }
  }

  beginRead(): { readonly from: SegmentCursor; readonly version: number; readonly stored: number } {
    this.reading = true
    return { from: this.next!, version: this.version, stored: this.storedVersion }
  }

  /** An answer of the store; `most`: events that are taken of it at most. */
  endRead(begun: ReturnType<SegmentSide["beginRead"]>, segment: Segment | undefined, most: number): void {
    this.reading = false
    if (begun.version !== this.version) return
    const events = segment?.events ?? []
    // The write under way is durable already, and has not said so yet: the reader takes it from the buffer.
    const isUnderWay = events.length > 0 && this.buffered[this.bufferedHead]?.id === events[0]!.id
    if (segment === undefined || events.length === 0 || isUnderWay) {
      if (begun.stored === this.storedVersion) {
        this.unreadStored = false
        this.taker.met()
      }
      return
    }
    const first = segment.number === begun.from.segment ? begun.from.index : 0
    if (this.reached === START) this.reached = before(events[0]!)
    for (let i = 0; i < events.length; i++) {
      if (i === most) return
      const event = events[i]!
      if (!this.meetStored(event, segment.number, first + i)) return
      if (begun.version !== this.version) return
      this.next = { segment: segment.number, index: first + i + 1 }
    }
  }

  private meetStored(event: Segment["events"][number], segment: number, index: number): boolean {
    const facts: EventFacts = { ...event, shared: undefined, slab: undefined }
    if (this.isRereading) {
      const known = this.handed[this.at]!
      if (known.id !== event.id) throw new Error(`segment ${segment} has ${event.id} at ${index}, where it had ${known.id}`)
      if (isErased(event)) known.state = "decided"
      return this.meet(known, facts)
    }
    const item = new SegmentItem(facts, event.targets[0]!)
    item.segment = segment
    item.index = index
    item.event = undefined
    item.side = this
    if (isErased(event)) item.state = "decided"
    return this.meet(item, facts)
  }

  /** Returns whether the reader goes on behind it. */
  private meet(item: SegmentItem, event: EventFacts): boolean {
    const fresh = !this.isRereading
    if (item.state === "back" || item.state === "unread") {
      const state = item.state
      item.state = "lanes"
      if (!this.taker.take(item, event, fresh)) {
        item.state = state
        return false
      }
    }
    if (fresh) {
      this.handed.push(item)
      if (compare(this.reached, item) < 0) this.reached = item
    }
    this.at++
    this.taker.met()
    if (!this.core.rules.cursorAfterDecided && item.durable) this.core.cursors.changed(this.taker.id, { segment: item.segment, index: item.index + 1 })
    this.advance()
    return true
  }

  // ── what became of it ──────────────────────────────────────────────────────────────────────────────────────────

  decided(item: SegmentItem): void {
    item.state = "decided"
    this.advance()
  }

  /** They leave the lanes without an attempt: the reader goes back to the first. */
  takeBack(items: ReadonlyArray<SegmentItem>): void {
    if (items.length === 0) return
    for (const item of items) item.state = "back"
    let at = this.head
    while (this.handed[at]!.state !== "back") at++
    this.at = Math.min(this.at, at)
    const first = this.handed[this.at]!
    this.version++
    if (!first.durable) {
      this.nextBuffered = first.nth
      return
    }
    this.nextBuffered = this.durable
    this.next = { segment: first.segment, index: first.index }
    this.unreadStored = true
    this.storedVersion++
  }

  /** It ended: nothing waits for it any more. */
  clear(): void {
    this.version++
    this.handed = []
    this.head = 0
    this.at = 0
    this.nextBuffered = this.added
    this.unreadStored = false
    this.skip.clear()
  }

  private advance(): void {
    const { handed } = this
    const from = this.head
    let bytes = 0
    while (this.head < handed.length) {
      const first = handed[this.head]!
      if (first.state !== "decided" || !first.durable || this.head >= this.at) break
      this.cursor = { segment: first.segment, index: first.index + 1 }
      bytes += first.bytes
      this.head++
    }
    if (this.head === from) return
    this.taker.waiting(-bytes, this.cursor)
    this.core.cursors.changed(this.taker.id, this.cursor!)
    if (this.head === handed.length || (this.head > 256 && 2 * this.head > handed.length)) {
      this.at -= this.head
      this.handed = handed.slice(this.head)
      this.head = 0
    }
  }
}

