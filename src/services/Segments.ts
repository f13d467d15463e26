/**
 * What waits for endpoints that are behind, paused or open: **segments**, one durable row for a chunk of events, shared
 * by all such endpoints, with a cursor for each (DESIGN.md "Storage"). A log: appended in stream order, read in that
 * order, gone when every cursor has passed. What is attempted and fails leaves it for `ParkedDeliveries`.
 *
 * Every layer passes `test/suites/SegmentsSuite.ts`. All writes are refused once another process took the stream over.
 */
import * as Context from "effect/Context"
import type * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import type { Lsn } from "../domain/Lsn.ts"
import type { NumberRange, SegmentCursor, SegmentEvent } from "../domain/Segment.ts"
import type { StreamId } from "../domain/StreamId.ts"
import type { EndpointId } from "../domain/Subscription.ts"

export type { SegmentCursor } from "../domain/Segment.ts"

export interface Segment {
  /** Rises with each append of the stream; never used twice. */
  readonly number: number
  /** The endpoint's own, in stream order; in the cursor's segment from its `index` on. Those at or above a cut (`open`) are not among them. */
  readonly events: ReadonlyArray<SegmentEvent>
}

/** A segment as a tool looks at it. */
export interface SegmentLook {
  /** `undefined`: of all. */
  readonly endpoint: EndpointId | undefined
  /** Number of the first segment that is looked at; `undefined`: the oldest, or the newest. */
  readonly from: number | undefined
  readonly newestFirst: boolean
  /** Only segments whose positions reach around it. */
  readonly position: Lsn | undefined
}

/** Events in stream order, with the targets for which they wait. */
export interface WaitingSegment extends Segment {
  /** When it was appended, ms since 1970. */
  readonly madeAtMs: number
}

/** What waits for one endpoint in segments. */
export interface Backlog {
  readonly endpointId: EndpointId
  readonly cursor: SegmentCursor
  /** Events and bytes of bodies at or behind the cursor; when the oldest of them was appended, ms since 1970. */
  readonly events: number
  readonly bytes: number
  readonly oldestMs: number
  /** None of the events was committed below it; where the cursor is within a segment it may be one that was passed. */
  readonly lowestLsn: Lsn
}

export class Segments extends Context.Service<Segments, {
  /**
   * For who has taken the stream over, before anything is appended: cuts what is at or above `position` off, since the
   * stream brings it again (unless it was appended before the slot was made anew: a disk restored from a copy brings
   * positions that were there before), and says what waits for whom: those for whom nothing waits are left out.
   */
  open(stream: StreamId, position: Lsn): Effect.Effect<ReadonlyArray<Backlog>, SegmentsError>
  /**
   * At least one event. Appends may overlap: they are stored in the order of the calls. Durable before it returns the segment's number. An endpoint that had nothing waiting has its cursor at its first event
   * here. The batch of the append before once more (its answer was lost) appends nothing and returns that number.
   */
  append(stream: StreamId, events: ReadonlyArray<SegmentEvent>): Effect.Effect<number, SegmentsError>
  /**
   * The first segment from the cursor's on that has something for the endpoint at or behind the cursor, with `targets` of this endpoint alone;
   * `undefined`: there is none.
   */
  read(stream: StreamId, endpoint: EndpointId, from: SegmentCursor): Effect.Effect<Segment | undefined, SegmentsError>
  /** Cursors never go back. What every cursor has passed is trimmed, now or soon. Past its last event nothing waits for an endpoint. */
  pass(stream: StreamId, cursors: ReadonlyMap<EndpointId, SegmentCursor>): Effect.Effect<void, SegmentsError>
  /** Numbers of what waits for the endpoint, in order; those without a number are left out. To be recorded before `end`. */
  numbers(stream: StreamId, endpoint: EndpointId): Effect.Effect<ReadonlyArray<NumberRange>, SegmentsError>
  /** What waits for whom now, without their cursors' bodies being read. Changes nothing: for tools beside the service, too. */
  backlog(stream: StreamId): Effect.Effect<ReadonlyArray<Backlog>, SegmentsError>
  /**
   * The next segment that has something at or behind a cursor, erased events left out; `undefined`: there is none. For
   * tools beside the service, which look at one after another; changes nothing.
   */
  look(stream: StreamId, look: SegmentLook): Effect.Effect<WaitingSegment | undefined, SegmentsError>
  /**
   * Bodies of the endpoint's waiting events that match are erased; their places stay, with an empty body, and `numbers`
   * leaves them out (`domain/Segment.isErased`): readers pass over them. `before` runs for the matching ones of a segment
   * before it is written again, so that their numbers are recorded; if it fails, so does this. Returns how many were erased.
   */
  erase<E>(stream: StreamId, endpoint: EndpointId, matches: (event: SegmentEvent) => boolean, before: (erased: ReadonlyArray<SegmentEvent>) => Effect.Effect<void, E>): Effect.Effect<number, SegmentsError | E>
  /**
   * Bodies that match and that nobody waits for any more: they stay while another endpoint has not passed the segments
   * beside them, and are erased here. Returns how many were.
   */
  erasePassed(stream: StreamId, matches: (event: SegmentEvent) => boolean): Effect.Effect<number, SegmentsError>
  /** The endpoint ended, or its backlog is given up: nothing waits for it any more. Returns how many did. */
  end(stream: StreamId, endpoint: EndpointId): Effect.Effect<number, SegmentsError>
}>()("pgstream/services/Segments") {}

export class SegmentsError extends Schema.TaggedError<SegmentsError>()("SegmentsError", {
  operation: Schema.String,
  /** Another process reads this stream since. */
  takenOver: Schema.optional(Schema.Boolean),
  cause: Schema.Defect()
}) {}
