/**
 * Same contract as `SegmentsPg`; `test/suites/SegmentsSuite.ts` runs against both. Lives as long as the layer. Bodies
 * are copied when appended: the caller may use its slab again.
 */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import {
  erase, erasePassed, isBefore, isErased, nameOfBatch, placeIn, rangesOf, type SegmentCursor, type SegmentEvent, waitingOf
} from "../../domain/Segment.ts"
import { format, type StreamId } from "../../domain/StreamId.ts"
import type { EndpointId } from "../../domain/Subscription.ts"
import { type Backlog, type Segment, type SegmentLook, Segments } from "../../services/Segments.ts"

interface Stored extends Segment {
  readonly madeAtMs: number
}

interface Log {
  segments: Array<Stored>
  next: number
  /** Of the append before. */
  lastBatch: string
  /** No cursor: nothing waits. */
  readonly cursors: Map<EndpointId, SegmentCursor>
}

/** The endpoint's own of a segment. */
const ownOf = ({ events }: Stored, endpoint: EndpointId): ReadonlyArray<SegmentEvent> =>
  events.flatMap((event) => {
    const targets = event.targets.filter(({ endpointId }) => endpointId === endpoint)
    return targets.length === 0 ? [] : [{ ...event, targets }]
  })

/** Segments that have something for the endpoint at or behind `from`, and what they have. */
function* waiting(log: Log, endpoint: EndpointId, from: SegmentCursor) {
  for (const segment of log.segments) {
    if (segment.number < from.segment) continue
    const events = ownOf(segment, endpoint).slice(segment.number === from.segment ? from.index : 0)
    if (events.length > 0) yield { number: segment.number, madeAtMs: segment.madeAtMs, events }
  }
}

const look = (log: Log, { endpoint, from, newestFirst, position }: SegmentLook) => {
  for (const { events, madeAtMs, number } of newestFirst ? log.segments.toReversed() : log.segments) {
    if (from !== undefined && (newestFirst ? number > from : number < from)) continue
    const [first, last] = [events[0], events.at(-1)]
    if (first === undefined || last === undefined) continue
    if (position !== undefined && (first.commitLsn > position || last.commitLsn < position)) continue
    const found = waitingOf(events, (id) =>
      (endpoint === undefined || endpoint === id ? placeIn(log.cursors.get(id), number) : undefined))
    if (found.length > 0) return { number, madeAtMs, events: found }
  }
  return undefined
}

const backlogOf = (log: Log, endpointId: EndpointId, cursor: SegmentCursor): Backlog => {
  const segments = [...waiting(log, endpointId, cursor)]
  const events = segments.flatMap((segment) => segment.events)
  return {
    endpointId,
    cursor,
    events: events.length,
    bytes: events.reduce((sum, { body }) => sum + body.byteLength, 0),
    oldestMs: segments[0]?.madeAtMs ?? 0,
    lowestLsn: events.reduce((lowest, { commitLsn }) => Math.min(lowest, commitLsn), Infinity)
  }
}

/** Forgets what every cursor has passed. */
const trim = (log: Log): void => {
  let first = log.next
  for (const { segment } of log.cursors.values()) first = Math.min(first, segment)
  log.segments = log.segments.filter(({ number }) => number >= first)
}

/** Cursors of those for whom nothing waits go. */
const settle = (log: Log, endpoints: ReadonlyArray<EndpointId>): void => {
  for (const endpoint of endpoints) {
    const cursor = log.cursors.get(endpoint)
    if (cursor !== undefined && waiting(log, endpoint, cursor).next().done === true) log.cursors.delete(endpoint)
  }
  trim(log)
}

const append = (log: Log, events: ReadonlyArray<SegmentEvent>, madeAtMs: number): number => {
  const name = nameOfBatch(events)
  if (name === log.lastBatch) return log.next - 1
  log.lastBatch = name
  const number = log.next++
  log.segments.push({ number, madeAtMs, events: events.map((event) => ({ ...event, body: Uint8Array.from(event.body) })) })
  for (const { targets } of events) {
    for (const { endpointId } of targets) {
      if (!log.cursors.has(endpointId)) log.cursors.set(endpointId, { segment: number, index: 0 })
    }
  }
  return number
}

