/**
 * One endpoint: its lanes, its write buffer's side, its parked keys, and what the feeder loads. Each function
 * changes the state and pumps the lanes in one call; there is no fiber, promise or timer per event.
 *
 * An undecided event is in one place: in the lanes (waiting for others, ready, flying, in backoff), in the write
 * buffer (`pending`), or in the table only (counted in `unloaded`, its keys in `parked`).
 */
import { Order, type Ordered } from "../../../domain/Order.ts"
import { ParkedKeys } from "../../../domain/OrderParked.ts"
import { describe, liveDelay, parkedDelay, verdict } from "../../../domain/RetryPolicy.ts"
import type { AttemptResult } from "../../../domain/Delivery.ts"
import type { Endpoint, OrderMode } from "../../../domain/Subscription.ts"
import type { Core } from "./Core.ts"
import type { Entry } from "./Entry.ts"
import { FeedRound } from "./FeedRound.ts"
import { FutureRows } from "./FutureRows.ts"
import type { LanesLink } from "./LanesLink.ts"
import { compare, type Placed } from "./Position.ts"
import type { ParkWriter, WriteOwner } from "./ParkWriter.ts"
import { ReadyQueue } from "./ReadyQueue.ts"

/** Pause between the rounds of a feeder, ms, at least; and as a multiple of the last round's duration. */
const ROUND_PAUSE_MS = 20
const ROUND_PAUSE_FACTOR = 4

/** Runs a round in the background; `roundEnded` says that it is over. */
export type Feed = (lanes: EndpointLanes, round: FeedRound) => void

export class EndpointLanes implements WriteOwner {
  readonly id: string
  endpoint: Endpoint
  /** In force; follows `endpoint.order` when the lanes are empty. */
  mode: OrderMode
  epoch: string
  /** Numbers given. */
  count: number
  /** Numbers were given since the last commit. */
  counted = false
  /** Its last subscription went: everything of it is dropped. */
  gone = false
  dropped = 0
  /** Everything goes to the table: more parked keys than may be kept, or a change of the order under way. */
  everything = false
  parked: ParkedKeys
  readonly future = new FutureRows()
  /** Rows that the lanes or the write buffer have in hand, by event id. */
  readonly known = new Map<string, Entry>()
  /** In the write buffer. */
  readonly pending = new Set<Entry>()
  /** Waiting rows in the table or on the way there, but not in the lanes. */
  unloaded = 0
  fedBytes = 0
  round: FeedRound | undefined
  /** All rows are due in the next round. */
  force = false

  private readonly core: Core
  private readonly writer: ParkWriter
  private readonly feed: Feed
  private readonly order: Order
  private readonly ready = new ReadyQueue()
  private link: LanesLink
  private first: Entry | undefined
  private last: Entry | undefined
  private bytes = 0
  private inFlight = 0
  private nextRoundMs = Infinity
  private earliestRoundMs = 0
  private lastAcceptedMs = 0
  private down = false
  /** The last round stopped at the write buffer: the next write that is durable asks for another. */
  private cut = false

  constructor(
    core: Core,
    writer: ParkWriter,
    feed: Feed,
    endpoint: Endpoint,
    link: LanesLink,
    count: { readonly count: number; readonly epoch: string }
  ) {
    this.core = core
    this.writer = writer
    this.feed = feed
    this.id = endpoint.id
    this.endpoint = endpoint
    this.mode = endpoint.order
    this.link = link
    this.epoch = count.epoch
    this.count = count.count
    this.order = new Order(core.rules)
    this.parked = new ParkedKeys(core.rules)
  }

  /** The order by which new events get their keys. */
  get keyMode(): OrderMode {
    return this.endpoint.order
  }

  // ── from the stream ────────────────────────────────────────────────────────────────────────────────────────────

  /** A new event, later in the stream than all before. */
  submit(entry: Entry): void {
    if (this.gone) return this.discard(entry)
    this.hold(entry)
    if (this.endpoint.paused || this.everything || this.endpoint.order !== this.mode || this.isBehindParked(entry)) {
      entry.dueAtMs = this.core.now()
      return this.toBuffer(entry)
    }
    this.enter(entry)
    this.pump()
  }

