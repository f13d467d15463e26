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

/**
 * The first event that an endpoint has not passed: number of the segment, and place from 0 **among the endpoint's own
 * events in it** (a cut takes them from the end, so places stay). Past the last of them is the next segment.
 */
export interface SegmentCursor {
  readonly segment: number
  readonly index: number
}

export const isBefore = (a: SegmentCursor, b: SegmentCursor): boolean =>
  a.segment < b.segment || (a.segment === b.segment && a.index < b.index)

/** Place of the first own event of a segment that waits, by the endpoint's cursor; `undefined`: none of it does. */
export const placeIn = (cursor: SegmentCursor | undefined, segment: number): number | undefined => {
  if (cursor === undefined || cursor.segment > segment) return undefined
  return cursor.segment === segment ? cursor.index : 0
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

/** What a segment has for one endpoint, without its bytes. */
export interface SegmentPart {
  readonly endpointId: EndpointId
  readonly events: number
  /** Of bodies. */
  readonly bytes: number
  /** Numbers from `first` to `last` under `epoch`; 0: none has a number; -1: they do not follow each other. */
  readonly epoch: string
  readonly first: number
  readonly last: number
}

/** One for each endpoint, in the order of their first events. */
export const partsOf = (events: ReadonlyArray<SegmentEvent>): ReadonlyArray<SegmentPart> => {
  const parts = new Map<EndpointId, { -readonly [K in keyof SegmentPart]: SegmentPart[K] }>()
  for (const { body, targets } of events) {
    for (const { endpointId, epoch, sequence } of targets) {
      let part = parts.get(endpointId)
      if (part === undefined) parts.set(endpointId, part = { endpointId, events: 0, bytes: 0, epoch, first: 0, last: 0 })
      part.events++
      part.bytes += body.byteLength
      if (sequence === 0 || part.first === -1 || body.byteLength === 0) continue
      if (part.first === 0) [part.epoch, part.first, part.last] = [epoch, sequence, sequence]
      else if (part.epoch === epoch && part.last + 1 === sequence) part.last = sequence
      else [part.first, part.last] = [-1, -1]
    }
  }
  return [...parts.values()]
}

/** The same for a batch that is appended once more; another batch of one process has another. */
export const nameOfBatch = (events: ReadonlyArray<SegmentEvent>): string => {
  const [first, last] = [events[0], events.at(-1)]
  const target = first?.targets[0]
  return `${events.length} ${first?.id} ${last?.id} ${target?.endpointId} ${target?.sequence}`
}

/** An operator erased it (`Segments.erase`): no body is empty otherwise. Its place stays, so that places of others do. */
export const isErased = (event: Pick<SegmentEvent, "body">): boolean => event.body.byteLength === 0

/** What of a whole segment waits: `waitsFrom` says the place of an endpoint's first own event that does; `undefined`: none. */
export const waitingOf = (
  events: ReadonlyArray<SegmentEvent>, waitsFrom: (endpoint: EndpointId) => number | undefined
): ReadonlyArray<SegmentEvent> => {
  const places = new Map<EndpointId, number>()
  return events.flatMap((event) => {
    const targets = event.targets.filter(({ endpointId }) => {
      const place = places.get(endpointId) ?? 0
      places.set(endpointId, place + 1)
      const from = waitsFrom(endpointId)
      return from !== undefined && place >= from
    })
    return targets.length === 0 || isErased(event) ? [] : [{ ...event, targets }]
  })
}

const NO_BODY = new Uint8Array()

/**
 * The same events with those erased for `endpoint` that match: for an event of others, too, an empty one of its own
 * stands in its place. `undefined`: none matches.
 */
export const erase = (
  events: ReadonlyArray<SegmentEvent>, endpoint: EndpointId, matches: (event: SegmentEvent) => boolean
): { readonly events: ReadonlyArray<SegmentEvent>; readonly erased: ReadonlyArray<SegmentEvent> } | undefined => {
  const erased: Array<SegmentEvent> = []
  const kept = events.flatMap((event): ReadonlyArray<SegmentEvent> => {
    const own = event.targets.filter(({ endpointId }) => endpointId === endpoint)
    if (own.length === 0 || isErased(event) || !matches(event)) return [event]
    erased.push({ ...event, targets: own })
    const empty = { ...event, body: NO_BODY, targets: own }
    const targets = event.targets.filter(({ endpointId }) => endpointId !== endpoint)
    return targets.length === 0 ? [empty] : [{ ...event, targets }, empty]
  })
  return erased.length === 0 ? undefined : { events: kept, erased }
}

/**
 * The same events with the bodies of those erased that match and that nobody waits for any more, as `waitingOf` says;
 * places stay. `undefined`: there is none.
 */
export const erasePassed = (
  events: ReadonlyArray<SegmentEvent>, waitsFrom: (endpoint: EndpointId) => number | undefined, matches: (event: SegmentEvent) => boolean
): { readonly events: ReadonlyArray<SegmentEvent>; readonly erased: number } | undefined => {
  const places = new Map<EndpointId, number>()
  let erased = 0
  const kept = events.map((event) => {
    let waits = false
    for (const { endpointId } of event.targets) {
      const place = places.get(endpointId) ?? 0
      places.set(endpointId, place + 1)
      const from = waitsFrom(endpointId)
      waits ||= from !== undefined && place >= from
    }
    if (waits || isErased(event) || !matches(event)) return event
    erased++
    return { ...event, body: NO_BODY }
  })
  return erased === 0 ? undefined : { events: kept, erased }
}
