/**
 * Which way the events of one endpoint go. Live: into the lanes, or to the table behind a parked one that shares a key.
 * Behind: into segments, from which a reader brings them into the same lanes. Each function changes the state and pumps
 * the lanes in one call; there is no fiber, promise or timer per event.
 *
 * An undecided event is in one place: in the lanes (waiting for others, ready, flying, in backoff), on its way to the
 * table or in the table only (`TableSide`), or in segments only (`SegmentSide`).
 */
import type { Key } from "../../../domain/Key.ts"
import type { Lsn } from "../../../domain/Lsn.ts"
import type { Ticket } from "../../../domain/Settlement.ts"
import type { Endpoint, OrderMode, SubscriptionId } from "../../../domain/Subscription.ts"
import type { LoadedKeys } from "../../../services/ParkedDeliveries.ts"
import type { SegmentCursor } from "../../../services/Segments.ts"
import { Attempts, type AttemptsOwner } from "./Attempts.ts"
import { EarlyProbe, type Probed } from "./EarlyProbe.ts"
import { Entry, type EventFacts, fromItem } from "./Entry.ts"
import { FeedRound } from "./FeedRound.ts"
import { FeedSchedule } from "./FeedSchedule.ts"
import type { LanesLink } from "./LanesLink.ts"
import { type LanesParts, LanesState } from "./LanesState.ts"
import { compare, END, type Placed, START } from "./Position.ts"
import type { SegmentItem } from "./SegmentItem.ts"
import { SegmentSide, type SegmentTaker } from "./SegmentSide.ts"
import { TableSide } from "./TableSide.ts"

/** Share of an endpoint's bytes above which its segments are not read on. */
const READ_SHARE = 0.5

export class EndpointLanes extends LanesState implements AttemptsOwner, Probed, SegmentTaker {
  readonly attempts: Attempts
  readonly table: TableSide
  readonly segments: SegmentSide
  /** All rows that are later are due in the next round; `undefined`: those whose time has come. */
  dueFrom: Placed | undefined
  private readonly probe = new EarlyProbe(this.core, this)
  private readonly schedule: FeedSchedule

  constructor(parts: LanesParts, endpoint: Endpoint, link: LanesLink, count: { readonly count: number; readonly epoch: string }) {
    super(parts, endpoint, count)
    const { core } = this
    this.attempts = new Attempts(core, this.lanes, this, link)
    this.schedule = new FeedSchedule(core.alarms, core.now, () => this.beginRound())
    this.table = new TableSide(core, this.schedule, () => this.goBehind("too much is parked"), () => this.pumpSegments())
    this.segments = new SegmentSide(core, this)
    if (this.mustBeBehind !== undefined) this.goBehind(this.mustBeBehind)
  }

  /** The order by which new events get their keys. */
  get keyMode(): OrderMode {
    return this.endpoint.order
  }

  // ── from the stream ────────────────────────────────────────────────────────────────────────────────────────────

  /** A new event, later in the stream than all before; its number is `count`, 0 for what a copy sends. */
  submit(event: EventFacts, keys: ReadonlyArray<Key>, selectedBy: ReadonlyArray<SubscriptionId>, number: number, ticket: Ticket): void {
    if (this.gone) return this.withdrawNumber(number, ticket)
    if (this.endpoint.suspended === true) return this.ranges.count({ endpointId: this.id, epoch: this.epoch, sequence: number }, "suspended", ticket)
    if (this.behind && (!this.budget.deadLetters || this.table.ahead.isTooMany)) {
      return this.segmentWriter.add(this.segments, event, { endpointId: this.id, epoch: this.epoch, sequence: number, selectedBy, keys }, ticket)
    }
    const entry = new Entry(this.id, this.epoch, event, keys, number, selectedBy, ticket, false)
    ticket.open++
    this.hold(entry)
    if (this.behind) return this.dieOverBudget(entry)
    if (this.table.holds(keys)) {
      if (this.budget.deadLetters) return this.dieOverBudget(entry)
      entry.dueAtMs = this.core.now()
      return this.toTable(entry)
    }
    this.lanes.enter(entry)
    this.attempts.pump()
  }

