/**
 * What the parts of one open Notifier share: settings, clock, settlement, the sum of all bytes, and the first
 * failure. Plain state: everything that changes it is synchronous.
 */
import * as Context from "effect/Context"
import * as Latch from "effect/Latch"
import * as Effect from "effect/Effect"
import type * as Cause from "effect/Cause"
import { randomBytes } from "node:crypto"
import { SLAB_BYTES } from "../../../domain/Body.ts"
import * as Rules from "../../../domain/Rules.ts"
import type { Slab } from "../../../domain/Slabs.ts"
import { SpareMemory } from "../../../domain/SpareMemory.ts"
import { Settlement, type Ticket } from "../../../domain/Settlement.ts"
import type { StreamId } from "../../../domain/StreamId.ts"
import type { FailPoint } from "../../../services/FailPoints.ts"
import type { NotifierSettingsShape } from "../../../services/Settings.ts"
import type { Endpoint } from "../../../domain/Subscription.ts"
import type { DeliveryLogShape } from "../../../services/DeliveryLog.ts"
import type { NoticesShape } from "../../../services/Notices.ts"
import { Alarms } from "./Alarms.ts"
import { Cursors } from "./Cursors.ts"
import type { EndpointFates } from "./EndpointFates.ts"
import type { LanesState } from "./LanesState.ts"
import type { SharedBody } from "./Entry.ts"
import type { Gate } from "./Gate.ts"
import type { RowsAhead } from "./RowsAhead.ts"
import type { Withdrawn } from "./Withdrawn.ts"

/**
 * Events that are ready at each live endpoint: with as many the Dispatcher waits, and with so few it goes on. More would
 * only wait in memory, for so long that V8 moves them to its old generation.
 */
export const READY_ENOUGH = 2_048
export const READY_FEW = 1_024
/** Memory of bodies of batches that is kept while none is in it. */
const SPARE_BYTES = 8 * 1024 * 1024

/** What a test may set: rules, chance. Production provides nothing. */
export interface NotifierGrips {
  readonly rules: Rules.Rules
  /** 0 … 1, for jitter. */
  readonly random: () => number
  /** A new `webhook-epoch`: 16 hex digits. */
  readonly newEpoch: () => string
  /** Of the memory that bodies are written to. */
  readonly slabBytes: number
}

export const NotifierGrips = Context.Reference<NotifierGrips>("pgstream/layers/pipeline/NotifierGrips", {
  defaultValue: () => ({ rules: Rules.all, random: Math.random, newEpoch: () => randomBytes(8).toString("hex"), slabBytes: SLAB_BYTES })
})

/** A body in memory. */
interface Held {
  readonly body: Uint8Array
  readonly shared: SharedBody | undefined
  slab: Slab | undefined
}

export interface CoreOptions {
  readonly settings: NotifierSettingsShape
  readonly grips: NotifierGrips
  readonly stream: StreamId
  readonly from: number
  readonly withdrawn: Withdrawn
  readonly now: () => number
  readonly hit: ((name: FailPoint) => void) | undefined
  /** What may start to an endpoint, and when. */
  readonly makeGate: (endpoint: Endpoint) => Gate
  readonly log: DeliveryLogShape
  readonly notices: NoticesShape
  /** Who is to end since it fails. */
  readonly fates: Pick<EndpointFates, "answered">
  /** Runs in the background, as long as the Notifier is open; its failure fails the Notifier. */
  readonly fork: (effect: Effect.Effect<unknown, unknown>) => void
}