export const layer: Layer.Layer<Segments> = Layer.sync(Segments, () => {
  const logs = new Map<string, Log>()
  const logOf = (stream: StreamId): Log => {
    const key = format(stream)
    let log = logs.get(key)
    if (log === undefined) logs.set(key, log = { segments: [], next: 1, lastBatch: "", cursors: new Map() })
    return log
  }
  return Segments.of({
    open: (stream, position) =>
      Effect.sync(() => {
        const log = logOf(stream)
        log.lastBatch = ""
        log.segments = log.segments.map((segment) => {
          const cut = segment.events.findIndex((event) => event.commitLsn >= position)
          return cut < 0 ? segment : { ...segment, events: segment.events.slice(0, cut) }
        })
        settle(log, [...log.cursors.keys()])
        return Array.from(log.cursors, ([endpoint, cursor]) => backlogOf(log, endpoint, cursor))
      }),
    append: (stream, events) => Effect.map(Clock.currentTimeMillis, (now) => append(logOf(stream), events, now)),
    read: (stream, endpoint, from) =>
      Effect.sync(() => {
        const found = waiting(logOf(stream), endpoint, from).next().value
        return found === undefined ? undefined : { number: found.number, events: found.events }
      }),
    pass: (stream, cursors) =>
      Effect.sync(() => {
        const log = logOf(stream)
        for (const [endpoint, cursor] of cursors) {
          const there = log.cursors.get(endpoint)
          if (there !== undefined && isBefore(there, cursor)) log.cursors.set(endpoint, cursor)
        }
        settle(log, [...cursors.keys()])
      }),
    numbers: (stream, endpoint) =>
      Effect.sync(() => {
        const log = logOf(stream)
        const cursor = log.cursors.get(endpoint)
        if (cursor === undefined) return []
        return rangesOf([...waiting(log, endpoint, cursor)].flatMap(({ events }) => events.filter((event) => !isErased(event)).map(({ targets }) => targets[0]!)))
      }),
    backlog: (stream) =>
      Effect.sync(() => {
        const log = logOf(stream)
        return Array.from(log.cursors, ([endpoint, cursor]) => backlogOf(log, endpoint, cursor))
      }),
    look: (stream, asked) => Effect.sync(() => look(logOf(stream), asked)),
    erase: Effect.fnUntraced(function*(stream, endpoint, matches, before) {
      const log = logOf(stream)
      const cursor = log.cursors.get(endpoint)
      let count = 0
      for (const { events: own, number } of cursor === undefined ? [] : [...waiting(log, endpoint, cursor)]) {
        const ids = new Set(own.map(({ id }) => id))
        const segment = log.segments.find((each) => each.number === number)
        const found = segment && erase(segment.events, endpoint, (event) => ids.has(event.id) && matches(event))
        if (found === undefined) continue
        yield* before(found.erased)
        log.segments = log.segments.map((each) => (each.number === number ? { ...each, events: found.events } : each))
        count += found.erased.length
      }
      return count
    }),
    erasePassed: (stream, matches) =>
      Effect.sync(() => {
        const log = logOf(stream)
        let count = 0
        log.segments = log.segments.map((segment) => {
          const found = erasePassed(segment.events, (id) => placeIn(log.cursors.get(id), segment.number), matches)
          count += found?.erased ?? 0
          return found === undefined ? segment : { ...segment, events: found.events }
        })
        return count
      }),
    end: (stream, endpoint) =>
      Effect.sync(() => {
        const log = logOf(stream)
        const cursor = log.cursors.get(endpoint)
        if (cursor === undefined) return 0
        const { events } = backlogOf(log, endpoint, cursor)
        log.cursors.delete(endpoint)
        trim(log)
        return events
      })
  })
})
