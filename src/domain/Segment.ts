/** Events that wait for endpoints which are behind, and their form as bytes. */
import type { Key } from "./Key.ts"
import type { Lsn } from "./Lsn.ts"
import type { EndpointId, SubscriptionId } from "./Subscription.ts"

/** One endpoint for which an event waits. */
export interface SegmentTarget {
  readonly endpointId: EndpointId
  readonly epoch: string
  readonly sequence: number
  readonly selectedBy: ReadonlyArray<SubscriptionId>
  /** By the order mode of the endpoint when it was appended. */
  readonly keys: ReadonlyArray<Key>
}

/** One event, its body once for all that wait for it. */
export interface SegmentEvent {
  readonly id: string
  readonly body: Uint8Array
  readonly commitLsn: Lsn
  readonly ordinal: number
  readonly table: string
  readonly kind: string
  readonly targets: ReadonlyArray<SegmentTarget>
}
