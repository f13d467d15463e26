/**
 * One endpoint: which way each of its events goes (lanes, table). Each function changes the state and pumps the lanes in one
 * call; there is no fiber, promise or timer per event.
 *
 * An undecided event is in one place: in the lanes (waiting for others, ready, flying, in backoff), in the write
 * buffer, or in the table only (`TableSide`).
 */
import type { Endpoint, OrderMode } from "../../../domain/Subscription.ts"
import { Attempts, type AttemptsOwner } from "./Attempts.ts"
import type { Core } from "./Core.ts"
import type { Entry } from "./Entry.ts"
import { FeedRound } from "./FeedRound.ts"
import { FeedSchedule } from "./FeedSchedule.ts"
import { LaneList } from "./LaneList.ts"
import type { LanesLink } from "./LanesLink.ts"
import { compare } from "./Position.ts"
import type { ParkWriter, WriteOwner } from "./ParkWriter.ts"
import { TableSide } from "./TableSide.ts"

/** Runs a round in the background; `roundEnded` says that it is over. */
export type Feed = (lanes: EndpointLanes, round: FeedRound) => void

export class EndpointLanes implements AttemptsOwner, WriteOwner {
  readonly id: string
  endpoint: Endpoint
  /** In force; follows `endpoint.order` when the lanes are empty. */
  mode: OrderMode
  epoch: string
  /** Numbers given. */
  count: number
  /** Numbers were given since the last commit. */
  counted = false
  /** Its last subscription went: everything of it is withdrawn. */
  gone = false
  /** Deliveries that were numbered and are not sent, since nobody is subscribed to them any more. */
  withdrawn = 0
  readonly table: TableSide
  /** All rows are due in the next round. */
  force = false

