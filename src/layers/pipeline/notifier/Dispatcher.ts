/**
 * Takes chunks apart: for each change the endpoints that selected it, its number at each, its keys, and one body for
 * all. Plain functions per event. A chunk is admitted whole, then one waits for room.
 *
 * An endpoint that is new is opened in the middle of a chunk: the walk stops before its event and goes on after.
 */
import * as Effect from "effect/Effect"
import type { BodyWriter } from "../../../domain/Body.ts"
import type { Change } from "../../../domain/Change.ts"
import type { Chunk, Commit, Keepalive, Undecodable } from "../../../domain/Chunk.ts"
import { placeOf } from "../../../domain/Delivery.ts"
import * as EventId from "../../../domain/EventId.ts"
import type { Key } from "../../../domain/Key.ts"
import { keysOf } from "../../../domain/Keys.ts"
import { type Count, Ticket } from "../../../domain/Settlement.ts"
import type { EndpointId, OrderMode, Subscription } from "../../../domain/Subscription.ts"
import type { NotifierError } from "../../../services/Notifier.ts"
import type { DefinitionsInForce, Selection } from "../../../services/SubscriptionCache.ts"
import { CopiedSelection } from "./CopiedSelection.ts"
import { type Core, READY_ENOUGH, READY_FEW } from "./Core.ts"
import type { EndpointLanes } from "./EndpointLanes.ts"
import { Entry, type EventFacts, type SharedBody } from "./Entry.ts"
import { LOOK_MS, type Pressure } from "./Pressure.ts"
import type { SegmentWriter } from "./SegmentWriter.ts"

/** All endpoints that were opened. */
export interface Directory {
  readonly lanes: ReadonlyMap<EndpointId, EndpointLanes>
  /** Those with rows that the stream will bring again. */
  readonly withFuture: Set<EndpointLanes>
  open(id: EndpointId): Effect.Effect<EndpointLanes, NotifierError>
}

export interface DispatcherOptions {
  readonly core: Core
  readonly definitions: DefinitionsInForce
  readonly directory: Directory
  readonly bodies: Pick<BodyWriter, "write" | "memory" | "slabs">
  readonly segments: Pick<SegmentWriter, "keepBodies">
  /** Rows that the stream brought: which of them are gone already is asked before it goes on. */
  readonly added: (rows: ReadonlyArray<Subscription>, xid: number) => Effect.Effect<void>
  readonly pressure: Pressure
}

const NOTHING = new Uint8Array(0)
/** Bodies may hold so many times their bytes, and so much more, before those that wait are copied. */
const SPARSE_FACTOR = 2
const SPARSE_BYTES = 4 * 1024 * 1024

export class Dispatcher {
  private readonly core: Core
  private readonly definitions: DefinitionsInForce
  private readonly directory: Directory
  private readonly bodies: DispatcherOptions["bodies"]
  private readonly segments: DispatcherOptions["segments"]
  private readonly added: DispatcherOptions["added"]
  private readonly pressure: Pressure
  private readonly copied: CopiedSelection
  private readonly counted: Array<EndpointLanes> = []
  private inTransaction = false
  /** An alarm is set that wakes a Dispatcher that waits. */
  private looking = false
  /** What bodies held, in whole slabs, when those that wait were copied last. */
  private sparseBytes = 0

  private ticket: Ticket
  private items: Chunk["items"] = []
  private at = 0
  /** Of the item at `at`, when the walk stopped there: asked once. */
  private selections: ReadonlyArray<Selection> | undefined
  private lastSelections: ReadonlyArray<Selection> | undefined
  private lastLanes: Array<EndpointLanes> = []
  private lastRelation: Change["relation"] = undefined
  private lastTable = ""

  constructor(options: DispatcherOptions) {
    this.core = options.core
    this.definitions = options.definitions
    this.copied = new CopiedSelection(options.definitions)
    this.directory = options.directory
    this.bodies = options.bodies
    this.segments = options.segments
    this.added = options.added
    this.pressure = options.pressure
    this.ticket = new Ticket()
  }

