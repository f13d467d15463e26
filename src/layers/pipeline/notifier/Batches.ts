/**
 * Which entries go into the next request of an endpoint that gets several events at a time. An entry goes when nothing
 * holds it, or when all that holds it is in the same batch before it; so events of one key are in order, and none of it
 * is in flight elsewhere. A batch goes when it is full, or the time of its first entry has come.
 */
import type { BatchLimits } from "../../../domain/Subscription.ts"
import type { Entry } from "./Entry.ts"
import type { LaneList } from "./LaneList.ts"
import { compare } from "./Position.ts"

/** Bytes of bodies in one batch at most (one larger body goes alone). */
const BATCH_BYTES = 4 * 1024 * 1024

interface Batch {
  readonly entries: Array<Entry>
  bytes: number
}

const fits = ({ bytes, entries }: Batch, entry: Entry, limits: BatchLimits): boolean =>
  entries.length === 0 ||
  (entries.length < limits.maxEvents && entry.epoch === entries[0]!.epoch && bytes + entry.body.byteLength <= BATCH_BYTES)

const add = (batch: Batch, entry: Entry): void => {
  batch.entries.push(entry)
  batch.bytes += entry.body.byteLength
}

/** What gathered mostly is: it was ready in the order of the stream. */
const isInOrder = (entries: ReadonlyArray<Entry>): boolean => {
  for (let i = 1; i < entries.length; i++) if (compare(entries[i - 1]!, entries[i]!) > 0) return false
  return true
}

export class Batches {
  private readonly lanes: LaneList
  private readonly now: () => number
  private gathered: Array<Entry> = []
  /** When the first one of those came, ms. */
  private sinceMs = 0

  constructor(lanes: LaneList, now: () => number) {
    this.lanes = lanes
    this.now = now
  }

  /** When the batch that gathers has to go, ms; `undefined`: none does. */
  dueAtMs(limits: BatchLimits): number | undefined {
    if (this.gathered.length > 0 && this.gathered[0]!.where !== "gathered") this.forgetLeft()
    return this.gathered.length === 0 ? undefined : this.sinceMs + limits.maxDelayMs
  }

  /** What is ready gathers. Returns one that has to go alone, if it comes first. */
  gather(limits: BatchLimits): Entry | undefined {
    for (;;) {
      if (this.gathered.length >= limits.maxEvents) {
        this.forgetLeft()
        if (this.gathered.length >= limits.maxEvents) return undefined
      }
      const entry = this.lanes.nextReady()
      if (entry === undefined) return undefined
      if (entry.alone) return entry
      if (this.gathered.length === 0) this.sinceMs = this.now()
      entry.where = "gathered"
      this.gathered.push(entry)
    }
  }

  /** `flying`: entries with a request out. There are enough of the others to fill a batch. */
  isFull(limits: BatchLimits, flying: number): boolean {
    return this.gathered.length >= limits.maxEvents || (this.gathered.length > 0 && this.lanes.size - flying >= limits.maxEvents)
  }

  /** The next batch, in order of the stream; what does not fit gathers on. */
  take(limits: BatchLimits): ReadonlyArray<Entry> {
    const batch: Batch = { entries: [], bytes: 0 }
    const rest: Array<Entry> = []
    for (const entry of this.gathered) {
      if (entry.where !== "gathered") continue
      if (fits(batch, entry, limits)) add(batch, entry)
      else rest.push(entry)
    }
    this.gathered = rest
    this.addHeld(batch, limits)
    this.sinceMs = this.now()
    return isInOrder(batch.entries) ? batch.entries : batch.entries.sort(compare)
  }

  /** Behind those in the batch, as far as only they hold them. */
  private addHeld(batch: Batch, limits: BatchLimits): void {
    const { entries } = batch
    let inBatch: Set<Entry> | undefined
    for (let i = 0; i < entries.length && entries.length < limits.maxEvents; i++) {
      for (const next of this.lanes.nextOf(entries[i]!)) {
        if (next.where !== "waiting" || next.alone || !fits(batch, next, limits)) continue
        inBatch ??= new Set(entries)
        if (inBatch.has(next) || !this.lanes.isHeldOnlyBy(next, inBatch)) continue
        add(batch, next)
        inBatch.add(next)
      }
    }
  }

  /** No batches any more, or other limits: what gathered is ready again. */
  release(): void {
    for (const entry of this.gathered) if (entry.where === "gathered") this.lanes.makeReady(entry)
    this.gathered = []
  }

  /** Those that went elsewhere meanwhile. */
  private forgetLeft(): void {
    if (this.gathered.some((entry) => entry.where !== "gathered")) this.gathered = this.gathered.filter((entry) => entry.where === "gathered")
  }
}
