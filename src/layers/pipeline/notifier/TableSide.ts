/**
 * What one endpoint knows of its rows in the table of parked deliveries: which keys they hold, which of them the
 * lanes or the write buffer have in hand, and which the stream will bring again.
 */
import { EVERYTHING, type Key, WHOLE } from "../../../domain/Key.ts"
import { ParkedKeys } from "../../../domain/OrderParked.ts"
import type { Core } from "./Core.ts"
import type { Entry } from "./Entry.ts"
import type { FeedRound } from "./FeedRound.ts"
import type { FeedSchedule } from "./FeedSchedule.ts"
import { FutureRows } from "./FutureRows.ts"
import { RowsAhead } from "./RowsAhead.ts"
import { before, compare, earlier, END, type Placed, START } from "./Position.ts"

interface StoredRow extends Placed {
  readonly keys: ReadonlyArray<Key>
  /** ms since 1970. */
  readonly parkedAtMs?: number
}

/** It holds a whole table, or all that there is. */
const isBarrier = (keys: ReadonlyArray<Key>): boolean => keys.some(({ leaf, value }) => value === WHOLE || leaf === EVERYTHING)

export class TableSide {
  readonly future = new FutureRows()
  /** Rows that a start would have to find there. */
  readonly ahead: RowsAhead
  /** Rows that the lanes or the write buffer have in hand, by event id. */
  readonly known = new Map<string, Entry>()
  /** In the write buffer. */
  readonly pending = new Set<Entry>()
  /** Waiting rows in the table or on the way there, but not in the lanes. Their keys are in `parked`. */
  unloaded = 0
  /** The round of the feeder that is running. */
  round: FeedRound | undefined
  /** The last round stopped at rows that are later than what the reader of the segments, or the stream, has reached. */
  limited = false
  /** Of the rows that were found in the table, when the first was parked, ms since 1970; Infinity: none was found. */
  readonly foundSince = { barrier: Infinity, any: Infinity }
  private readonly parked: ParkedKeys
  /** Before the first row that a round may find. */
  private low: Placed = END
  /** The last row that was there since there was none. */
  private high: Placed = START
  /** The last round stopped at the write buffer: the next write that is durable asks for another. */
  private cut = false
  private readonly core: Core
  private readonly schedule: FeedSchedule
  private readonly tooMany: () => void

  /** `tooMany`: more is parked than may be kept in memory, now or after a start; `fewer`: not any more. */
  constructor(core: Core, schedule: FeedSchedule, tooMany: () => void, fewer: () => void) {
    this.core = core
    this.ahead = new RowsAhead({ max: core.settings.maxParkedKeys, fewer })
    this.schedule = schedule
    this.tooMany = tooMany
    this.parked = new ParkedKeys(core.rules)
  }

  /** An event with these keys goes to the table, too. */
  holds(keys: ReadonlyArray<Key>): boolean {
    return this.core.rules.parkedKeysFirst && this.parked.conflicts(keys)
  }

  get hasRows(): boolean {
    return this.unloaded > 0
  }

  get isOverfull(): boolean {
    return this.parked.size > this.core.settings.maxParkedKeys || this.ahead.isTooMany
  }

  /** Rows that hold a whole table, and are not in hand just now. */
  get barriers(): number {
    return this.parked.barriers
  }

  /** One of them is in hand: it is being tried, or waits in the lanes for what is. */
  get hasBarrierInHand(): boolean {
    for (const { keys, stored } of this.known.values()) if (stored && isBarrier(keys)) return true
    return false
  }

  /** A row in the table that is not in the lanes. `parkedAtMs`: it was found there. */
  addStored(row: StoredRow): void {
    const { foundSince } = this
    const parkedAtMs = row.parkedAtMs ?? Infinity
    foundSince.any = Math.min(foundSince.any, parkedAtMs)
    if (parkedAtMs < foundSince.barrier && isBarrier(row.keys)) foundSince.barrier = parkedAtMs
    this.unloaded++
    this.low = earlier(this.low, row)
    if (compare(row, this.high) > 0) this.high = row
    this.addKeys(row.keys)
  }

