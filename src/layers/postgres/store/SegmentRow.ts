/** What is in a row of segments: the events of one endpoint, or all. A row that cannot be read is an error that names it. */
import * as Effect from "effect/Effect"
import type * as Result from "effect/Result"
import { decode, decodeAll } from "../../../domain/SegmentCodec.ts"
import type { SegmentEvent } from "../../../domain/Segment.ts"
import type { EndpointId } from "../../../domain/Subscription.ts"
import { SegmentsError } from "../../../services/Segments.ts"
import { asDamage, unpack } from "./SegmentData.ts"
import type * as Sql from "./SegmentsPgSql.ts"
import type { SegmentStore } from "./SegmentsPgStore.ts"

const decoded = <A>(
  store: SegmentStore, operation: string, table: number, row: Sql.DataRow, as: (bytes: Uint8Array) => Result.Result<A, unknown>
): Effect.Effect<A, SegmentsError> =>
  unpack(store.seals, table, Number(row.number), row.data).pipe(
    Effect.flatMap((bytes) => asDamage(table, Number(row.number))(Effect.fromResult(as(bytes)))),
    Effect.mapError((cause) => new SegmentsError({ operation, cause }))
  )

/** The endpoint's from its `from`-th on. */
export const ownEvents = (store: SegmentStore, operation: string, table: number, row: Sql.DataRow, endpoint: EndpointId, from: number) =>
  decoded(store, operation, table, row, (bytes) => decode(bytes, endpoint, { from, cutAt: row.cut_at ?? Number.MAX_SAFE_INTEGER }))

export interface AllEvents {
  readonly events: ReadonlyArray<SegmentEvent>
  /** Above a cut: no events any more, but their bytes are there. */
  readonly cutOff: ReadonlyArray<SegmentEvent>
}

/** With all their targets. */
export const allEvents = (store: SegmentStore, operation: string, table: number, row: Sql.DataRow): Effect.Effect<AllEvents, SegmentsError> =>
  Effect.map(decoded(store, operation, table, row, decodeAll), (all) => {
    const end = row.cut_at ?? all.length
    return { events: all.slice(0, end), cutOff: all.slice(end) }
  })