  /** What cannot be sent, ever: recorded as dead. */
  recordDead(entry: Entry): void {
    if (this.gone) return this.discard(entry)
    this.hold(entry)
    entry.state = "dead"
    this.toBuffer(entry)
  }

  /** A row of the table enters the lanes, in the place that Order gives it. */
  load(entry: Entry): void {
    this.hold(entry)
    this.fedBytes += entry.body.byteLength
    this.unloaded = Math.max(0, this.unloaded - 1)
    if (!this.everything) this.parked.remove(entry.keys)
    this.known.set(entry.id, entry)
    this.enter(entry)
    if (!this.core.rules.feederUnderOrder) this.makeReady(entry)
    this.pump()
  }

  /** The stream has reached `place`: rows parked before the start count from there on. */
  reach(place: Placed): void {
    if (this.future.size === 0) return
    const before = this.unloaded
    this.future.reach(place, (row) => {
      if (row.state === "waiting") this.addStored(row.keys)
    })
    if (this.unloaded > before) this.request(this.core.now())
  }

  /** A row in the table that is not in the lanes. */
  addStored(keys: Entry["keys"]): void {
    this.unloaded++
    if (!this.everything) this.addParked(keys)
  }

  private isBehindParked(entry: Entry): boolean {
    return this.core.rules.parkedKeysFirst && this.parked.conflicts(entry.keys)
  }

  private enter(entry: Entry): void {
    entry.previous = this.last
    entry.next = undefined
    if (this.last === undefined) this.first = entry
    else this.last.next = entry
    this.last = entry
    entry.where = "waiting"
    if (this.order.add(entry)) this.makeReady(entry)
  }

  /** Out of the lanes; who waited for it alone becomes ready. */
  private leave(entry: Entry): void {
    entry.where = "out"
    if (entry.previous === undefined) this.first = entry.next
    else entry.previous.next = entry.next
    if (entry.next === undefined) this.last = entry.previous
    else entry.next.previous = entry.previous
    entry.previous = undefined
    entry.next = undefined
    if (entry.stored) {
      this.fedBytes -= entry.body.byteLength
      this.round?.room.openUnsafe()
    }
    this.order.remove(entry, this.freed)
  }

  private readonly freed = (event: Ordered): void => {
    const entry = event as Entry
    if (entry.where === "waiting") this.makeReady(entry)
  }

  private makeReady(entry: Entry): void {
    entry.where = "ready"
    this.ready.push(entry)
  }

  // ── attempts ───────────────────────────────────────────────────────────────────────────────────────────────────

  private get limit(): number {
    return this.mode === "total" ? 1 : this.endpoint.concurrency
  }

  pump(): void {
    while (this.inFlight < this.limit && !this.core.stopping && !this.endpoint.paused) {
      const entry = this.ready.shift()
      if (entry === undefined) return
      this.send(entry)
    }
  }

  private send(entry: Entry): void {
    entry.where = "flying"
    if (entry.firstAttemptMs === 0) entry.firstAttemptMs = this.core.now()
    this.inFlight++
    this.core.inFlight++
    const link = this.link
    link.inFlight++
    link.connection.send(entry, (result) => this.answered(entry, link, result))
  }

  private answered(entry: Entry, link: LanesLink, result: AttemptResult): void {
    if (this.core.closed) return
    this.core.hit?.("dispatcher.after_reply")
    this.inFlight--
    link.ended()
    entry.attempts++
    if (result._tag === "Accepted") this.accepted(entry)
    else this.failed(entry, result)
    this.settleMode()
    this.pump()
    if (--this.core.inFlight === 0) this.core.idle.openUnsafe()
  }

  private accepted(entry: Entry): void {
    const recovered = this.down
    this.down = false
    this.lastAcceptedMs = this.core.now()
    this.leave(entry)
    this.release(entry)
    if (entry.stored) {
      this.writer.push(this, entry, "remove")
      if (this.unloaded > 0) this.request(this.core.now())
    }
    if (recovered) this.requestAll()
    this.settle(entry)
  }

