/**
 * What one endpoint is, and how much of it there is: its numbers, its bytes, whether it is live or behind. Which way
 * its events go is decided above (`EndpointLanes`).
 */
import * as Ranges from "../../../domain/Ranges.ts"
import type { Ticket } from "../../../domain/Settlement.ts"
import type { Endpoint, OrderMode } from "../../../domain/Subscription.ts"
import type { Backlog } from "../../../services/Segments.ts"
import type { Attempts } from "./Attempts.ts"
import { Budget } from "./Budget.ts"
import type { Core } from "./Core.ts"
import type { Entry } from "./Entry.ts"
import type { FeedRound } from "./FeedRound.ts"
import { LaneList } from "./LaneList.ts"
import type { ParkWriter, WriteOwner } from "./ParkWriter.ts"
import type { RangeWriter } from "./RangeWriter.ts"
import type { SegmentSide } from "./SegmentSide.ts"
import type { SegmentWriter } from "./SegmentWriter.ts"
import type { TableSide } from "./TableSide.ts"
import type { EndpointLanes } from "./EndpointLanes.ts"

/** Behind lasts at least as long, ms. */
const MIN_BEHIND_MS = 1_000

/** What the lanes ask to be done in the background. */
export interface LanesWork {
  /** Runs a round of the feeder; `roundEnded` says that it is over. */
  feed(lanes: EndpointLanes, round: FeedRound): void
  /** Reads the next segment; `segments.endRead` says that it is there. */
  read(lanes: EndpointLanes): void
}

export interface LanesParts {
  readonly core: Core
  readonly parked: ParkWriter
  readonly segments: SegmentWriter
  readonly ranges: RangeWriter
  readonly work: LanesWork
}

export abstract class LanesState implements WriteOwner {
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
  /** Its events go to segments. */
  behind = false
  /** Nothing starts: an operator erases deliveries. */
  erasing = false
  /** Bytes of bodies in the lanes and on their way to the table. */
  bytes = 0
  /** Dead ones that are known of. */
  dead = 0
  /** It had numbers before the start: dead ones of then are not counted. When they are gone the store says. */
  private readonly mayHaveMoreDead: boolean
  readonly budget: Budget
  abstract readonly attempts: Attempts
  abstract readonly table: TableSide
  abstract readonly segments: SegmentSide

  protected readonly core: Core
  protected readonly parked: ParkWriter
  protected readonly segmentWriter: SegmentWriter
  protected readonly ranges: RangeWriter
  /** Numbers that the stream brings again, of what was erased before the start. */
  erased: Ranges.Ranges = Ranges.empty
  protected readonly work: LanesWork
  protected readonly lanes: LaneList
  private toldWithdrawn = 0
  private behindUntilMs = 0
  /** When it is looked at again whether it is up, ms. */
  private wakeMs = 0

  constructor(parts: LanesParts, endpoint: Endpoint, count: { readonly count: number; readonly epoch: string }) {
    this.core = parts.core
    this.parked = parts.parked
    this.segmentWriter = parts.segments
    this.ranges = parts.ranges
    this.work = parts.work
    this.id = endpoint.id
    this.endpoint = endpoint
    this.mode = endpoint.order
    this.epoch = count.epoch
    this.count = count.count
    this.mayHaveMoreDead = count.count > 0
    this.lanes = new LaneList(this.core.rules)
    this.budget = new Budget(this.core)
  }

  abstract written(entry: Entry): void
  abstract removed(id: string): void
  abstract pumpSegments(): void
  /** Frees the memory that it holds: all that is not flying goes to the table, or back to its segments. */
  abstract giveWay(why: string): void
  /** Feeder, reader and requests look what they may do. */
  abstract resume(): void

  // ── behind, and back ───────────────────────────────────────────────────────────────────────────────────────────

  /** Nothing starts for now, whatever waits. */
  get isHeld(): boolean {
    return this.endpoint.paused || this.erasing
  }

  /** Why it may not be live now. */
  protected get mustBeBehind(): string | undefined {
    if (this.endpoint.paused) return "paused"
    if (this.erasing) return "an operator erases deliveries"
    if (this.attempts.isProbing) return "it seems to be down"
    if (this.endpoint.order !== this.mode) return "its order changes"
    if (this.table.isOverfull) return "too much is parked"
    if (this.mode === "total" && this.table.hasRows) return "the first one is parked"
    return undefined
  }

  goBehind(why: string): void {
    if (this.behind || this.gone) return
    this.behind = true
    this.behindUntilMs = this.core.now() + MIN_BEHIND_MS
    this.core.behind.add(this)
    this.core.setOverfull(this, false)
    this.core.say("Endpoint is behind: its events go through the store.", { endpointId: this.id, why })
  }

  /** At a chunk boundary: everything that waits is in the lanes, so what comes next may go there, too. */
  tryLive(): void {
    if (!this.behind || this.core.now() < this.behindUntilMs || this.mustBeBehind !== undefined) return
    this.pumpSegments()
    if (this.core.rules.liveWhenRead && this.segments.hasUnread) return
    this.notBehind()
    this.segments.skip.clear()
    this.updateFull()
    this.core.say("Endpoint is live again.", { endpointId: this.id })
  }