export class Core {
  readonly settings: NotifierSettingsShape
  readonly grips: NotifierGrips
  readonly rules: Rules.Rules
  readonly stream: StreamId
  readonly withdrawn: Withdrawn
  readonly now: () => number
  readonly hit: ((name: FailPoint) => void) | undefined
  readonly fork: (effect: Effect.Effect<unknown, unknown>) => void
  readonly makeGate: (endpoint: Endpoint) => Gate
  readonly log: DeliveryLogShape
  readonly notices: NoticesShape
  readonly fates: Pick<EndpointFates, "answered">
  readonly settlement: Settlement
  readonly cursors = new Cursors()
  readonly alarms: Alarms
  /** For the bodies of batches. */
  readonly spare = new SpareMemory(SPARE_BYTES)
  /** The last that was dispatched: one object, changed in place. */
  readonly reached: { commitLsn: number; ordinal: number }
  /** Parked keys are being loaded: nothing of the table or of segments is fed yet. */
  loading = true
  /** No request starts any more. */
  stopping = false
  /** The scope is closed: late callbacks change nothing. */
  closed = false
  failure: Cause.Cause<unknown> | undefined
  inFlight = 0
  /** Bytes of bodies in memory, a shared one once. */
  bytes = 0
  /** Bytes that wait in segments, for all endpoints. */
  waitingBytes = 0
  /** Endpoints above their own bound; one that is behind holds nobody. */
  readonly overfull = new Set<LanesState>()
  /** Position that is stored: a start goes on there. */
  private storedAt: number
  /** Of endpoints that have rows above it. */
  private readonly rowsAhead = new Set<RowsAhead>()
  /** Those that are behind. */
  readonly behind = new Set<LanesState>()
  /** The Dispatcher waits since every live endpoint has enough to send: until one has fewer events ready than `READY_FEW`. */
  sated = false
  /** What else holds the Dispatcher, by name: a write buffer, a budget. */
  private readonly holds = new Set<string>()
  /** Opened when there may be room, something settled, or nothing in flight; and at a failure. */
  readonly room = Latch.makeUnsafe(false)
  readonly settled = Latch.makeUnsafe(false)
  readonly idle = Latch.makeUnsafe(false)

  constructor(options: CoreOptions) {
    this.settings = options.settings
    this.grips = options.grips
    this.rules = options.grips.rules
    this.stream = options.stream
    this.withdrawn = options.withdrawn
    this.now = options.now
    this.hit = options.hit
    this.fork = options.fork
    this.makeGate = options.makeGate
    this.log = options.log
    this.notices = options.notices
    this.fates = options.fates
    this.settlement = new Settlement(options.from, this.rules)
    this.alarms = new Alarms(options.now)
    this.storedAt = options.from
    this.reached = { commitLsn: options.from, ordinal: -Infinity }
  }

  get full(): boolean {
    return this.overfull.size > 0 || this.bytes > this.settings.maxQueueBytes || this.holds.size > 0
  }

  /** Holds the Dispatcher for that reason, or no longer. */
  holdStream(reason: string, on: boolean): void {
    if (on) this.holds.add(reason)
    else if (this.holds.delete(reason)) this.openRoom()
  }

  setOverfull(lanes: LanesState, on: boolean): void {
    if (on) this.overfull.add(lanes)
    else if (this.overfull.delete(lanes)) this.openRoom()
  }

  settle(ticket: Ticket): void {
    if (this.settlement.settle(ticket)) this.settled.openUnsafe()
  }

  /** A row for an event of that commit is on its way to the table. */
  countAhead(rows: RowsAhead, commitLsn: number): void {
    if (commitLsn < this.storedAt) return
    rows.add(commitLsn)
    this.rowsAhead.add(rows)
  }

  stored(position: number): void {
    this.storedAt = Math.max(this.storedAt, position)
    for (const rows of this.rowsAhead) {
      rows.stored(position)
      if (rows.size === 0) this.rowsAhead.delete(rows)
    }
  }

  /** Of one entry; what its endpoint holds is the endpoint's to count. */
  hold(entry: Held): void {
    entry.slab?.hold()
    if (entry.shared === undefined || entry.shared.users++ === 0) this.bytes += entry.body.byteLength
  }

  release(entry: Held): void {
    const { slab } = entry
    if (slab !== undefined) {
      entry.slab = undefined
      slab.release()
    }
    if (entry.shared !== undefined && --entry.shared.users > 0) return
    this.bytes -= entry.body.byteLength
    this.openRoom()
  }

  private openRoom(): void {
    if (!this.sated && !this.full) this.room.openUnsafe()
  }

  /** One line for the operator. No value of a row, no body. */
  warn(message: string, annotations: Record<string, unknown>): void {
    this.fork(Effect.annotateLogs(Effect.logWarning(message), annotations))
  }

  say(message: string, annotations: Record<string, unknown>): void {
    this.fork(Effect.annotateLogs(Effect.logInfo(message), annotations))
  }

  fail(cause: Cause.Cause<unknown>): void {
    this.failure ??= cause
    this.room.openUnsafe()
    this.settled.openUnsafe()
    this.idle.openUnsafe()
  }
}