  /** What cannot be sent, ever: recorded as dead. */
  recordDead(entry: Entry): void {
    if (this.gone) return this.discard(entry)
    this.hold(entry)
    entry.state = "dead"
    this.toTable(entry)
  }

  private dieOverBudget(entry: Entry): void {
    entry.lastError = "over the budget of its endpoint"
    entry.state = "dead"
    this.toTable(entry)
  }

  /** The stream, or the reader of the segments, has got further. */
  reachFuture(): void {
    if (this.table.future.size > 0) this.table.reach(this.segments.limit(this.core.reached))
  }

  // ── from segments ──────────────────────────────────────────────────────────────────────────────────────────────

  /** Hands on what may be handed on, and reads more. */
  pumpSegments(): void {
    if (!this.mayFeed) return
    this.segments.takeBuffered()
    this.reachFuture()
    if (this.segments.mustRead && this.mayTake(!this.segments.isRereading, READ_SHARE)) this.work.read(this)
    this.probe.tryIt()
    this.attempts.pump()
  }

  /** The reader has got further: so may the feeder. */
  met(): void {
    if (!this.table.limited) return
    this.table.limited = false
    this.schedule.requestNow()
  }

  take(item: SegmentItem, event: EventFacts, fresh: boolean): boolean {
    if (!this.mayFeed) return false
    if (this.segments.skip.delete(item.id)) {
      item.state = "decided"
      return true
    }
    if (!this.mayTake(fresh, 1)) return false
    if (this.core.withdrawn.isGone(item.selectedBy)) {
      this.withdrawn++
      this.ranges.record(item, "withdrawn", () => this.segments.decided(item))
      return true
    }
    if (this.table.future.size > 0) this.table.reach(item)
    const entry = fromItem(item, event)
    this.hold(entry)
    if (this.core.rules.readerUnderParkedKeys && this.table.holds(item.keys)) {
      entry.dueAtMs = this.core.now()
      this.toTable(entry)
    } else {
      this.lanes.enter(entry)
      if (!this.core.rules.readerUnderOrder) this.lanes.makeReady(entry)
    }
    return true
  }

  /** `fresh`: the reader has not met it before. What it has met is bounded, and what is later may wait for it. */
  private mayTake(fresh: boolean, share: number): boolean {
    const { maxEndpointBytes, maxQueueBytes } = this.core.settings
    if (fresh && this.segments.isFull) return false
    if (fresh && !this.table.limited && (this.table.isOverfull || (this.mode === "total" && this.table.hasRows))) return false
    if (this.lanes.fedBytes === 0) return true
    return !this.isProbing && this.bytes < maxEndpointBytes * share && this.core.bytes < maxQueueBytes
  }

  appended(segment: number): void {
    this.budget.appended(segment)
  }

  waiting(bytes: number, passed: SegmentCursor | undefined): void {
    this.budget.changed(bytes)
    if (passed !== undefined) this.budget.passed(passed.segment, this.segments.isEmpty)
  }

  giveWay(why: string): void {
    this.goBehind(why)
    this.putAway(this.lanes.notFlying(), undefined)
  }

  // ── what became of an attempt ──────────────────────────────────────────────────────────────────────────────────

  answered(): void {
    this.settleMode()
    this.probe.answered()
    if (this.segments.hasUnread) this.pumpSegments()
  }

  accepted(entry: Entry): void {
    this.leave(entry)
    this.release(entry)
    if (entry.stored) {
      this.budget.rowsChanged(-entry.body.byteLength)
      this.parked.push(this, entry, "remove")
      if (this.table.hasRows) this.schedule.requestNow()
    }
    this.settle(entry)
  }

  recovered(): void {
    this.requestAll()
  }

