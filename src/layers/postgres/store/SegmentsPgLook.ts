/** Segments one after another, for tools: what waits in each, for whom. */
import * as Effect from "effect/Effect"
import { placeIn, type SegmentCursor, waitingOf } from "../../../domain/Segment.ts"
import type { SegmentLook, WaitingSegment } from "../../../services/Segments.ts"
import { allEvents } from "./SegmentRow.ts"
import { reaches, tablesOf } from "./SegmentsPgRead.ts"
import * as Sql from "./SegmentsPgSql.ts"
import type { SegmentStore } from "./SegmentsPgStore.ts"

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
      const all = yield* allEvents(store, "look", table.number, row)
      const events = waitingOf(all.events, (id) => placeIn(cursors.get(id), number))
      if (events.length > 0) return { number, madeAtMs: row.made_at.getTime(), events } satisfies WaitingSegment
      at = newestFirst ? number - 1 : number + 1
    }
  }
  return undefined
})