  /** None of them waits any more. */
  forgetFound(): void {
    this.foundSince.barrier = Infinity
    this.foundSince.any = Infinity
  }

  /** A row may be there that is not to be loaded yet, or was not before. */
  mayHave(row: Placed): void {
    this.low = earlier(this.low, row)
  }

  /** It is not there, after all. */
  removeStored(row: { readonly keys: ReadonlyArray<Key> }): void {
    this.unloaded = Math.max(0, this.unloaded - 1)
    this.parked.remove(row.keys)
  }

  /** Nothing is on its way to the table, or from it. */
  get isQuiet(): boolean {
    return this.pending.size === 0 && this.known.size === 0 && this.round === undefined
  }

  /** These are all that wait in the table, whatever was known of it. Those that the stream brings again are still to come. */
  replace(rows: ReadonlyArray<StoredRow & { readonly id: string }>): void {
    this.parked.clear()
    this.unloaded = 0
    this.low = END
    this.future.keep(new Set(rows.map(({ id }) => id)))
    const ahead = this.future.ahead()
    for (const row of rows) if (!ahead.has(row.id)) this.addStored(row)
  }

  /** Where a round begins: no row at or below it is to be fed. */
  beginRound(round: FeedRound): void {
    this.round = round
    this.limited = false
    round.cursor = this.low === END ? undefined : before(this.low)
    this.low = END
  }

  /** What the round passed over, or did not come to, is where the next one begins. */
  endRound(round: FeedRound, isWhole: boolean): void {
    this.round = undefined
    if (round.firstPassed !== undefined) this.low = earlier(this.low, round.firstPassed)
    for (const entry of this.pending) this.low = earlier(this.low, entry)
    if (!isWhole && round.cursor !== undefined) this.low = earlier(this.low, round.cursor)
  }

  /** The stream has reached `place`: rows parked before the start count from there on. */
  reach(place: Placed): void {
    if (this.future.size === 0) return
    const before = this.unloaded
    this.future.reach(place, (row) => {
      if (row.state === "waiting") this.addStored(row)
    })
    if (this.unloaded > before) this.schedule.requestNow()
  }

  /** It goes to the write buffer. */
  write(entry: Entry): void {
    this.unloaded++
    this.low = earlier(this.low, entry)
    // It comes before a row that is there, so what it shares a key with need not hold it: a round has to see.
    if (compare(entry, this.high) < 0) this.cut = true
    else this.high = entry
    if (!entry.stored) this.core.countAhead(this.ahead, entry.commitLsn)
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
    if (entry.state === "waiting") this.low = earlier(this.low, entry)
    if (entry.state === "dead") this.freeDead(entry)
    else if (entry.attempts > 0) this.schedule.request(entry.dueAtMs)
    if (this.cut) {
      this.cut = false
      this.schedule.requestNow()
    }
  }

  /** A row enters the lanes, or the feeder drops it: it is in nobody's way from here on, and in hand until it is gone from the table. */
  load(entry: Entry): void {
    this.unloaded = Math.max(0, this.unloaded - 1)
    if (this.unloaded === 0) this.high = START
    this.parked.remove(entry.keys)
    this.known.set(entry.id, entry)
  }

  /** A row leaves the lanes; the table has it as it is. */
  unload(entry: Entry): void {
    this.forget(entry.id)
    this.addStored(entry)
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
    this.parked.clear()
    this.unloaded = 0
    this.low = END
    for (const entry of this.pending) this.addStored(entry)
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

  private addKeys(keys: ReadonlyArray<Key>): void {
    this.parked.add(keys)
    if (this.isOverfull) this.tooMany()
  }

  private freeDead(entry: Entry): void {
    this.unloaded = Math.max(0, this.unloaded - 1)
    if (!this.core.rules.deadFreesKeys) return
    this.parked.remove(entry.keys)
    this.round?.dead(entry)
    if (this.unloaded > 0) this.schedule.requestNow()
  }
}
