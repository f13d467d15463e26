/** Reads the next segment of an endpoint that is behind, and hands its events on. Its own place is `SegmentSide`'s. */
import * as Effect from "effect/Effect"
import type * as Semaphore from "effect/Semaphore"
import type { Segments, SegmentsError } from "../../../services/Segments.ts"
import type { Core } from "./Core.ts"
import type { EndpointLanes } from "./EndpointLanes.ts"

/** Pause after a failed read, ms. */
const RETRY_MS = 1_000

export interface SegmentReaderOptions {
  readonly core: Core
  readonly store: Segments["Service"]
  /** Bounds the pages of all endpoints that are in memory at a time, of the table, too. */
  readonly scans: Semaphore.Semaphore
}

/** Never fails: what cannot be read is tried again. */
export const read = ({ core, store, scans }: SegmentReaderOptions, lanes: EndpointLanes): Effect.Effect<void> => {
  const side = lanes.segments
  const begun = side.beginRead()
  const attempt: Effect.Effect<void> = scans.withPermits(1)(Effect.flatMap(
    store.read(core.stream, lanes.id, begun.from),
    (segment) => Effect.sync(() => {
      if (core.closed) return
      // Each endpoint may have one event in its lanes, however full the others are; and no more while it is probed.
      side.endRead(begun, segment, core.bytes < core.settings.maxQueueBytes && !lanes.isProbing ? Infinity : 1)
      lanes.pumpSegments()
    })
  )).pipe(Effect.catch((error: SegmentsError) =>
    Effect.logWarning("Segments cannot be read; trying again.", error).pipe(
      Effect.annotateLogs({ endpointId: lanes.id }),
      Effect.andThen(Effect.sleep(RETRY_MS)),
      Effect.andThen(attempt)
    )))
  return attempt
}
