/**
 * What one endpoint knows of its rows in the table of parked deliveries: which keys they hold, which of them the
 * lanes or the write buffer have in hand, and which the stream will bring again.
 */
import type { Key } from "../../../domain/Key.ts"
import { ParkedKeys } from "../../../domain/OrderParked.ts"
import type { Core } from "./Core.ts"
import type { Entry } from "./Entry.ts"
import type { FeedRound } from "./FeedRound.ts"
import type { FeedSchedule } from "./FeedSchedule.ts"
import { FutureRows } from "./FutureRows.ts"
import { compare, type Placed } from "./Position.ts"

export class TableSide {
  /** Everything goes to the table: there are more parked keys than may be kept. */
  everything = false
  readonly future = new FutureRows()
  /** Rows that the lanes or the write buffer have in hand, by event id. */
  readonly known = new Map<string, Entry>()
  /** In the write buffer. */
  readonly pending = new Set<Entry>()
  /** Waiting rows in the table or on the way there, but not in the lanes. Their keys are in `parked`. */
  unloaded = 0
  /** The round of the feeder that is running. */
  round: FeedRound | undefined
  private parked: ParkedKeys
  /** The last round stopped at the write buffer: the next write that is durable asks for another. */
  private cut = false
  private readonly core: Core
  private readonly schedule: FeedSchedule

  constructor(core: Core, schedule: FeedSchedule) {
    this.core = core
    this.schedule = schedule
    this.parked = new ParkedKeys(core.rules)
  }

  /** An event with these keys goes to the table, too. */
  holds(keys: ReadonlyArray<Key>): boolean {
    return this.everything || (this.core.rules.parkedKeysFirst && this.parked.conflicts(keys))
  }

  get hasRows(): boolean {
    return this.unloaded > 0 || this.everything
  }

  /** A row in the table that is not in the lanes. */
  addStored(keys: ReadonlyArray<Key>): void {
    this.unloaded++
    this.addKeys(keys)
  }

  /** The stream has reached `place`: rows parked before the start count from there on. */
  reach(place: Placed): void {
    if (this.future.size === 0) return
    const before = this.unloaded
    this.future.reach(place, (row) => {
      if (row.state === "waiting") this.addStored(row.keys)
    })
    if (this.unloaded > before) this.schedule.requestNow()
  }

  /** It goes to the write buffer. */
  write(entry: Entry): void {
    this.unloaded++
    if (this.core.rules.writeBufferHolds) this.addKeys(entry.keys)
    this.known.set(entry.id, entry)
    this.pending.add(entry)
    this.round?.written(entry)
  }

  /** Durable: from here on the table answers for it. A dead one frees its keys only now: a restart before this would have brought them back. */
  written(entry: Entry): void {
    this.pending.delete(entry)
    this.forget(entry.id)
    if (!this.core.rules.writeBufferHolds) this.addKeys(entry.keys)
    if (entry.state === "waiting") this.round?.stored(entry)
    if (entry.state === "dead") this.freeDead(entry)
    else if (this.everything || entry.attempts > 0) this.schedule.request(entry.dueAtMs)
    if (this.cut) {
      this.cut = false
      this.schedule.requestNow()
    }
  }

  /** A row enters the lanes. */
  load(entry: Entry): void {
    this.unloaded = Math.max(0, this.unloaded - 1)
    if (!this.everything) this.parked.remove(entry.keys)
    this.known.set(entry.id, entry)
  }

  /** A row leaves the lanes; the table has it as it is. */
  unload(entry: Entry): void {
    this.forget(entry.id)
    this.addStored(entry.keys)
    this.round?.back(entry)
  }

  /** Lanes and write buffer are done with it. */
  forget(id: string): void {
    this.known.delete(id)
    this.round?.leaves(id)
  }

  /** Its rows are gone from the table: what is left is on its way there. */
  cleared(): void {
    this.future.forget()
    this.everything = false
    this.parked.clear()
    this.unloaded = 0
    for (const { keys } of this.pending) this.addStored(keys)
  }

  /** The feeder drops a row: it is in nobody's way from here on, and in hand until it is gone from the table. */
  drop(entry: Entry): void {
    this.load(entry)
  }

  parkEverything(): void {
    this.everything = true
    this.parked.clear()
    this.schedule.requestNow()
  }

  /** It failed before, and is in the lanes. */
  isProbe(id: string): boolean {
    const entry = this.known.get(id)
    return entry !== undefined && entry.stored && entry.where !== "out" && entry.attempts > 0
  }

  roundWasCut(): void {
    if (this.pending.size === 0) this.schedule.requestNow()
    else this.cut = true
  }

  /** The round stopped at the write buffer, and what it holds and what it need not have seen are all that there is. */
  isAccounted(round: FeedRound): boolean {
    return this.everything && this.future.last === undefined &&
      this.unloaded === round.heldRows + round.unseen(this.pending).length
  }

  /**
   * The round came to the end of the table: what it holds, and what is on its way there, are all rows that are not in
   * the lanes. With their keys in the set an endpoint is back to live. That the write buffer is empty is no condition:
   * under a steady stream it never is, and its keys are in the set, too.
   */
  isRead(round: FeedRound): void {
    const unseen = this.core.rules.backToLiveWhenHeld ? round.unseen(this.pending) : []
    for (const row of unseen) round.pass(row)
    this.unloaded = round.heldRows
    if (!this.everything || round.held.size > this.core.settings.maxParkedKeys) return
    if (this.future.last !== undefined && compare(this.future.last, this.core.reached) > 0) return
    this.everything = false
    this.parked = round.held
    if (unseen.length > 0) this.roundWasCut()
  }

  private addKeys(keys: ReadonlyArray<Key>): void {
    if (this.everything) return
    this.parked.add(keys)
    if (this.parked.size > this.core.settings.maxParkedKeys) this.parkEverything()
  }

  private freeDead(entry: Entry): void {
    this.unloaded = Math.max(0, this.unloaded - 1)
    if (!this.core.rules.deadFreesKeys) return
    if (!this.everything) this.parked.remove(entry.keys)
    this.round?.dead(entry)
    if (this.unloaded > 0) this.schedule.requestNow()
  }
}
