/**
 * Numbers that were given and are not sent (withdrawn, suspended), on their way to the store as ranges. Numbers that
 * follow each other are one range, so a suspended endpoint costs a comparison an event. What waits for a range is done
 * when it is durable: only then is its event settled, or its row removed.
 */
import * as Effect from "effect/Effect"
import * as Latch from "effect/Latch"
import type { NumberRange } from "../../../domain/Segment.ts"
import type { Ticket } from "../../../domain/Settlement.ts"
import type { EndpointId } from "../../../domain/Subscription.ts"
import type { RangeState, SequenceRange, SequenceRanges, SequenceRangesError } from "../../../services/SequenceRanges.ts"
import type { Core } from "./Core.ts"
import { untilDone } from "./ParkWriter.ts"

/** Ranges, and tickets and callbacks that wait for them to be durable; over it the Dispatcher waits. */
const MAX_WAITING = 10_000
/** Pause between two writes, ms. */
const PAUSE_MS = 20

interface Growing {
  readonly endpointId: EndpointId
  readonly epoch: string
  readonly state: RangeState
  readonly first: number
  last: number
}

/** What is written together. */
class Batch {
  readonly ranges: Array<Growing> = []
  /** The last of each endpoint. */
  readonly last = new Map<EndpointId, Growing>()
  readonly tickets: Array<Ticket> = []
  readonly after: Array<() => void> = []
}

/** Many numbers may be one range: what waits for it counts, too. */
const sizeOf = ({ after, ranges, tickets }: Batch): number => ranges.length + tickets.length + after.length

/** One number of an endpoint; 0: it has none. */
export interface Numbered {
  readonly endpointId: EndpointId
  readonly epoch: string
  readonly sequence: number
}

export class RangeWriter {
  private batch = new Batch()
  private underWay = 0
  private readonly work = Latch.makeUnsafe(false)
  private readonly core: Core
  private readonly store: SequenceRanges["Service"]

  constructor(core: Core, store: SequenceRanges["Service"]) {
    this.core = core
    this.store = store
  }

  /** Ranges that are not durable yet, and what waits for them. */
  get size(): number {
    return sizeOf(this.batch) + this.underWay
  }

  /** An event of the stream, or of a copy: that has no number. */
  count(of: Numbered, state: RangeState, ticket: Ticket): void {
    if (of.sequence === 0) return
    if (!this.core.rules.rangesBeforeSettle) return this.grow(of, state)
    if (this.batch.tickets.at(-1) !== ticket) {
      ticket.open++
      this.batch.tickets.push(ticket)
    }
    this.grow(of, state)
  }

  /** Any other: `after` is called when it is durable. */
  record(of: Numbered, state: RangeState, after: () => void): void {
    if (of.sequence === 0) return after()
    this.batch.after.push(after)
    this.grow(of, state)
  }

  /** Those of the store, before it drops what has them. */
  add(endpointId: EndpointId, state: RangeState, ranges: ReadonlyArray<NumberRange>, epoch: string): Effect.Effect<void, SequenceRangesError> {
    if (ranges.length === 0) return Effect.void
    const known = ranges.map((range) => ({ ...range, endpointId, state, epoch: range.epoch === "" ? epoch : range.epoch }))
    return untilDone(this.store.add(this.core.stream, known))
  }

  private grow({ endpointId, epoch, sequence }: Numbered, state: RangeState): void {
    const last = this.batch.last.get(endpointId)
    if (last !== undefined && last.last + 1 === sequence && last.state === state && last.epoch === epoch) {
      last.last = sequence
      return this.bound()
    }
    const range = { endpointId, epoch, state, first: sequence, last: sequence }
    this.batch.ranges.push(range)
    this.batch.last.set(endpointId, range)
    this.bound()
    this.work.openUnsafe()
  }

  /** Never ends by itself; fails when the stream was taken over. */
  readonly loop: Effect.Effect<never, SequenceRangesError> = Effect.suspend(() => {
    if (this.batch.ranges.length === 0) {
      this.work.closeUnsafe()
      return this.work.await
    }
    const { batch } = this
    this.batch = new Batch()
    this.underWay = sizeOf(batch)
    const ranges: ReadonlyArray<SequenceRange> = batch.ranges
    return Effect.andThen(
      Effect.map(untilDone(this.store.add(this.core.stream, ranges)), () => this.written(batch)),
      Effect.sleep(PAUSE_MS)
    )
  }).pipe(Effect.forever)

  private written(batch: Batch): void {
    this.underWay = 0
    this.bound()
    for (const ticket of batch.tickets) this.core.settle(ticket)
    for (const after of batch.after) after()
    this.core.idle.openUnsafe()
  }

  private bound(): void {
    this.core.holdStream("ranges", this.size > MAX_WAITING)
  }
}
