/**
 * Gives back the tables of segments that every cursor has passed. Never waits: a table that somebody reads just now
 * (pg_dump) is dropped by a later try.
 */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import type { SegmentsError } from "../../../services/Segments.ts"
import type { SegmentLog } from "./SegmentLog.ts"
import * as Sql from "./SegmentsPgSql.ts"
import type { SegmentStore } from "./SegmentsPgStore.ts"

/** An empty log gives up its table, too: its bodies are not kept for nobody. */
const endIdle = (store: SegmentStore, log: SegmentLog) =>
  Effect.gen(function*() {
    const idle = log.idleTable(store.limits, yield* Clock.currentTimeMillis)
    if (idle === undefined) return
    yield* store.fenced("end table", log.stream, Sql.endTable(store.sql, idle.number, log.next))
    idle.end = log.next
  })

export const trim = (store: SegmentStore, log: SegmentLog): Effect.Effect<void, SegmentsError> =>
  Effect.gen(function*() {
    yield* endIdle(store, log)
    for (const { number } of log.passedTables) {
      const [row] = yield* store.fenced("drop table", log.stream, Sql.dropTable(store.sql, number))
      if (row?.dropped !== true) continue
      log.tables = log.tables.filter((table) => table.number !== number)
      yield* store.fenced("drop table", log.stream, Sql.forgetTables(store.sql, log.stream))
    }
  })

/** Tables of streams that are gone, which something was in the way of. */
export const dropOrphans = (store: SegmentStore): Effect.Effect<void, SegmentsError> =>
  Effect.gen(function*() {
    const orphans = yield* store.run("read tables", Sql.tables(store.sql, ""))
    for (const { number } of orphans) yield* store.run("drop table", Sql.dropTable(store.sql, Number(number)))
    if (orphans.length > 0) yield* store.run("drop table", Sql.forgetTables(store.sql, ""))
  })