  readonly offer = (chunk: Chunk): Effect.Effect<void, NotifierError> =>
    Effect.suspend(() => {
      for (const lanes of this.core.behind) lanes.tryLive()
      this.pressure.look()
      this.freeMemory()
      this.ticket = this.core.settlement.begin()
      this.items = chunk.items
      this.at = 0
      this.selections = undefined
      return this.walk()
    })

  private walk(): Effect.Effect<void, NotifierError> {
    const pause = this.run()
    if (pause !== undefined) return Effect.flatMap(pause, () => this.walk())
    this.items = []
    const ticket = this.ticket
    for (const lanes of this.directory.withFuture) {
      lanes.reachFuture()
      if (lanes.table.future.size === 0) this.directory.withFuture.delete(lanes)
    }
    if (!this.core.rules.countsAtCommit) this.markCounts(ticket)
    this.core.settle(ticket)
    return this.isHeld ? this.waitForRoom : Effect.void
  }

  private get isHeld(): boolean {
    this.core.sated = this.isSated(this.core.sated ? READY_FEW : READY_ENOUGH)
    return this.core.full || this.core.sated
  }

  /** Every live endpoint has that many events ready. One that has none to send is waited for by nobody. */
  private isSated(enough: number): boolean {
    let count = 0
    for (const lanes of this.directory.lanes.values()) {
      if (lanes.behind || lanes.gone) continue
      if (lanes.readyCount < enough) return false
      count++
    }
    return count > 0
  }

  /** Bodies that wait behind others for long keep memory that is far larger. */
  private freeMemory(): void {
    const { slabs } = this.bodies
    this.sparseBytes = Math.min(this.sparseBytes, slabs.takenBytes)
    if (slabs.takenBytes < Math.max(SPARSE_FACTOR * this.core.bytes, this.sparseBytes) + SPARSE_BYTES) return
    for (const lanes of this.directory.lanes.values()) lanes.keepBodies()
    this.segments.keepBodies()
    this.sparseBytes = slabs.takenBytes
  }

  private readonly waitForRoom: Effect.Effect<void> = Effect.suspend(() => {
    if (!this.isHeld || this.core.failure !== undefined) return Effect.void
    const fromMs = this.core.now()
    this.core.room.closeUnsafe()
    if (!this.looking) {
      this.looking = true
      this.core.alarms.at(fromMs + LOOK_MS, () => {
        this.looking = false
        this.core.room.openUnsafe()
      })
    }
    return Effect.andThen(this.core.room.await, Effect.suspend(() => {
      this.pressure.waited(fromMs)
      return this.waitForRoom
    }))
  })

  /** Returns what has to be done before it can go on. */
  private run(): Effect.Effect<unknown, NotifierError> | undefined {
    for (; this.at < this.items.length; this.at++) {
      const item = this.items[this.at]!
      if (item._tag === "Change") {
        const missing = this.change(item)
        if (missing !== undefined) return this.directory.open(missing)
      } else if (item._tag === "Commit") {
        this.commit(item)
        const added = item.definitions?.upserted ?? []
        if (added.length === 0) continue
        this.at++
        return this.added(added, item.transaction.xid)
      } else if (item._tag === "Keepalive") this.keepalive(item)
      else {
        const missing = this.undecodable(item)
        if (missing !== undefined) return this.directory.open(missing)
      }
    }
    return undefined
  }

  private change(change: Change): EndpointId | undefined {
    let selections = this.selections
    if (selections === undefined) {
      if (change.ordinal >= 0) this.inTransaction = true
      this.reach(change.transaction.commitLsn, placeOf(change))
      if (this.definitions.consume(change)) return undefined
      selections = change.copy === undefined ? this.definitions.select(change) : this.copied.select(change)
      if (selections.length === 0) return undefined
    }
    const lanes = this.lanesOf(selections)
    if (typeof lanes === "string") {
      this.selections = selections
      return lanes
    }
    this.selections = undefined
    this.dispatch(change, selections, lanes)
    return undefined
  }