  gateChanged(): void {
    const { gate } = this.attempts
    this.probe.gateChanged()
    if (gate.state === "open") {
      this.giveWay("it seems to be down")
      this.wakeLater()
    } else if (gate.state === "closed") this.requestAll()
  }

  isWithdrawn(entry: Entry): boolean {
    return this.gone || this.core.withdrawn.isGone(entry.selectedBy)
  }

  /** To the table, with all that waits behind it; in total order, that goes back to where it came from. */
  park(entry: Entry): void {
    const behind = this.core.rules.parkWithDependents ? this.lanes.dependents(entry) : []
    this.putAway([entry, ...behind], entry)
    if (this.mode === "total") this.goBehind("the first one is parked")
  }

  /** Decided, or parked: out of the lanes. */
  private leave(entry: Entry): void {
    this.lanes.leave(entry)
    if (entry.isFed) this.table.round?.room.openUnsafe()
  }

  // ── parking ────────────────────────────────────────────────────────────────────────────────────────────────────

  /**
   * Out of the lanes. `changed`: the one whose row has to be written; other rows are in the table as they are, and what
   * came from a segment and was not attempted goes back there, unless it waits behind `changed` in the order of keys.
   */
  private putAway(entries: Array<Entry>, changed: Entry | undefined): void {
    const now = this.core.now()
    const back: Array<SegmentItem> = []
    const mayGoBack = changed === undefined || this.mode === "total"
    for (const entry of entries) entry.where = "out"
    for (const entry of entries) this.leave(entry)
    for (const entry of entries.sort(compare)) {
      if (entry !== changed && entry.stored) this.unload(entry)
      else if (entry !== changed && entry.item !== undefined && entry.attempts === 0 && mayGoBack) {
        this.release(entry)
        back.push(entry.item)
      } else {
        if (entry !== changed) entry.dueAtMs = now
        this.toTable(entry)
      }
    }
    this.segments.takeBack(back)
    if (changed === undefined) this.table.roundWasCut()
  }

  /** A fed row goes back; the table has it as it is. */
  private unload(entry: Entry): void {
    this.release(entry)
    this.table.unload(entry)
  }

  private toTable(entry: Entry): void {
    entry.where = "out"
    entry.keepBody()
    if (entry.stored === (entry.state === "dead")) this.budget.rowsChanged(entry.stored ? -entry.body.byteLength : entry.body.byteLength)
    this.table.write(entry)
    this.parked.push(this, entry, entry.stored ? "update" : "insert")
    if (!this.core.rules.settleAfterDurable) this.settle(entry)
  }

  /** Durable: from here on the table answers for it. */
  written(entry: Entry): void {
    this.release(entry)
    this.table.written(entry)
    if (entry.state === "dead") this.countDead(entry)
    if (this.core.rules.settleAfterDurable) this.settle(entry)
    if (this.gone) this.ranges.record(entry, "withdrawn", () => this.parked.push(this, entry, "remove"))
    else if (this.core.withdrawn.size > 0 && this.core.withdrawn.isGone(entry.selectedBy)) this.schedule.requestNow()
    if (this.segments.hasUnread) this.pumpSegments()
  }

  removed(id: string): void {
    this.table.forget(id)
  }

  // ── feeding ────────────────────────────────────────────────────────────────────────────────────────────────────

  /** A row of the table enters the lanes, in the place that Order gives it. */
  load(entry: Entry): void {
    this.hold(entry)
    this.table.load(entry)
    this.lanes.enter(entry)
    if (!this.core.rules.feederUnderOrder) this.lanes.makeReady(entry)
    this.attempts.pump()
  }

  /** What a start finds in the table, below the stream. */
  addStored(row: LoadedKeys, idsFrom: Lsn): void {
    if (row.state === "waiting") this.table.addStored(row)
    this.countStored(row)
    if (row.commitLsn >= idsFrom && this.segments.hasUnread && this.core.rules.skipRowsOfSegments) this.segments.skip.add(row.id)
  }

