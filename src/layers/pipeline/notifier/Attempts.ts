/**
 * The requests of one endpoint: which starts when, what its answer means, when it is made again. Where an entry goes
 * that is decided, or failed for too long, is its owner's (`EndpointLanes`).
 */
import * as Batch from "../../../domain/Batch.ts"
import type { AttemptResult } from "../../../domain/Delivery.ts"
import { describe, liveDelay, looksDown, parkedDelay, retryAfterOf, verdict } from "../../../domain/RetryPolicy.ts"
import type { BatchLimits, Endpoint, OrderMode } from "../../../domain/Subscription.ts"
import { Batches } from "./Batches.ts"
import { type Core, READY_FEW } from "./Core.ts"
import type { Entry } from "./Entry.ts"
import type { Gate } from "./Gate.ts"
import type { LaneList } from "./LaneList.ts"
import type { LanesLink } from "./LanesLink.ts"

/** Pause between two lines about one endpoint, ms. */
const LINE_PAUSE_MS = 10_000

export interface AttemptsOwner {
  readonly id: string
  readonly endpoint: Endpoint
  readonly mode: OrderMode
  /** Nothing starts for now, whatever waits. */
  readonly isHeld: boolean
  /** Nobody is subscribed to it any more: a failed attempt is its last. */
  isWithdrawn(entry: Entry): boolean
  accepted(entry: Entry): void
  withdraw(entry: Entry): void
  /** It failed and leaves the lanes: `state` and `dueAtMs` say how it goes on. */
  park(entry: Entry): void
  /** After each answer, before the next request. */
  answered(): void
  /** The gate opened, or closed again. */
  gateChanged(): void
  /** The first accepted one after a time in which it looked down. */
  recovered(): void
}

export class Attempts {
  link: LanesLink
  readonly gate: Gate
  private readonly core: Core
  private readonly lanes: LaneList
  private readonly owner: AttemptsOwner
  private inFlight = 0
  private lastAcceptedMs = 0
  private untold = 0
  private nextLineMs = 0
  /** A delivery was parked since it was down, and none was accepted since: the next accepted one makes all due. */
  private down = false
  /** When the pump looks again, since nothing may start before, ms. */
  private wakeMs = Infinity
  /** Entries in requests that are out, and bytes of their bodies. */
  private flying = 0
  flyingBytes = 0
  /** While several events go in one request. */
  private batches: Batches | undefined

  constructor(core: Core, lanes: LaneList, owner: AttemptsOwner, link: LanesLink) {
    this.core = core
    this.lanes = lanes
    this.owner = owner
    this.link = link
    this.gate = core.makeGate(owner.endpoint)
  }

  private get limit(): number {
    const { mode, endpoint } = this.owner
    const most = mode === "total" ? 1 : endpoint.concurrency
    return this.gate.isWide ? most : this.gate.limit(most, this.core.now())
  }

  /** Nothing waits, and a request could start. */
  get isFree(): boolean {
    return !this.lanes.hasReady && this.inFlight < this.limit
  }

  /** Requests may start: it is not known to be down. */
  get isOpen(): boolean {
    return this.gate.state === "closed" || this.gate.limit(1, this.core.now()) > 0
  }

  /** Whether it is up is being tried with one request. */
  get isProbing(): boolean {
    return this.gate.state !== "closed"
  }

  pump(): void {
    if (this.core.stopping || this.owner.isHeld) return
    this.tellHungry()
    const { batch } = this.owner.endpoint
    if (batch !== undefined) return this.pumpBatches(batch)
    while (this.inFlight < this.limit && this.lanes.hasReady) {
      const now = this.core.now()
      if (!this.mayStart(now)) return
      const entry = this.lanes.nextReady()
      if (entry === undefined) return
      this.send(entry, now)
    }
  }

  private tellHungry(): void {
    if (this.core.sated && this.lanes.readyCount < READY_FEW) this.core.room.openUnsafe()
  }

  private pumpBatches(limits: BatchLimits): void {
    const batches = (this.batches ??= new Batches(this.lanes, this.core.now))
    while (this.inFlight < this.limit) {
      const now = this.core.now()
      if (!this.mayStart(now)) return
      const alone = batches.gather(limits)
      if (alone !== undefined) {
        this.send(alone, now)
        continue
      }
      const dueAtMs = batches.dueAtMs(limits)
      if (dueAtMs === undefined) return
      if (dueAtMs > now && !batches.isFull(limits, this.flying)) return this.pumpAt(dueAtMs)
      this.sendAll(batches.take(limits), now)
    }
  }

  /** Other limits, or none: what gathered is ready again. */
  configured(): void {
    this.batches?.release()
    if (this.owner.endpoint.batch === undefined) this.batches = undefined
  }

  private sendAll(entries: ReadonlyArray<Entry>, now: number): void {
    const first = entries[0]
    if (first === undefined) return
    for (const entry of entries) this.takeOff(entry, now)
    const link = this.began(now)
    const memory = this.core.spare.take(Batch.roomFor(entries))
    const body = Batch.write(entries, Math.floor(now / 1_000), memory)
    const { endpointId, epoch } = first
    link.connection.send({ id: Batch.idOf(first.id, entries.length), body, sequence: 0, endpointId, epoch }, (result) => {
      this.core.spare.put(memory)
      this.answeredAll(entries, link, result)
    })
    this.core.hit?.("dispatcher.after_send")
  }