  /** The answer of the index is shared by many changes: so are its lanes. */
  private lanesOf(selections: ReadonlyArray<Selection>): ReadonlyArray<EndpointLanes> | EndpointId {
    if (selections === this.lastSelections) return this.lastLanes
    const found: Array<EndpointLanes> = []
    for (const { endpointId } of selections) {
      const lanes = this.directory.lanes.get(endpointId)
      if (lanes === undefined) return endpointId
      found.push(lanes)
    }
    this.lastSelections = selections
    this.lastLanes = found
    return found
  }

  private dispatch(change: Change, selections: ReadonlyArray<Selection>, all: ReadonlyArray<EndpointLanes>): void {
    let event: EventFacts
    try {
      event = this.factsOf(change, all.length)
    } catch (error) {
      // Its message could hold a value of the row; a defect here would come again after each restart.
      return this.dispatchDead(change, selections, all, `the payload cannot be written: ${error instanceof Error ? error.name : "error"}`)
    }
    const keys: { [mode in OrderMode]?: ReadonlyArray<Key> } = {}
    for (let i = 0; i < all.length; i++) {
      const lanes = all[i]!
      // What a copy sends has no number.
      const number = change.copy === undefined ? this.number(lanes) : 0
      if (this.wasParked(lanes, event) || lanes.wasErased(number) || this.isWithdrawn(lanes, selections[i]!.selectedBy, number)) continue
      const mode = lanes.keyMode
      lanes.submit(event, (keys[mode] ??= keysOf(change, mode)), selections[i]!.selectedBy, number, this.ticket)
    }
    event.slab?.release()
  }

  private factsOf(change: Change, endpoints: number): EventFacts {
    const shared: SharedBody | undefined = endpoints > 1 ? { users: 0, kept: undefined } : undefined
    const body = this.bodies.write(change)
    const slab = this.bodies.memory
    // Until all have it: the first may be done with it before the last.
    slab.hold()
    return {
      id: EventId.of(change),
      body,
      shared,
      slab,
      commitLsn: change.transaction.commitLsn,
      ordinal: placeOf(change),
      table: this.tableOf(change),
      kind: change.kind
    }
  }

  private tableOf(change: Change): string {
    const relation = change.relation
    if (relation === this.lastRelation) return this.lastTable
    this.lastRelation = relation
    this.lastTable = relation === undefined ? "" : `${relation.schema}.${relation.table}`
    return this.lastTable
  }

  private number(lanes: EndpointLanes): number {
    lanes.count++
    if (!lanes.counted) {
      lanes.counted = true
      this.counted.push(lanes)
    }
    return lanes.count
  }

  /** Parked before the start: it has its number, and the table has the event. */
  private wasParked(lanes: EndpointLanes, event: EventFacts): boolean {
    if (lanes.table.future.size === 0) return false
    if (!lanes.behind) lanes.table.reach(event)
    return this.core.rules.skipParked && lanes.table.future.skips(event.id)
  }

  /** Numbered, and nobody is subscribed to it any more. */
  private isWithdrawn(lanes: EndpointLanes, selectedBy: ReadonlyArray<string>, number: number): boolean {
    if (this.core.withdrawn.size === 0 || !this.core.withdrawn.hasAll(selectedBy)) return false
    lanes.withdrawNumber(number, this.ticket)
    return true
  }

