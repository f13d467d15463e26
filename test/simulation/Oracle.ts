/**
 * Sees all that happens outside the program, knows the truth about order, and says what was wrong first.
 */
import type { EndpointId, OrderMode } from "../../src/domain/Subscription.ts"
import type { CheckpointUpdate } from "../../src/services/Checkpoint.ts"
import type { SimulatedRanges } from "../support/SimulatedRanges.ts"
import type { SimulatedSegments } from "../support/SimulatedSegments.ts"
import type { SimulatedStore } from "../support/SimulatedStore.ts"
import { belongInOrder, type SimulatedEvent } from "./Events.ts"

interface Receiver {
  readonly mode: OrderMode
  /** What it is sent, in order; the n-th has number n + 1. Some may be withdrawn, or suspended: then their numbers are kept. */
  readonly events: ReadonlyArray<SimulatedEvent>
  readonly numbers: Map<string, number>
  readonly accepted: Set<string>
  readonly flying: Map<string, SimulatedEvent>
  /** It is suspended at times: an event that comes then holds nobody, though its number is not kept yet. */
  readonly suspends: boolean
  /** Only the second subscription selects it. */
  readonly second: ReadonlySet<string>
  /** The answer that it was accepted reached this process. */
  readonly answered: Set<string>
  /** Number to id, by epoch. */
  readonly epochs: Map<string, Map<number, string>>
}

export class Oracle {
  violation: string | undefined
  /** The removal of second subscriptions was answered. */
  withdrawn = false
  /** It was asked for, or the stream has brought it. */
  removed = false
  private readonly receivers = new Map<EndpointId, Receiver>()
  private readonly store: SimulatedStore
  private readonly segments: SimulatedSegments

  private readonly ranges: SimulatedRanges

  constructor(store: SimulatedStore, segments: SimulatedSegments, ranges: SimulatedRanges) {
    this.store = store
    this.segments = segments
    this.ranges = ranges
  }

  addEndpoint(id: EndpointId, mode: OrderMode, events: ReadonlyArray<SimulatedEvent>, second: ReadonlySet<string>, suspends: boolean): void {
    this.receivers.set(id, {
      mode, events, second, suspends,
      numbers: new Map(events.map((event, i) => [event.id, i + 1])),
      accepted: new Set(), flying: new Map(), answered: new Set(), epochs: new Map()
    })
  }

  /** A new process knows nothing of the answers to the old one. */
  killed(): void {
    for (const receiver of this.receivers.values()) {
      receiver.flying.clear()
      receiver.answered.clear()
    }
  }

  /** One request: the events of a batch may belong together, in order. */
  started(endpoint: EndpointId, items: ReadonlyArray<{ readonly id: string; readonly sequence: number }>, epoch: string): void {
    const receiver = this.receivers.get(endpoint)!
    const events = items.map(({ id, sequence }) => this.known(endpoint, receiver, id, sequence, epoch))
    events.forEach((event, i) => {
      if (i > 0 && event.index <= events[i - 1]!.index) this.wrong(`${endpoint}: ${name(event)} comes too late in its batch`)
      for (const other of receiver.flying.values()) {
        if (other.id === event.id || this.inOrder(receiver, event, other)) {
          this.wrong(`${endpoint}: ${name(event)} is sent while ${name(other)} is in flight`)
        }
      }
    })
    for (const event of events) receiver.flying.set(event.id, event)
  }

  private known(endpoint: EndpointId, receiver: Receiver, id: string, sequence: number, epoch: string): SimulatedEvent {
    const number = receiver.numbers.get(id)
    if (number === undefined) throw new Error(`${endpoint}: ${id} was never selected`)
    const event = receiver.events[number - 1]!
    if (sequence !== number) this.wrong(`${endpoint}: ${id} has number ${sequence}, not ${number}`)
    const numbers = receiver.epochs.get(epoch) ?? new Map<number, string>()
    receiver.epochs.set(epoch, numbers)
    if ((numbers.get(sequence) ?? id) !== id) this.wrong(`${endpoint}: number ${sequence} was given twice in one epoch`)
    numbers.set(sequence, id)
    if (this.withdrawn && receiver.second.has(id)) this.wrong(`${endpoint}: ${name(event)} is sent after its subscription was removed`)
    if (receiver.answered.has(id)) this.wrong(`${endpoint}: ${event.index} was sent again after its answer`)
    return event
  }

  arrived(endpoint: EndpointId, id: string, accepted: boolean): void {
    const receiver = this.receivers.get(endpoint)!
    const event = receiver.events[receiver.numbers.get(id)! - 1]!
    if (!accepted || receiver.accepted.has(id)) return
    for (const earlier of receiver.suspends ? [] : receiver.events) {
      if (earlier.index >= event.index) break
      if (!this.isDecided(endpoint, receiver, earlier.id) && this.inOrder(receiver, earlier, event)) {
        this.wrong(`${endpoint}: ${name(event)} is accepted before ${name(earlier)}`)
      }
    }
    receiver.accepted.add(id)
  }

  ended(endpoint: EndpointId, id: string, accepted: boolean): void {
    const receiver = this.receivers.get(endpoint)!
    receiver.flying.delete(id)
    if (accepted) receiver.answered.add(id)
  }

  settled(update: CheckpointUpdate): void {
    for (const [endpoint, receiver] of this.receivers) {
      const below = receiver.events.filter((event) => event.endLsn <= update.position)
      const waiting = new Set(this.segments.ids(endpoint))
      for (const event of below) {
        if (!this.isAccountedFor(endpoint, receiver, event.id) && this.store.get(endpoint, event.id) === undefined && !waiting.has(event.id)) {
          this.wrong(`${endpoint}: ${update.position} is settled, ${name(event)} is neither accepted nor kept`)
        }
      }
      const count = update.counts.get(endpoint)?.count
      if (count !== undefined && count !== below.length) {
        this.wrong(`${endpoint}: count at ${update.position} is ${count}, not ${below.length}`)
      }
    }
  }

  /** Everything is accepted, or dead, and nothing waits. */
  get isDone(): boolean {
    for (const row of this.store.rows.values()) if (row.state === "waiting") return false
    if (!this.segments.isEmpty) return false
    for (const [endpoint, receiver] of this.receivers) {
      if (receiver.flying.size > 0) return false
      for (const event of receiver.events) if (!this.isAccountedFor(endpoint, receiver, event.id)) return false
    }
    return true
  }

  /** What is missing, for a run that does not end. */
  get missing(): string {
    return [...this.receivers].map(([endpoint, receiver]) =>
      `${endpoint}: ${receiver.events.filter((event) => !this.isAccountedFor(endpoint, receiver, event.id)).map(name).join(", ")}`
    ).join("; ")
  }

  wrong(what: string): void {
    this.violation ??= what
  }

  /** It holds nobody any more. What is withdrawn does not, even before its number is kept. */
  private isDecided(endpoint: EndpointId, receiver: Receiver, id: string): boolean {
    return (this.removed && receiver.second.has(id)) || this.isAccountedFor(endpoint, receiver, id)
  }

  private isAccountedFor(endpoint: EndpointId, receiver: Receiver, id: string): boolean {
    return receiver.accepted.has(id) || this.store.get(endpoint, id)?.state === "dead" ||
      this.ranges.has(endpoint, receiver.numbers.get(id)!)
  }

  private inOrder(receiver: Receiver, a: SimulatedEvent, b: SimulatedEvent): boolean {
    if (receiver.mode === "none") return false
    return receiver.mode === "total" || belongInOrder(a, b)
  }
}

const name = (event: SimulatedEvent): string => `#${event.index} (${event.description})`