  /** One answer for all: accepted together; or each of them is sent alone, in the order of its keys. */
  private answeredAll(entries: ReadonlyArray<Entry>, link: LanesLink, result: AttemptResult): void {
    if (this.core.closed) return
    const now = this.landed(link)
    for (const entry of entries) this.logged(entry, result, now)
    const changed = this.judged(result, now)
    if (result._tag === "Accepted") for (const entry of entries) this.accepted(entry, now)
    else {
      for (const entry of entries) {
        entry.alone = true
        if (entry.waits > 0) entry.where = "waiting"
      }
      for (const entry of entries) {
        if (this.owner.isWithdrawn(entry)) {
          if (entry.where !== "out") this.owner.withdraw(entry)
        } else if (entry.where !== "flying") continue
        // Another of them may be what is refused.
        else if (verdict(result) === "park") this.lanes.makeReady(entry)
        else this.failed(entry, result, now)
      }
    }
    this.goOn(changed)
  }

  /** No alarm but the next one. */
  private pumpAt(atMs: number): void {
    if (atMs >= this.wakeMs) return
    this.wakeMs = atMs
    this.core.alarms.at(atMs, () => {
      if (this.wakeMs === atMs) this.wakeMs = Infinity
      this.pump()
    })
  }

  /** The rate. */
  private mayStart(now: number): boolean {
    const waitMs = this.gate.waitMs(now)
    if (waitMs <= 0) return true
    this.pumpAt(now + waitMs)
    return false
  }

  private send(entry: Entry, now: number): void {
    this.takeOff(entry, now)
    const link = this.began(now)
    link.connection.send(entry, (result) => this.answered(entry, link, result))
    this.core.hit?.("dispatcher.after_send")
  }

  private takeOff(entry: Entry, now: number): void {
    entry.where = "flying"
    entry.startedMs = now
    if (entry.firstAttemptMs === 0) entry.firstAttemptMs = now
    this.flying++
    this.flyingBytes += entry.body.byteLength
  }

  private began(now: number): LanesLink {
    this.gate.started(now)
    this.inFlight++
    this.core.inFlight++
    const link = this.link
    link.inFlight++
    return link
  }

  private answered(entry: Entry, link: LanesLink, result: AttemptResult): void {
    if (this.core.closed) return
    const now = this.landed(link)
    this.logged(entry, result, now)
    const changed = this.judged(result, now)
    if (result._tag === "Accepted") this.accepted(entry, now)
    else this.failed(entry, result, now)
    this.goOn(changed)
  }

  /** A request is over. */
  private landed(link: LanesLink): number {
    this.core.hit?.("dispatcher.after_reply")
    this.inFlight--
    link.ended()
    return this.core.now()
  }

  private logged(entry: Entry, result: AttemptResult, now: number): void {
    this.flying--
    this.flyingBytes -= entry.body.byteLength
    entry.attempts++
    this.core.log.attempted(this.core.stream, entry, result, entry.startedMs, now - entry.startedMs)
  }

  /** What it says of the endpoint. Returns whether the gate changed. */
  private judged(result: AttemptResult, now: number): boolean {
    this.core.fates.answered(this.owner.id, result, now)
    return this.gate.answered(result, now)
  }

  private goOn(changed: boolean): void {
    if (changed) this.owner.gateChanged()
    this.owner.answered()
    this.pump()
    if (--this.core.inFlight === 0) this.core.idle.openUnsafe()
  }

  private accepted(entry: Entry, now: number): void {
    const recovered = this.down
    this.down = false
    this.lastAcceptedMs = now
    this.owner.accepted(entry)
    if (recovered) this.owner.recovered()
  }

  private failed(entry: Entry, result: AttemptResult, now: number): void {
    const { settings, grips } = this.core
    if (this.owner.isWithdrawn(entry)) return this.owner.withdraw(entry)
    const before = entry.lastError
    entry.lastError = describe(result)
    // Before its time (all were due at once): its schedule stays as it is.
    const early = entry.stored && entry.dueAtMs > now
    if (early) entry.dueAtMs = Math.max(entry.dueAtMs, now + retryAfterOf(result))
    else if (entry.stored) entry.retries++
    else if (!this.owner.isHeld && this.isOpen) {
      const delay = liveDelay(settings, result, entry.attempts, now - entry.firstAttemptMs, grips.random())
      if (delay !== undefined) return this.backOff(entry, now + delay)
    }
    if (looksDown(result) && this.lastAcceptedMs < entry.firstAttemptMs) this.down = true
    if (!early) {
      const delay = parkedDelay(settings, result, entry.retries, grips.random(), before)
      if (delay === undefined) entry.state = "dead"
      else entry.dueAtMs = now + delay
    }
    this.tell(entry)
    this.owner.park(entry)
  }

  /** One line each `LINE_PAUSE_MS` says that deliveries are parked or dead, and how many. */
  private tell(entry: Entry): void {
    this.untold++
    const now = this.core.now()
    if (now < this.nextLineMs) return
    this.nextLineMs = now + LINE_PAUSE_MS
    const dead = entry.state === "dead"
    this.core.warn(dead ? "Deliveries are dead: no more attempts by themselves." : "Deliveries are parked: they are tried again later.", {
      endpointId: this.owner.id, eventId: entry.id, table: entry.table, attempts: entry.attempts, reason: entry.lastError, deliveries: this.untold,
      ...(dead ? { mend: `pgstream deliveries retry --endpoint ${this.owner.id} --state dead` } : {})
    })
    this.untold = 0
  }

  private backOff(entry: Entry, untilMs: number): void {
    entry.where = "backoff"
    entry.keepBody()
    this.core.alarms.at(untilMs, () => {
      if (entry.where !== "backoff") return
      this.lanes.makeReady(entry)
      this.pump()
    })
  }
}
