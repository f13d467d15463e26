/** What a start does with a stream's segments: loads what there is, cuts what the stream brings again. */
import * as Effect from "effect/Effect"
import type { Lsn } from "../../../domain/Lsn.ts"
import { partsOf } from "../../../domain/Segment.ts"
import type { Backlog } from "../../../services/Segments.ts"
import { SegmentLog, type SegmentTable } from "./SegmentLog.ts"
import { allEvents } from "./SegmentRow.ts"
import * as Read from "./SegmentsPgRead.ts"
import * as Sql from "./SegmentsPgSql.ts"
import type { SegmentStore } from "./SegmentsPgStore.ts"
import { dropOrphans } from "./SegmentTables.ts"

/** As the registry has it. */
const state = Effect.fnUntraced(function*(store: SegmentStore, stream: string) {
  const { run, sql } = store
  const rows = yield* run("read tables", Sql.tables(sql, stream))
  const tables: Array<SegmentTable> = []
  let [next, appendedMs] = [1, 0]
  for (const row of rows) {
    const [first, end] = [Number(row.first_segment), row.end_segment === null ? undefined : Number(row.end_segment)]
    next = Math.max(next, first, end ?? 0)
    if (row.dropped) continue
    const table: SegmentTable = { number: Number(row.number), first, end, segments: 0, bytes: 0 }
    tables.push(table)
    if (end !== undefined) continue
    const [full] = yield* run("read table", Sql.fullness(sql, table.number))
    if (full === undefined || full.last === null) continue
    next = Number(full.last) + 1
    appendedMs = full.made_at?.getTime() ?? 0
    table.segments = next - first
    table.bytes = Number(full.bytes)
  }
  const [position] = yield* run("read lineage", Sql.lineage(sql, stream))
  return new SegmentLog(stream, position?.lineage ?? "", tables, next, appendedMs)
})

/** The part of a segment at or above the position goes. */
const cutThrough = Effect.fnUntraced(function*(
  store: SegmentStore, log: SegmentLog, table: number, row: Sql.DataRow, position: Lsn
) {
  const { events } = yield* allEvents(store, "cut", table, row)
  const cutAt = events.findIndex((event) => event.commitLsn >= position)
  if (cutAt < 0) return
  const kept = events.slice(0, cutAt)
  yield* store.fenced("cut", log.stream, Sql.cutPart(store.sql, table, Number(row.number), kept, partsOf(kept)))
})

/** From the newest table back to the first that has a segment below the position. */
const cut = Effect.fnUntraced(function*(store: SegmentStore, log: SegmentLog, position: Lsn) {
  const { sql } = store
  for (const { number } of log.tables.toReversed()) {
    const [below] = yield* store.run("cut", Sql.lastBelow(sql, number, log.lineage, position))
    const after = Number(below?.number ?? 0)
    yield* store.fenced("cut", log.stream, Sql.cutWhole(sql, number, after, position))
    const rows = yield* store.run("cut", Sql.through(sql, number, after, position))
    for (const row of rows) yield* cutThrough(store, log, number, row, position)
    if (below !== undefined) return
  }
})

/** What waits, remembered in the log; cursors of those for whom nothing does go. */
const remember = Effect.fnUntraced(function*(store: SegmentStore, log: SegmentLog) {
  const found = yield* Read.waiting(store, log.stream, log.tables)
  const past: Array<string> = []
  for (const [endpoint, { cursor, last, lastCount }] of found) {
    if (last === undefined) past.push(endpoint)
    else log.waiting.set(endpoint, { cursor, last, lastCount })
  }
  if (past.length > 0) yield* store.fenced("open", log.stream, Sql.removeCursors(store.sql, log.stream, past))
  return found
})

/** For writes to a stream that was not opened. */
export const load = Effect.fnUntraced(function*(store: SegmentStore, stream: string) {
  const log = yield* state(store, stream)
  yield* remember(store, log)
  return log
})

export const open = Effect.fnUntraced(function*(store: SegmentStore, stream: string, position: Lsn) {
  yield* dropOrphans(store)
  const log = yield* state(store, stream)
  yield* cut(store, log, position)
  const found = yield* remember(store, log)
  const backlogs: ReadonlyArray<Backlog> = yield* Read.exact(store, log.tables, found)
  return { log, backlogs }
})