  private undecodable(item: Undecodable): EndpointId | undefined {
    if (item.ordinal >= 0) this.inTransaction = true
    this.reach(item.transaction.commitLsn, placeOf({ ordinal: item.ordinal, sub: -1 }))
    const selectedBy = new Map<EndpointId, Array<string>>()
    for (const row of this.definitions.current()) {
      if (!couldSelect(row, item.table)) continue
      if (!this.directory.lanes.has(row.endpointId)) return row.endpointId
      selectedBy.set(row.endpointId, [...(selectedBy.get(row.endpointId) ?? []), row.id])
    }
    const event: EventFacts = {
      id: EventId.of({ ...item, sub: -1 }),
      body: NOTHING,
      shared: undefined,
      slab: undefined,
      commitLsn: item.transaction.commitLsn,
      ordinal: placeOf({ ordinal: item.ordinal, sub: -1 }),
      table: item.table ?? "",
      kind: ""
    }
    for (const [id, rows] of selectedBy) this.recordDead(this.directory.lanes.get(id)!, event, rows, item.reason, true)
    return undefined
  }

  private dispatchDead(change: Change, selections: ReadonlyArray<Selection>, all: ReadonlyArray<EndpointLanes>, reason: string): void {
    const event: EventFacts = {
      id: EventId.of(change),
      body: NOTHING,
      shared: undefined,
      slab: undefined,
      commitLsn: change.transaction.commitLsn,
      ordinal: placeOf(change),
      table: this.tableOf(change),
      kind: change.kind
    }
    const numbered = change.copy === undefined
    all.forEach((lanes, i) => this.recordDead(lanes, event, selections[i]!.selectedBy, reason, numbered))
  }

  private recordDead(
    lanes: EndpointLanes, event: EventFacts, selectedBy: ReadonlyArray<string>, reason: string, numbered: boolean
  ): void {
    const number = numbered ? this.number(lanes) : 0
    if (this.wasParked(lanes, event) || lanes.wasErased(number) || this.isWithdrawn(lanes, selectedBy, number)) return
    const entry = new Entry(lanes.id, lanes.epoch, event, [], number, selectedBy, this.ticket, false)
    entry.lastError = reason
    this.ticket.open++
    lanes.recordDead(entry)
  }

  private commit(commit: Commit): void {
    this.inTransaction = false
    this.definitions.commit(commit)
    if (commit.definitions !== undefined) this.copied.forget()
    const removed = commit.definitions?.removed ?? []
    if (removed.length > 0) {
      this.core.withdrawn.forget(removed)
      for (const lanes of this.directory.lanes.values()) lanes.sweep()
    }
    this.reach(commit.transaction.commitLsn, Infinity)
    this.core.settlement.mark(this.ticket, commit.endLsn, this.takeCounts(), commit.definitions, commit.shapes)
  }

  /** Inside a transaction it says nothing: the counts there are not those of a commit. */
  private keepalive(keepalive: Keepalive): void {
    if (this.inTransaction) return
    if (keepalive.walEnd > this.core.reached.commitLsn) {
      this.reach(keepalive.walEnd, -Infinity)
    }
    this.core.settlement.mark(this.ticket, keepalive.walEnd, this.takeCounts(), undefined, undefined)
  }

  private reach(commitLsn: number, ordinal: number): void {
    this.core.reached.commitLsn = commitLsn
    this.core.reached.ordinal = ordinal
  }

  private takeCounts(): ReadonlyArray<readonly [EndpointId, Count]> {
    if (this.counted.length === 0) return NO_COUNTS
    const counts = this.counted.map((lanes) => {
      lanes.counted = false
      return [lanes.id, { count: lanes.count, epoch: lanes.epoch }] as const
    })
    this.counted.length = 0
    return counts
  }

  private markCounts(ticket: Ticket): void {
    if (ticket.marked) for (const [id, count] of this.takeCounts()) ticket.sum.counts.set(id, count)
  }
}

const NO_COUNTS: ReadonlyArray<readonly [EndpointId, Count]> = []

/** `table`: `schema.table`; unknown = every row could. */
const couldSelect = (row: Subscription, table: string | undefined): boolean =>
  table === undefined ||
  ((row.schema === "" || table.startsWith(`${row.schema}.`)) && (row.table === "" || table.endsWith(`.${row.table}`)))
