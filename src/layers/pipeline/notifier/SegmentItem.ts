/**
 * One event that waits for one endpoint in segments: what is written of it, where it is, and what became of it. The
 * same object from the write buffer to the lanes; one that was read from the store is made anew.
 */
import type { Key } from "../../../domain/Key.ts"
import type { Lsn } from "../../../domain/Lsn.ts"
import type { SegmentEvent, SegmentTarget } from "../../../domain/Segment.ts"
import type { Slab } from "../../../domain/Slabs.ts"
import type { Ticket } from "../../../domain/Settlement.ts"
import type { EndpointId, SubscriptionId } from "../../../domain/Subscription.ts"
import { type EventFacts, keepBody, type SharedBody } from "./Entry.ts"
import type { SegmentSide } from "./SegmentSide.ts"

/**
 * unread: not handed to the lanes yet · lanes: in the lanes, or on its way to the table · back: taken from the lanes
 * without an attempt, to be read again · decided: delivered, or a durable row, or withdrawn.
 */
export type ItemState = "unread" | "lanes" | "back" | "decided"

/** Not in a segment yet. */
const NOWHERE = -1

export class SegmentItem implements SegmentTarget {
  readonly endpointId: EndpointId
  readonly epoch: string
  readonly sequence: number
  readonly selectedBy: ReadonlyArray<SubscriptionId>
  readonly keys: ReadonlyArray<Key>
  readonly id: string
  readonly commitLsn: Lsn
  readonly ordinal: number
  readonly bytes: number
  /** What it is an event of; `undefined` once the store alone has it. */
  event: EventFacts | undefined
  state: ItemState = "unread"
  /** Its segment, and its place among the endpoint's events there. */
  segment = NOWHERE
  index = NOWHERE
  /** How many of the endpoint went to the write buffer before it. */
  nth = NOWHERE
  side: SegmentSide | undefined

  constructor(event: EventFacts, target: SegmentTarget) {
    this.endpointId = target.endpointId
    this.epoch = target.epoch
    this.sequence = target.sequence
    this.selectedBy = target.selectedBy
    this.keys = target.keys
    this.id = event.id
    this.commitLsn = event.commitLsn
    this.ordinal = event.ordinal
    this.bytes = event.body.byteLength
    this.event = event
  }

  get durable(): boolean {
    return this.segment !== NOWHERE
  }
}

/** An event in the write buffer, for all that are behind. */
export class BufferedEvent implements SegmentEvent {
  readonly id: string
  body: Uint8Array
  /** The same for all that are sent it. */
  readonly shared: SharedBody
  readonly commitLsn: Lsn
  readonly ordinal: number
  readonly table: string
  readonly kind: string
  readonly targets: Array<SegmentItem> = []
  readonly ticket: Ticket
  /** Held while it is in the write buffer, or until its body is copied. */
  slab: Slab | undefined

  constructor(event: EventFacts, ticket: Ticket) {
    this.id = event.id
    this.body = event.body
    this.slab = event.slab
    this.shared = event.shared ?? { users: 0, kept: undefined }
    this.commitLsn = event.commitLsn
    this.ordinal = event.ordinal
    this.table = event.table
    this.kind = event.kind
    this.ticket = ticket
  }

  /** It stays for longer, as `Entry.keepBody`. */
  keepBody(): void {
    keepBody(this)
  }
}
