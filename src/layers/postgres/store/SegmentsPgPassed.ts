/** Erases bodies that nobody waits for any more, in segments which stay since another endpoint has not passed them. */
import * as Effect from "effect/Effect"
import { encode } from "../../../domain/SegmentCodec.ts"
import { erasePassed, partsOf, placeIn, type SegmentEvent } from "../../../domain/Segment.ts"
import { pack } from "./SegmentData.ts"
import { type AllEvents, allEvents } from "./SegmentRow.ts"
import { cursorsOf } from "./SegmentsPgLook.ts"
import { tablesOf } from "./SegmentsPgRead.ts"
import * as Sql from "./SegmentsPgSql.ts"
import type { SegmentStore } from "./SegmentsPgStore.ts"

const remaining = (
  { cutOff, events }: AllEvents, waitsFrom: (endpoint: string) => number | undefined, matches: (event: SegmentEvent) => boolean
) => {
  const found = erasePassed(events, waitsFrom, matches)
  if (found !== undefined) return found
  return cutOff.some(matches) ? { events, erased: 0 } : undefined
}

export const erase = Effect.fnUntraced(function*(store: SegmentStore, stream: string, matches: (event: SegmentEvent) => boolean) {
  const rows: Array<{ readonly table: number; readonly number: bigint }> = []
  for (const { number: table } of yield* tablesOf(store, stream)) {
    for (const { number } of yield* store.run("erase", Sql.withData(store.sql, table))) rows.push({ table, number })
  }
  // After the rows: an endpoint that begins to wait has its cursor at a segment that is not among them.
  const cursors = yield* cursorsOf(store, stream, undefined)
  let total = 0
  for (const { number, table } of rows) {
    const [row] = yield* store.run("erase", Sql.one(store.sql, table, number))
    if (row === undefined) continue
    const all = yield* allEvents(store, "erase", table, row)
    const found = remaining(all, (id) => placeIn(cursors.get(id), Number(number)), matches)
    if (found === undefined) continue
    const data = yield* pack(store.seals, table, Number(number), encode(found.events))
    yield* store.run("erase", Sql.replace(store.sql, table, row, found.events, partsOf(found.events), data))
    total += found.erased
  }
  return total
})
