/** Segments one after another, for tools: what waits in each, for whom. */
import * as Effect from "effect/Effect"
import { placeIn, type SegmentCursor, waitingOf } from "../../../domain/Segment.ts"
import { decodeAll } from "../../../domain/SegmentCodec.ts"
import { type SegmentLook, SegmentsError, type WaitingSegment } from "../../../services/Segments.ts"
import { asDamage, unpack } from "./SegmentData.ts"
import { reaches, tablesOf } from "./SegmentsPgRead.ts"
import * as Sql from "./SegmentsPgSql.ts"
import type { SegmentStore } from "./SegmentsPgStore.ts"

const damaged = (cause: unknown) => new SegmentsError({ operation: "look", cause })

/** Where the endpoints that are meant are. */
export const cursorsOf = Effect.fnUntraced(function*(store: SegmentStore, stream: string, endpoint: string | undefined) {
  const rows = yield* store.run("read cursors", Sql.cursors(store.sql, stream))
  return new Map(rows.flatMap(({ endpoint_id: id, index, segment }): ReadonlyArray<readonly [string, SegmentCursor]> =>
    endpoint !== undefined && endpoint !== id ? [] : [[id, { segment: Number(segment), index }]]))
})

export const look = Effect.fnUntraced(function*(store: SegmentStore, stream: string, { endpoint, from, newestFirst, position }: SegmentLook) {
  const cursors = yield* cursorsOf(store, stream, endpoint)
  if (cursors.size === 0) return undefined
  const lowest = Math.min(...Array.from(cursors.values(), ({ segment }) => segment))
  const tables = (yield* tablesOf(store, stream)).filter((table) => reaches(table, lowest))
  let at = newestFirst ? from ?? Number.MAX_SAFE_INTEGER : Math.max(from ?? lowest, lowest)
  for (const table of newestFirst ? tables.toReversed() : tables) {
    for (;;) {
      const [row] = yield* store.run("look", Sql.look(store.sql, table.number, [...cursors.keys()], at, newestFirst, position))
      if (row === undefined) break
      const number = Number(row.number)
      if (number < lowest) return undefined
      const all = yield* unpack(store.seals, table.number, number, row.data).pipe(
        Effect.flatMap((bytes) => asDamage(table.number, number)(Effect.fromResult(decodeAll(bytes)))),
        Effect.mapError(damaged)
      )
      const events = waitingOf(all.slice(0, row.cut_at ?? all.length), (id) => placeIn(cursors.get(id), number))
      if (events.length > 0) return { number, madeAtMs: row.made_at.getTime(), events } satisfies WaitingSegment
      at = newestFirst ? number - 1 : number + 1
    }
  }
  return undefined
})
