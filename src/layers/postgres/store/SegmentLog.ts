/** What the process that writes a stream's segments remembers of them: tables, numbers, and what waits for whom. */
import * as Semaphore from "effect/Semaphore"
import { isBefore, type SegmentCursor, type SegmentPart } from "../../../domain/Segment.ts"
import type { EndpointId } from "../../../domain/Subscription.ts"

export interface SegmentLimits {
  /** A table is full when it has so many segments or bytes. */
  readonly tableSegments: number
  readonly tableBytes: number
  /** An empty log gives its table up when that has so many bytes, or was not written to for so long. */
  readonly idleBytes: number
  readonly idleMs: number
  /** How often what could not be given back at once is tried again. */
  readonly trimEveryMs: number
}

export const defaultLimits: SegmentLimits = {
  tableSegments: 65_536, tableBytes: 256 * 1024 * 1024, idleBytes: 16 * 1024 * 1024, idleMs: 60_000,
  trimEveryMs: 30_000
}

export interface SegmentTable {
  readonly number: number
  /** First segment of it, and first that is not; `undefined`: it is written to. */
  readonly first: number
  end: number | undefined
  segments: number
  bytes: number
}

interface Waiting {
  cursor: SegmentCursor
  /** Its last segment, and how many of its events are there. */
  last: number
  lastCount: number
}

export class SegmentLog {
  readonly stream: string
  /** Those that are not dropped, oldest first. */
  tables: Array<SegmentTable>
  /** Number of the next segment. */
  next: number
  readonly lineage: string
  /** The batch that was appended last, or is being appended. */
  batch: { readonly name: string; readonly number: number; done: boolean } | undefined
  readonly waiting = new Map<EndpointId, Waiting>()
  appendedMs: number
  /** At the last try something was in the way. */
  trimRefused = false
  /** Writes come one after the other. */
  readonly lock = Semaphore.makeUnsafe(1)

  constructor(stream: string, lineage: string, tables: Array<SegmentTable>, next: number, appendedMs: number) {
    this.stream = stream
    this.lineage = lineage
    this.tables = tables
    this.next = next
    this.appendedMs = appendedMs
  }

  /** The table that is written to. */
  get current(): SegmentTable | undefined {
    const newest = this.tables.at(-1)
    return newest?.end === undefined ? newest : undefined
  }

  isFull({ tableBytes, tableSegments }: SegmentLimits): boolean {
    const { current } = this
    return current === undefined || current.segments >= tableSegments || current.bytes >= tableBytes
  }

  numberFor(name: string): number {
    if (this.batch === undefined || this.batch.name !== name) this.batch = { name, number: this.next++, done: false }
    return this.batch.number
  }

  appended(number: number, parts: ReadonlyArray<SegmentPart>, bytes: number, nowMs: number): void {
    this.batch!.done = true
    this.appendedMs = nowMs
    const { current } = this
    if (current !== undefined) {
      current.segments++
      current.bytes += bytes
    }
    for (const { endpointId, events } of parts) {
      const there = this.waiting.get(endpointId)
      if (there === undefined) this.waiting.set(endpointId, { cursor: { segment: number, index: 0 }, last: number, lastCount: events })
      else [there.last, there.lastCount] = [number, events]
    }
  }

  /** Nothing of the endpoint is at or behind the cursor. */
  isPast(endpoint: EndpointId, cursor: SegmentCursor): boolean {
    const there = this.waiting.get(endpoint)
    return there === undefined || cursor.segment > there.last || (cursor.segment === there.last && cursor.index >= there.lastCount)
  }

  /** The cursors that move, and the endpoints for which nothing waits then. */
  moves(cursors: ReadonlyMap<EndpointId, SegmentCursor>) {
    const moved = new Map<EndpointId, SegmentCursor>()
    const finished: Array<EndpointId> = []
    for (const [endpoint, cursor] of cursors) {
      const there = this.waiting.get(endpoint)
      if (there === undefined || !isBefore(there.cursor, cursor)) continue
      if (this.isPast(endpoint, cursor)) finished.push(endpoint)
      else moved.set(endpoint, cursor)
    }
    return { moved, finished }
  }

  passed(moved: ReadonlyMap<EndpointId, SegmentCursor>, finished: ReadonlyArray<EndpointId>): void {
    for (const [endpoint, cursor] of moved) this.waiting.get(endpoint)!.cursor = cursor
    for (const endpoint of finished) this.waiting.delete(endpoint)
  }

  /** Every cursor has passed what is below. */
  private get lowest(): number {
    let lowest = this.next
    for (const { cursor } of this.waiting.values()) lowest = Math.min(lowest, cursor.segment)
    return lowest
  }

  /** Tables of which nothing is waited for any more. */
  get passedTables(): ReadonlyArray<SegmentTable> {
    const { lowest } = this
    return this.tables.filter(({ end }) => end !== undefined && end <= lowest)
  }

  /** The table that is written to, where it is worth giving up. */
  idleTable({ idleBytes, idleMs }: SegmentLimits, nowMs: number): SegmentTable | undefined {
    const { current } = this
    if (current === undefined || this.waiting.size > 0 || current.segments === 0) return undefined
    return current.bytes >= idleBytes || nowMs - this.appendedMs >= idleMs ? current : undefined
  }
}