  private failed(entry: Entry, result: AttemptResult): void {
    const { settings, grips } = this.core
    if (this.gone) {
      this.leave(entry)
      this.release(entry)
      this.forget(entry.id)
      return this.discard(entry)
    }
    entry.lastError = describe(result)
    const now = this.core.now()
    if (entry.stored) entry.retries++
    else if (!this.endpoint.paused) {
      const delay = liveDelay(settings, result, entry.attempts, now - entry.firstAttemptMs, grips.random())
      if (delay !== undefined) return this.backOff(entry, now + delay)
    }
    if (verdict(result) === "retry" && this.lastAcceptedMs < entry.firstAttemptMs) this.down = true
    const delay = parkedDelay(settings, result, entry.retries, grips.random())
    if (delay === undefined) entry.state = "dead"
    else entry.dueAtMs = now + delay
    this.park(entry)
  }

  private backOff(entry: Entry, untilMs: number): void {
    entry.where = "backoff"
    this.core.alarms.at(untilMs, () => {
      if (entry.where !== "backoff") return
      this.makeReady(entry)
      this.pump()
    })
  }

  // ── parking ────────────────────────────────────────────────────────────────────────────────────────────────────

  /** To the table, with all that waits behind it. */
  private park(entry: Entry): void {
    const behind = this.core.rules.parkWithDependents ? (this.order.dependents(entry) as Array<Entry>) : []
    this.putAway([entry, ...behind], entry)
  }

  /** `changed`: the one whose row has to be written again; other rows are in the table as they are. */
  private putAway(entries: Array<Entry>, changed: Entry | undefined): void {
    const now = this.core.now()
    for (const entry of entries) entry.where = "out"
    for (const entry of entries) this.leave(entry)
    for (const entry of entries.sort(compare)) {
      if (entry !== changed && entry.stored) this.unload(entry)
      else {
        if (entry !== changed) entry.dueAtMs = now
        this.toBuffer(entry)
      }
    }
  }

  /** A fed row goes back; the table has it as it is. */
  private unload(entry: Entry): void {
    this.release(entry)
    this.forget(entry.id)
    this.addStored(entry.keys)
    this.round?.back(entry)
  }

  private toBuffer(entry: Entry): void {
    entry.where = "out"
    this.unloaded++
    if (!this.everything && this.core.rules.writeBufferHolds) this.addParked(entry.keys)
    this.known.set(entry.id, entry)
    this.pending.add(entry)
    this.round?.written(entry)
    this.writer.push(this, entry, entry.stored ? "update" : "insert")
    if (!this.core.rules.settleAfterDurable) this.settle(entry)
  }

  /** Durable: from here on the table answers for it. */
  written(entry: Entry): void {
    this.pending.delete(entry)
    this.forget(entry.id)
    this.release(entry)
    if (!this.everything && !this.core.rules.writeBufferHolds) this.addParked(entry.keys)
    if (entry.state === "dead") this.freeDead(entry)
    else if (this.everything || entry.attempts > 0) this.request(entry.dueAtMs)
    if (this.cut) {
      this.cut = false
      this.request(this.core.now())
    }
    if (!entry.stored && this.core.rules.settleAfterDurable) this.settle(entry)
  }

  removed(id: string): void {
    this.forget(id)
  }

  /** Only now, since a restart before this would have brought its keys back. */
  private freeDead(entry: Entry): void {
    this.unloaded = Math.max(0, this.unloaded - 1)
    if (!this.core.rules.deadFreesKeys) return
    if (!this.everything) this.parked.remove(entry.keys)
    this.round?.dead(entry)
    if (this.unloaded > 0) this.request(this.core.now())
  }

  private forget(id: string): void {
    this.known.delete(id)
    this.round?.leaves(id)
  }

  private addParked(keys: Entry["keys"]): void {
    this.parked.add(keys)
    if (this.parked.size > this.core.settings.maxParkedKeys) this.parkEverything()
  }

  parkEverything(): void {
    this.everything = true
    this.parked.clear()
    this.request(this.core.now())
  }

  // ── feeding ────────────────────────────────────────────────────────────────────────────────────────────────────

