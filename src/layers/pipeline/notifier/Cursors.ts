/** Tells the store how far endpoints are with their segments: what all have passed is trimmed. At most once a second. */
import * as Effect from "effect/Effect"
import * as Latch from "effect/Latch"
import type { StreamId } from "../../../domain/StreamId.ts"
import type { EndpointId } from "../../../domain/Subscription.ts"
import type { SegmentCursor, Segments, SegmentsError } from "../../../services/Segments.ts"
import { untilDone } from "./ParkWriter.ts"

/** A kill repeats what was delivered from segments in this time, ms. */
const PAUSE_MS = 1_000

export class Cursors {
  private readonly moved = new Map<EndpointId, SegmentCursor>()
  private readonly work = Latch.makeUnsafe(false)

  changed(id: EndpointId, cursor: SegmentCursor): void {
    this.moved.set(id, cursor)
    this.work.openUnsafe()
  }

  forget(id: EndpointId): void {
    this.moved.delete(id)
  }

  /** Tells the store what it does not know yet. */
  pass(store: Segments["Service"], stream: StreamId): Effect.Effect<void, SegmentsError> {
    return Effect.suspend(() => {
      if (this.moved.size === 0) return Effect.void
      const cursors = new Map(this.moved)
      this.moved.clear()
      return untilDone(store.pass(stream, cursors))
    })
  }

  /** Never ends by itself; fails when the stream was taken over. */
  loop(store: Segments["Service"], stream: StreamId): Effect.Effect<never, SegmentsError> {
    return Effect.suspend(() => {
      if (this.moved.size > 0) return Effect.andThen(Effect.sleep(PAUSE_MS), this.pass(store, stream))
      this.work.closeUnsafe()
      return this.work.await
    }).pipe(Effect.forever)
  }
}
