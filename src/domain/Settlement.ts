/**
 * How far everything is settled: one ticket a chunk with a counter of its open deliveries, in a queue. The highest
 * commit or keepalive of the settled tickets is the position; what a checkpoint there has to store is merged.
 */
import type { Lsn } from "./Lsn.ts"
import type { Rules } from "./Rules.ts"
import type { DefinitionsDelta, EndpointId, Subscription, SubscriptionId } from "./Subscription.ts"
import type { SchemaLogEntry, SchemaVersion, ShapesDelta, TableShape } from "./TableShape.ts"

export interface Count {
  readonly count: number
  readonly epoch: string
}

/** What is newly settled at `position`. Shaped like the checkpoint's update. */
export interface SettledDelta {
  readonly position: Lsn
  readonly counts: ReadonlyMap<EndpointId, Count>
  readonly upserted: ReadonlyArray<Subscription>
  readonly removed: ReadonlyArray<SubscriptionId>
  readonly shapes: ShapesDelta
}

/** What commits add up to. Most have nothing but their counts, so the rest is made when it is needed. */
class Sum {
  position: Lsn = 0
  readonly counts = new Map<EndpointId, Count>()
  definitions: Map<SubscriptionId, Subscription | undefined> | undefined
  tables: Map<number, TableShape | undefined> | undefined
  versions: Map<string, SchemaVersion> | undefined
  entries: Array<SchemaLogEntry> = []
  newIds: Array<{ readonly id: string; readonly oid: number }> = []
  recent: ShapesDelta["recent"]

  define(delta: DefinitionsDelta): void {
    const definitions = (this.definitions ??= new Map())
    for (const id of delta.removed) definitions.set(id, undefined)
    for (const row of delta.upserted) definitions.set(row.id, row)
  }

  reshape(delta: ShapesDelta): void {
    const tables = (this.tables ??= new Map())
    const versions = (this.versions ??= new Map())
    for (const [oid, shape] of delta.tables) tables.set(oid, shape)
    for (const [schema, version] of delta.versions) versions.set(schema, version)
    this.entries.push(...delta.entries)
    this.newIds.push(...delta.newIds)
    this.recent = delta.recent ?? this.recent
  }

  merge(later: Sum): void {
    this.position = Math.max(this.position, later.position)
    for (const [id, count] of later.counts) this.counts.set(id, count)
    if (later.definitions !== undefined) {
      const definitions = (this.definitions ??= new Map())
      for (const [id, row] of later.definitions) definitions.set(id, row)
    }
    if (later.tables !== undefined) {
      this.reshape({
        tables: later.tables,
        versions: later.versions ?? new Map(),
        entries: later.entries,
        newIds: later.newIds,
        ...(later.recent === undefined ? {} : { recent: later.recent })
      })
    }
  }

  delta(): SettledDelta {
    const upserted: Array<Subscription> = []
    const removed: Array<SubscriptionId> = []
    for (const [id, row] of this.definitions ?? []) {
      if (row === undefined) removed.push(id)
      else upserted.push(row)
    }
    return {
      position: this.position,
      counts: this.counts,
      upserted,
      removed,
      shapes: {
        tables: this.tables ?? new Map(),
        versions: this.versions ?? new Map(),
        entries: this.entries,
        newIds: this.newIds,
        ...(this.recent === undefined ? {} : { recent: this.recent })
      }
    }
  }
}

/** One chunk. Open until it is sealed and each of its deliveries was settled. */
export class Ticket {
  readonly sum = new Sum()
  /** Deliveries not settled yet, plus one while the chunk is not wholly dispatched. */
  open = 1
  /** Whether a position of it may be reported: it holds a commit or a keepalive. */
  marked = false
}

export class Settlement {
  private readonly rules: Rules
  private readonly queue: Array<Ticket> = []
  private head = 0
  private sum: Sum | undefined
  /** Handed out by `next`, perhaps not stored yet. */
  private taken: Sum | undefined
  private highest: Lsn

  /** Positions at or below `from` are never reported. */
  constructor(from: Lsn, rules: Rules) {
    this.highest = from
    this.rules = rules
  }

  /** Chunks in stream order. */
  begin(): Ticket {
    const ticket = new Ticket()
    this.queue.push(ticket)
    return ticket
  }

  /** A commit or keepalive inside the ticket's chunk; `counts`: what changed since the commit before it. */
  mark(ticket: Ticket, position: Lsn, counts: Iterable<readonly [EndpointId, Count]>, definitions: DefinitionsDelta | undefined, shapes: ShapesDelta | undefined): void {
    const sum = ticket.sum
    ticket.marked = true
    if (position > sum.position) sum.position = position
    for (const [id, count] of counts) sum.counts.set(id, count)
    if (definitions !== undefined) sum.define(definitions)
    if (shapes !== undefined) sum.reshape(shapes)
  }

  /** One delivery of it is settled, or (once) the whole chunk is dispatched. Returns whether something new is settled. */
  settle(ticket: Ticket): boolean {
    if (--ticket.open > 0) return false
    if (!this.rules.settleInOrder) return this.take(ticket)
    let fresh = false
    for (; this.head < this.queue.length; this.head++) {
      const first = this.queue[this.head]!
      if (first.open > 0) break
      fresh = this.take(first) || fresh
    }
    if (this.head > 64 && this.head * 2 > this.queue.length) {
      this.queue.splice(0, this.head)
      this.head = 0
    }
    return fresh
  }

  /** Whether `next` would return something. */
  get ready(): boolean {
    return this.sum !== undefined
  }

  /** What settled since it was asked last; asking says that what was handed out before is stored. */
  next(): SettledDelta | undefined {
    this.taken = this.sum
    this.sum = undefined
    return this.taken?.delta()
  }

  /** The last word: what settled since `next`, and what that handed out, since its caller may have been stopped on the way. */
  rest(): SettledDelta | undefined {
    if (this.sum === undefined && this.taken === undefined) return undefined
    const sum = new Sum()
    if (this.taken !== undefined) sum.merge(this.taken)
    if (this.sum !== undefined) sum.merge(this.sum)
    this.taken = undefined
    this.sum = undefined
    return sum.delta()
  }

  private take(ticket: Ticket): boolean {
    if (!ticket.marked) return false
    const higher = ticket.sum.position > this.highest
    const more = ticket.sum.counts.size > 0 || ticket.sum.definitions !== undefined || ticket.sum.tables !== undefined
    if (!higher && !more) return false
    this.highest = Math.max(this.highest, ticket.sum.position)
    this.sum ??= new Sum()
    this.sum.merge(ticket.sum)
    this.sum.position = this.highest
    return true
  }
}
