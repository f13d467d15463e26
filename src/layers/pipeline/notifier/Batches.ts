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
    this.gathered = this.gathered.filter((entry) => entry.where === "gathered")
    return this.gathered.length === 0 ? undefined : this.sinceMs + limits.maxDelayMs
  }

  /** What is ready gathers. Returns one that has to go alone, if it comes first. */
  gather(limits: BatchLimits): Entry | undefined {
    while (this.gathered.length < limits.maxEvents) {
      const entry = this.lanes.nextReady()
      if (entry === undefined) return undefined
      if (entry.alone) return entry
      if (this.gathered.length === 0) this.sinceMs = this.now()
      entry.where = "gathered"
      this.gathered.push(entry)
    }
    return undefined
  }

  /** `flying`: entries with a request out. There are enough of the others to fill a batch. */
  isFull(limits: BatchLimits, flying: number): boolean {
    return this.gathered.length >= limits.maxEvents || (this.gathered.length > 0 && this.lanes.size - flying >= limits.maxEvents)
  }

  /** The next batch, in order of the stream; what does not fit gathers on. */
  take(limits: BatchLimits): ReadonlyArray<Entry> {
    const waiting = this.gathered.filter((entry) => entry.where === "gathered")
    const first = waiting[0]
    if (first === undefined) return []
    const batch: Array<Entry> = []
    const inBatch = new Set<Entry>()
    let bytes = 0
    const fits = (entry: Entry): boolean =>
      batch.length < limits.maxEvents && entry.epoch === first.epoch && (batch.length === 0 || bytes + entry.body.byteLength <= BATCH_BYTES)
    const add = (entry: Entry): void => {
      batch.push(entry)
      inBatch.add(entry)
      bytes += entry.body.byteLength
    }
    for (const entry of waiting) if (fits(entry)) add(entry)
    // Behind those, as far as only they hold them.
    for (let i = 0; i < batch.length && batch.length < limits.maxEvents; i++) {
      for (const next of this.lanes.nextOf(batch[i]!)) {
        if (next.where !== "waiting" || next.alone || inBatch.has(next)) continue
        if (fits(next) && this.lanes.isHeldOnlyBy(next, inBatch)) add(next)
      }
    }
    this.gathered = waiting.filter((entry) => !inBatch.has(entry))
    this.sinceMs = this.now()
    return batch.sort(compare)
  }

  /** No batches any more, or other limits: what gathered is ready again. */
  release(): void {
    for (const entry of this.gathered) if (entry.where === "gathered") this.lanes.makeReady(entry)
    this.gathered = []
  }
}