  protected notBehind(): void {
    this.behind = false
    this.core.behind.delete(this)
  }

  /** What a start finds in segments. */
  startBehind(backlog: Backlog): void {
    this.segments.start(backlog.cursor)
    this.budget.start(backlog)
    if (this.core.rules.backlogIsBehind) this.goBehind("a backlog of before the start")
  }

  /** Bytes of bodies in the lanes that could leave them now: no request is out with them. */
  get restingBytes(): number {
    return this.lanes.bytes - this.attempts.flyingBytes
  }

  /** Events that could be sent at once. */
  get readyCount(): number {
    return this.lanes.readyCount
  }

  /** Copies the bodies that wait, so that the memory that they are in with others may be used again. */
  keepBodies(): void {
    for (const entry of this.lanes.notFlying()) entry.keepBody()
  }

  get fedBytes(): number {
    return this.lanes.fedBytes
  }

  get oldest(): Entry | undefined {
    return this.lanes.oldest
  }

  /** Nothing of it is in memory, on its way to the store, or being read. */
  get isQuiet(): boolean {
    return this.lanes.size === 0 && this.table.isQuiet && !this.segments.reading
  }

  get isProbing(): boolean {
    return this.attempts.isProbing
  }

  get mayFeed(): boolean {
    return !this.gone && !this.isHeld && !this.core.stopping && !this.core.loading && this.endpoint.order === this.mode && this.attempts.isOpen
  }

  /** While the gate is open there is nothing to do; its time may be put off meanwhile. */
  protected wakeLater(): void {
    const { gate } = this.attempts
    const atMs = gate.wakeAtMs
    if (atMs === this.wakeMs) return
    this.wakeMs = atMs
    this.core.alarms.at(atMs, () => {
      if (this.wakeMs !== atMs) return
      this.wakeMs = 0
      if (this.attempts.isOpen) this.resume()
      else if (gate.state === "open") this.wakeLater()
    })
  }

  // ── counting ───────────────────────────────────────────────────────────────────────────────────────────────────

  /** It is delivered, or the store answers for it. */
  protected settle(entry: Entry): void {
    const { ticket, item } = entry
    entry.ticket = undefined
    entry.item = undefined
    if (ticket !== undefined) this.core.settle(ticket)
    if (item !== undefined) this.segments.decided(item)
  }

  /** Its number is kept; then it is settled, or its row goes. */
  protected discard(entry: Entry): void {
    this.withdrawn++
    if (entry.stored) this.budget.rowsChanged(-entry.body.byteLength)
    this.ranges.record(entry, "withdrawn", () => {
      if (entry.stored) this.parked.push(this, entry, "remove")
      this.settle(entry)
    })
  }

  /** Erased by an operator before the start, above the checkpoint: its number is accounted for, and it is neither sent nor kept. */
  wasErased(number: number): boolean {
    if (this.erased.length === 0) return false
    if (number > this.erased.at(-1)!.last) this.erased = Ranges.empty
    return Ranges.has(this.erased, number)
  }

  /** Nobody is subscribed to its event any more. */
  withdrawNumber(number: number, ticket: Ticket): void {
    this.withdrawn++
    this.ranges.count({ endpointId: this.id, epoch: this.epoch, sequence: number }, "withdrawn", ticket)
  }

  /** A line, if there are some since the last. */
  tellWithdrawn(): void {
    const deliveries = this.withdrawn - this.toldWithdrawn
    if (deliveries === 0) return
    this.toldWithdrawn = this.withdrawn
    this.core.say("Deliveries are withdrawn: their subscription was removed.", { endpointId: this.id, deliveries })
  }

  /** The first dead one since there was none. */
  protected countDead(entry: Entry): void {
    this.dead++
    this.core.notices.tell({
      kind: "first_dead_letter", endpointId: this.id,
      message: `Endpoint ${this.id} has a dead letter: a delivery that is not tried again by itself. See it with   pgstream deliveries list --endpoint ${this.id} --state dead   and try it again with   pgstream deliveries retry`,
      facts: { eventId: entry.id, table: entry.table, attempts: entry.attempts, reason: entry.lastError ?? "" }
    })
  }

  /** They are tried again, or erased. */
  countRevived(deliveries: number): void {
    this.dead = Math.max(0, this.dead - deliveries)
    if (this.dead === 0 && !this.mayHaveMoreDead) this.core.notices.over("first_dead_letter", this.id)
  }

  protected hold(entry: Entry): void {
    this.bytes += entry.body.byteLength
    this.core.hold(entry)
    if (this.bytes > this.core.settings.maxEndpointBytes) this.updateFull()
  }

  protected release(entry: Entry): void {
    const wasFull = this.bytes > this.core.settings.maxEndpointBytes
    this.bytes -= entry.body.byteLength
    if (wasFull) this.updateFull()
    this.core.release(entry)
  }

  private updateFull(): void {
    this.core.setOverfull(this, !this.behind && this.bytes > this.core.settings.maxEndpointBytes)
  }
}
