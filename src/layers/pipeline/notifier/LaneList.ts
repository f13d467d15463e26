/** The entries in the lanes of one endpoint: all of them as a list, who waits for whom, and which are ready. */
import { Order, type Ordered } from "../../../domain/Order.ts"
import type { Rules } from "../../../domain/Rules.ts"
import type { Entry } from "./Entry.ts"
import { ReadyQueue } from "./ReadyQueue.ts"

export class LaneList {
  /** Bytes of the bodies that came from the table, or from segments. */
  fedBytes = 0
  /** Bytes of all bodies. */
  bytes = 0
  private readonly order: Order
  private readonly ready = new ReadyQueue()
  private first: Entry | undefined
  private last: Entry | undefined

  constructor(rules: Rules) {
    this.order = new Order(rules)
  }

  get size(): number {
    return this.order.size
  }

  enter(entry: Entry): void {
    entry.previous = this.last
    entry.next = undefined
    if (this.last === undefined) this.first = entry
    else this.last.next = entry
    this.last = entry
    entry.where = "waiting"
    this.bytes += entry.body.byteLength
    if (entry.isFed) this.fedBytes += entry.body.byteLength
    if (this.order.add(entry)) this.makeReady(entry)
  }

  /** Out of the lanes; who waited for it alone becomes ready. */
  leave(entry: Entry): void {
    entry.where = "out"
    if (entry.previous === undefined) this.first = entry.next
    else entry.previous.next = entry.next
    if (entry.next === undefined) this.last = entry.previous
    else entry.next.previous = entry.previous
    entry.previous = undefined
    entry.next = undefined
    this.bytes -= entry.body.byteLength
    if (entry.isFed) this.fedBytes -= entry.body.byteLength
    this.order.remove(entry, this.freed)
    // Those that left before they were sent are in the queue still, with their bodies: a paused endpoint takes none out.
    if (this.order.size === 0) this.ready.clear()
  }

  makeReady(entry: Entry): void {
    entry.where = "ready"
    this.ready.push(entry)
  }

  get hasReady(): boolean {
    return !this.ready.isEmpty
  }

  get readyCount(): number {
    return this.ready.size
  }

  /** The oldest, whatever it waits for. */
  get oldest(): Entry | undefined {
    return this.first
  }

  /** The oldest that may be sent. */
  nextReady(): Entry | undefined {
    return this.ready.shift()
  }

  /** All that waits for it, in no particular order. */
  dependents(entry: Entry): Array<Entry> {
    return this.order.dependents(entry) as Array<Entry>
  }

  /** Those right behind it in the order of a key. */
  nextOf(entry: Entry): Array<Entry> {
    return this.order.successors(entry) as Array<Entry>
  }

  isHeldOnlyBy(entry: Entry, others: ReadonlySet<Entry>): boolean {
    return this.order.isHeldOnlyBy(entry, others)
  }

  /** All but those with a request out. */
  notFlying(): Array<Entry> {
    const found: Array<Entry> = []
    for (let entry = this.first; entry !== undefined; entry = entry.next) if (entry.where !== "flying") found.push(entry)
    return found
  }

  private readonly freed = (event: Ordered): void => {
    const entry = event as Entry
    if (entry.where === "waiting") this.makeReady(entry)
  }
}
