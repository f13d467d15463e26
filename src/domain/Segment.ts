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

/** Numbers that follow each other, both ends in it, under one epoch. */
export interface NumberRange {
  readonly epoch: string
  readonly first: number
  readonly last: number
}

/** Ranges of the numbers, in the order of their coming; `0` (none) left out. */
export const rangesOf = (
  numbers: Iterable<{ readonly epoch: string; readonly sequence: number }>
): ReadonlyArray<NumberRange> => {
  const ranges: Array<{ epoch: string; first: number; last: number }> = []
  for (const { epoch, sequence } of numbers) {
    if (sequence === 0) continue
    const last = ranges.at(-1)
    if (last !== undefined && last.epoch === epoch && last.last + 1 === sequence) last.last = sequence
    else ranges.push({ epoch, first: sequence, last: sequence })
  }
  return ranges
}

/** The same for a batch that is appended once more; another batch of one process has another. */
export const nameOfBatch = (events: ReadonlyArray<SegmentEvent>): string => {
  const [first, last] = [events[0], events.at(-1)]
  const target = first?.targets[0]
  return `${events.length} ${first?.id} ${last?.id} ${target?.endpointId} ${target?.sequence}`
}