  /** What a start finds there, and the stream brings again. */
  addFuture(row: LoadedKeys): void {
    this.table.future.add(row)
    this.countStored(row)
  }

  private countStored(row: LoadedKeys): void {
    if (row.state === "waiting") this.budget.rowsChanged(row.bytes)
    else this.dead++
  }

  /** No row that is later may be fed: the stream, or the reader of the segments, is not there yet. */
  get feedLimit(): Placed {
    const { rules, reached } = this.core
    const limit = rules.feedBelowReader ? this.segments.limit(reached) : reached
    return rules.feedBelowStream ? limit : END
  }

  /** A round of the feeder at that time, or when the last one has rested. */
  request(atMs: number): void {
    this.schedule.request(atMs)
  }

  /** Everything parked is due at once, oldest first. */
  requestAll(): void {
    this.dueFrom = this.table.hasRows ? START : undefined
    this.resume()
  }

  resume(): void {
    this.schedule.requestNow()
    this.pumpSegments()
    this.attempts.pump()
  }

  roundEnded(round: FeedRound, isWhole: boolean, scanMs: number): void {
    this.table.endRound(round, isWhole)
    this.schedule.ended(scanMs)
    if (isWhole) this.probe.roundEnded()
    this.pumpSegments()
  }

  get hasOnlyRows(): boolean {
    return this.lanes.size === 0 && this.table.hasRows && !(this.segments.hasUnread && this.mayTake(!this.segments.isRereading, READ_SHARE))
  }

  private beginRound(): boolean {
    if (!this.mayFeed || !this.table.hasRows) return false
    const round = new FeedRound(this.core.rules)
    this.table.beginRound(round)
    this.work.feed(this, round)
    return true
  }

  // ── how to send ────────────────────────────────────────────────────────────────────────────────────────────────

  /** Acts at once, on what is parked, too. */
  configure(endpoint: Endpoint, link: LanesLink): void {
    this.attempts.link.retire()
    this.attempts.link = link
    this.attempts.gate.configure(endpoint, this.core.now())
    const wasSuspended = this.budget.suspending || this.endpoint.suspended === true
    this.endpoint = endpoint
    this.attempts.configured()
    this.gone = false
    if (wasSuspended && endpoint.suspended !== true) {
      this.budget.forgive()
      this.core.notices.over("endpoint_suspended", this.id)
    }
    this.budget.suspending = endpoint.suspended === true
    const why = this.mustBeBehind
    if (why !== undefined) this.goBehind(why)
    if (endpoint.paused) this.putAway(this.lanes.notFlying(), undefined)
    else this.requestAll()
    this.settleMode()
    this.attempts.pump()
  }

  /** Its last subscription went. What is in flight ends; what the store has is the directory's to end. */
  end(): void {
    this.gone = true
    this.notBehind()
    for (const entry of this.lanes.notFlying()) this.withdraw(entry)
    this.segments.clear()
    this.budget.clear()
  }

  /** Subscriptions went: what only they selected is decided, but for requests that are out. The feeder sees to the rows in the table, the reader to segments. */
  sweep(): void {
    const found = this.lanes.notFlying().filter((entry) => this.core.withdrawn.isGone(entry.selectedBy))
    for (const entry of found) entry.where = "out"
    for (const entry of found) this.withdraw(entry)
    if (this.table.hasRows) this.schedule.requestNow()
    this.settleMode()
    this.pumpSegments()
    this.attempts.pump()
    this.tellWithdrawn()
  }

  /** Out of the lanes, not sent any more. */
  withdraw(entry: Entry): void {
    this.leave(entry)
    this.release(entry)
    this.discard(entry)
  }

  private settleMode(): void {
    if (this.mode === this.endpoint.order || this.lanes.size > 0) return
    this.mode = this.endpoint.order
    this.resume()
  }
}
