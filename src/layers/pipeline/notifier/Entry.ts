/**
 * One event on its way to one endpoint, while it is in memory. It is its own request, its own member of Order, and
 * linked into the list of its endpoint: the hot path makes no other object for it.
 */
import type { Delivery } from "../../../domain/Delivery.ts"
import type { Key } from "../../../domain/Key.ts"
import type { Lsn } from "../../../domain/Lsn.ts"
import type { Ordered, Slot } from "../../../domain/Order.ts"
import type { Slab } from "../../../domain/Slabs.ts"
import type { Ticket } from "../../../domain/Settlement.ts"
import type { EndpointId, SubscriptionId } from "../../../domain/Subscription.ts"
import type { ParkedDelivery, ParkedState } from "../../../services/ParkedDeliveries.ts"
import type { SegmentItem } from "./SegmentItem.ts"

/** A body that several endpoints are sent: counted once in the sum of all. */
export interface SharedBody {
  users: number
  /** The copy that those share who keep it for longer. */
  kept: Uint8Array | undefined
}

/**
 * waiting: behind others in the lanes · ready · gathered: in a batch that is not full · flying: a request is out ·
 * backoff · out: decided, or parked.
 */
export type Where = "waiting" | "ready" | "gathered" | "flying" | "backoff" | "out"

/** What the event is, the same for every endpoint. */
export interface EventFacts {
  readonly id: string
  readonly body: Uint8Array
  readonly shared: SharedBody | undefined
  /** The memory that the body is in, where that is used again: who keeps the body holds it. */
  readonly slab: Slab | undefined
  readonly commitLsn: Lsn
  readonly ordinal: number
  readonly table: string
  readonly kind: string
}

/** A copy in place of what is in a slab, one for all that share the body. */
export const keepBody = (held: { body: Uint8Array; slab: Slab | undefined; readonly shared: SharedBody | undefined }): void => {
  const { body, shared, slab } = held
  if (slab === undefined) return
  if (shared === undefined) held.body = new Uint8Array(body)
  else held.body = shared.kept ??= new Uint8Array(body)
  held.slab = undefined
  slab.release()
}

export class Entry implements Delivery, Ordered {
  readonly endpointId: EndpointId
  readonly epoch: string
  readonly id: string
  body: Uint8Array
  readonly keys: ReadonlyArray<Key>
  readonly sequence: number
  readonly selectedBy: ReadonlyArray<SubscriptionId>
  readonly commitLsn: Lsn
  readonly ordinal: number
  readonly table: string
  readonly kind: string
  attempts = 0

  readonly shared: SharedBody | undefined
  /** Held from `hold` to `release` of the core, or until its body is copied: after that, the body's bytes are another's. */
  slab: Slab | undefined
  /** Settled by acceptance or by the table; `undefined` for a row that was fed: it is settled. */
  ticket: Ticket | undefined
  /** A row of the table has it. */
  stored: boolean
  /** It came from segments: where it is there. */
  item: SegmentItem | undefined = undefined
  where: Where = "waiting"
  /** A batch with it failed: it is sent alone from then on. */
  alone = false
  waits = 0
  slots: Slot | undefined = undefined
  previous: Entry | undefined = undefined
  next: Entry | undefined = undefined

  /** When its last attempt began, ms. */
  startedMs = 0
  /** When its first live attempt began, ms; 0 before. */
  firstAttemptMs = 0
  retries = 0
  dueAtMs = 0
  state: ParkedState = "waiting"
  lastError: string | undefined = undefined

  constructor(
    endpointId: EndpointId,
    epoch: string,
    event: EventFacts,
    keys: ReadonlyArray<Key>,
    sequence: number,
    selectedBy: ReadonlyArray<SubscriptionId>,
    ticket: Ticket | undefined,
    stored: boolean
  ) {
    this.endpointId = endpointId
    this.epoch = epoch
    this.id = event.id
    this.body = event.body
    this.keys = keys
    this.sequence = sequence
    this.selectedBy = selectedBy
    this.commitLsn = event.commitLsn
    this.ordinal = event.ordinal
    this.table = event.table
    this.kind = event.kind
    this.shared = event.shared
    this.slab = event.slab
    this.ticket = ticket
    this.stored = stored
  }

  /** From the table, or from segments: its bytes are bounded apart from those of the stream. */
  get isFed(): boolean {
    return this.stored || this.item !== undefined
  }

  /**
   * It stays for longer: a copy of its body, since that keeps the bodies beside it in memory. The bytes counted stay the
   * same. Not while a request is out with it, which reads them where they are.
   */
  keepBody(): void {
    keepBody(this)
  }
}

/** A row of the table, on its way through the lanes. */
export const fromRow = (row: ParkedDelivery, epoch: string): Entry => {
  const entry = new Entry(row.endpointId, row.epoch === "" ? epoch : row.epoch, { ...row, shared: undefined, slab: undefined }, row.keys, row.sequence, row.selectedBy, undefined, true)
  entry.attempts = row.attempts
  entry.retries = row.retries
  entry.dueAtMs = row.dueAtMs
  entry.lastError = row.lastError
  return entry
}

/** An event of a segment, on its way through the lanes. */
export const fromItem = (item: SegmentItem, event: EventFacts): Entry => {
  const entry = new Entry(item.endpointId, item.epoch, event, item.keys, item.sequence, item.selectedBy, undefined, false)
  entry.item = item
  return entry
}

/** What is written to the table: a value of its own, since the entry goes on changing. */
export const toRow = (entry: Entry): ParkedDelivery => ({
  endpointId: entry.endpointId,
  id: entry.id,
  body: entry.body,
  keys: entry.keys,
  sequence: entry.sequence,
  epoch: entry.epoch,
  selectedBy: entry.selectedBy,
  commitLsn: entry.commitLsn,
  ordinal: entry.ordinal,
  table: entry.table,
  kind: entry.kind,
  attempts: entry.attempts,
  state: entry.state,
  dueAtMs: entry.dueAtMs,
  retries: entry.retries,
  lastError: entry.lastError
})