  private readonly core: Core
  private readonly writer: ParkWriter
  private readonly lanes: LaneList
  private readonly attempts: Attempts
  private readonly schedule: FeedSchedule
  private bytes = 0
  private toldWithdrawn = 0

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
    this.id = endpoint.id
    this.endpoint = endpoint
    this.mode = endpoint.order
    this.epoch = count.epoch
    this.count = count.count
    this.lanes = new LaneList(core.rules)
    this.attempts = new Attempts(core, this.lanes, this, link)
    this.schedule = new FeedSchedule(core.alarms, core.now, () => this.beginRound(feed))
    this.table = new TableSide(core, this.schedule)
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
    if (this.endpoint.paused || this.endpoint.order !== this.mode || this.table.holds(entry.keys)) {
      entry.dueAtMs = this.core.now()
      return this.toBuffer(entry)
    }
    this.lanes.enter(entry)
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
    this.table.load(entry)
    this.lanes.enter(entry)
    if (!this.core.rules.feederUnderOrder) this.lanes.makeReady(entry)
    this.pump()
  }

  // ── what became of an attempt ──────────────────────────────────────────────────────────────────────────────────

  private pump(): void {
    this.attempts.pump()
  }

  answered(): void {
    this.settleMode()
  }

  accepted(entry: Entry): void {
    this.leave(entry)
    this.release(entry)
    if (entry.stored) {
      this.writer.push(this, entry, "remove")
      if (this.table.unloaded > 0) this.schedule.requestNow()
    }
    this.settle(entry)
  }

  recovered(): void {
    this.requestAll()
  }

  isWithdrawn(entry: Entry): boolean {
    return this.gone || this.core.withdrawn.isGone(entry.selectedBy)
  }

  /** Decided, or parked: out of the lanes. */
  private leave(entry: Entry): void {
    this.lanes.leave(entry)
    if (entry.stored) this.table.round?.room.openUnsafe()
  }

  // ── parking ────────────────────────────────────────────────────────────────────────────────────────────────────

  /** To the table, with all that waits behind it. */
  park(entry: Entry): void {
    const behind = this.core.rules.parkWithDependents ? this.lanes.dependents(entry) : []
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
    this.table.unload(entry)
  }

  private toBuffer(entry: Entry): void {
    entry.where = "out"
    entry.keepBody()
    this.table.write(entry)
    this.writer.push(this, entry, entry.stored ? "update" : "insert")
    if (!this.core.rules.settleAfterDurable) this.settle(entry)
  }

  /** Durable: from here on the table answers for it. */
  written(entry: Entry): void {
    this.release(entry)
    this.table.written(entry)
    if (!entry.stored && this.core.rules.settleAfterDurable) this.settle(entry)
    if (this.gone) this.writer.push(this, entry, "remove")
    else if (this.core.withdrawn.size > 0 && this.core.withdrawn.isGone(entry.selectedBy)) this.schedule.requestNow()
  }

  removed(id: string): void {
    this.table.forget(id)
  }

  // ── feeding ────────────────────────────────────────────────────────────────────────────────────────────────────

  get fedBytes(): number {
    return this.lanes.fedBytes
  }

  get mayFeed(): boolean {
    return !this.gone && !this.endpoint.paused && !this.core.stopping && this.endpoint.order === this.mode
  }

  /** A round of the feeder at that time, or when the last one has rested. */
  request(atMs: number): void {
    this.schedule.request(atMs)
  }

  /** Everything parked is due at once, oldest first. */
  requestAll(): void {
    this.force = this.table.hasRows
    this.schedule.requestNow()
  }

  roundEnded(scanMs: number): void {
    this.table.round = undefined
    this.schedule.ended(scanMs)
  }

  private beginRound(feed: Feed): boolean {
    if (!this.mayFeed || !this.table.hasRows) return false
    const round = new FeedRound(this.core.rules)
    this.table.round = round
    feed(this, round)
    return true
  }

  // ── how to send ────────────────────────────────────────────────────────────────────────────────────────────────

  /** Acts at once, on what is parked, too. */
  configure(endpoint: Endpoint, link: LanesLink): void {
    this.attempts.link.retire()
    this.attempts.link = link
    this.endpoint = endpoint
    this.gone = false
    if (endpoint.paused) this.putAway(this.lanes.notFlying(), undefined)
    else this.requestAll()
    this.settleMode()
    this.pump()
  }

  /** Its last subscription went. What is in flight ends; rows in the table are the directory's to end. */
  end(): void {
    this.gone = true
    for (const entry of this.lanes.notFlying()) this.withdraw(entry)
  }

  /** Subscriptions went: what only they selected is decided, but for requests that are out. The feeder sees to the rows in the table. */
  sweep(): void {
    const found = this.lanes.notFlying().filter((entry) => this.core.withdrawn.isGone(entry.selectedBy))
    for (const entry of found) entry.where = "out"
    for (const entry of found) this.withdraw(entry)
    if (this.table.hasRows) this.schedule.requestNow()
    this.settleMode()
    this.pump()
    this.tellWithdrawn()
  }

  /** A line, if there are some since the last. */
  tellWithdrawn(): void {
    const deliveries = this.withdrawn - this.toldWithdrawn
    if (deliveries === 0) return
    this.toldWithdrawn = this.withdrawn
    this.core.say("Deliveries are withdrawn: their subscription was removed.", { endpointId: this.id, deliveries })
  }

  /** Out of the lanes, not sent any more. */
  withdraw(entry: Entry): void {
    this.leave(entry)
    this.release(entry)
    if (entry.stored) this.writer.push(this, entry, "remove")
    this.discard(entry)
  }

  private settleMode(): void {
    if (this.mode === this.endpoint.order || this.lanes.size > 0) return
    this.mode = this.endpoint.order
    if (this.table.unloaded > 0) this.schedule.requestNow()
  }

  // ── counting ───────────────────────────────────────────────────────────────────────────────────────────────────

  private settle(entry: Entry): void {
    const ticket = entry.ticket
    entry.ticket = undefined
    if (ticket !== undefined) this.core.settle(ticket)
  }

  private discard(entry: Entry): void {
    this.withdrawn++
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