  get mayFeed(): boolean {
    return !this.gone && !this.endpoint.paused && !this.core.stopping && this.endpoint.order === this.mode
  }

  /** A round of the feeder at that time, or when the last one has rested. */
  request(atMs: number): void {
    if (atMs >= this.nextRoundMs) return
    this.nextRoundMs = atMs
    if (this.round === undefined) this.arm()
  }

  /** Everything parked is due at once, oldest first. */
  requestAll(): void {
    this.force = true
    this.request(this.core.now())
  }

  /** It failed before, and is in the lanes. */
  isProbe(id: string): boolean {
    const entry = this.known.get(id)
    return entry !== undefined && entry.stored && entry.where !== "out" && entry.attempts > 0
  }

  roundWasCut(): void {
    if (this.pending.size === 0) this.request(this.core.now())
    else this.cut = true
  }

  /** All rows are in the lanes, or held by the round. `clean`: none is on its way to the table. */
  tableIsRead(round: FeedRound, clean: boolean): void {
    if (clean) this.unloaded = round.heldRows
    if (!this.everything || round.held.size > this.core.settings.maxParkedKeys) return
    if (this.future.last !== undefined && compare(this.future.last, this.core.reached) > 0) return
    this.everything = false
    this.parked = round.held
  }

  roundEnded(durationMs: number): void {
    this.round = undefined
    this.earliestRoundMs = this.core.now() + Math.max(ROUND_PAUSE_MS, ROUND_PAUSE_FACTOR * durationMs)
    if (this.nextRoundMs < Infinity) this.arm()
  }

  private arm(): void {
    this.core.alarms.at(Math.max(this.nextRoundMs, this.earliestRoundMs), () => {
      const now = this.core.now()
      if (this.round !== undefined || now < this.nextRoundMs || now < this.earliestRoundMs) return
      // What makes it possible to feed asks for a round again.
      this.nextRoundMs = Infinity
      if (!this.mayFeed || (this.unloaded === 0 && !this.everything)) return
      this.round = new FeedRound(this.core.rules)
      this.feed(this, this.round)
    })
  }

  // ── how to send ────────────────────────────────────────────────────────────────────────────────────────────────

  /** Acts at once, on what is parked, too. */
  configure(endpoint: Endpoint, link: LanesLink): void {
    this.link.retire()
    this.link = link
    this.endpoint = endpoint
    this.gone = false
    if (endpoint.paused) this.putAway([...this.inLanes()].filter((entry) => entry.where !== "flying"), undefined)
    else this.requestAll()
    this.settleMode()
    this.pump()
  }

  /** Its last subscription went. What is in flight ends; rows in the table stay there. */
  withdraw(): void {
    this.gone = true
    for (const entry of [...this.inLanes()].filter((one) => one.where !== "flying")) {
      this.leave(entry)
      this.release(entry)
      this.forget(entry.id)
      this.discard(entry)
    }
  }

  private settleMode(): void {
    if (this.mode === this.endpoint.order || this.order.size > 0) return
    this.mode = this.endpoint.order
    if (this.unloaded > 0) this.request(this.core.now())
  }

  private *inLanes(): Iterable<Entry> {
    for (let entry = this.first; entry !== undefined; entry = entry.next) yield entry
  }

  // ── counting ───────────────────────────────────────────────────────────────────────────────────────────────────

  private settle(entry: Entry): void {
    const ticket = entry.ticket
    entry.ticket = undefined
    if (ticket !== undefined) this.core.settle(ticket)
  }

  private discard(entry: Entry): void {
    this.dropped++
    this.settle(entry)
  }

  private hold(entry: Entry): void {
    const max = this.core.settings.maxEndpointBytes
    if (this.bytes <= max && this.bytes + entry.body.byteLength > max) this.core.overfull++
    this.bytes += entry.body.byteLength
    this.core.hold(entry)
  }

  private release(entry: Entry): void {
    const max = this.core.settings.maxEndpointBytes
    if (this.bytes > max && this.bytes - entry.body.byteLength <= max) this.core.overfull--
    this.bytes -= entry.body.byteLength
    this.core.release(entry)
  }
}
