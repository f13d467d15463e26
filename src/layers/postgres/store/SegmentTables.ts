/**
 * Gives back the tables of segments that every cursor has passed. Never waits: a table that somebody reads just now
 * (pg_dump) is dropped by a later try, `trimEveryMs` after this one however often cursors move until then.
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

/** Answers the numbers of those that somebody reads. */
const dropPassed = (store: SegmentStore, log: SegmentLog) =>
  Effect.gen(function*() {
    const refused: Array<number> = []
    for (const { number } of log.passedTables) {
      const [row] = yield* store.fenced("drop table", log.stream, Sql.dropTable(store.sql, number))
      if (row?.dropped !== true) {
        refused.push(number)
        continue
      }
      log.tables = log.tables.filter((table) => table.number !== number)
      yield* store.fenced("drop table", log.stream, Sql.forgetTables(store.sql, log.stream))
    }
    return refused
  })

/** Says it where it begins. */
const refuse = (log: SegmentLog, line: Effect.Effect<void>) =>
  Effect.suspend(() => {
    const began = !log.trimRefused
    log.trimRefused = true
    return began ? line : Effect.void
  })

/** For each `trimEveryMs`. */
export const trimAgain = (store: SegmentStore, log: SegmentLog): Effect.Effect<void> =>
  Effect.andThen(endIdle(store, log), dropPassed(store, log)).pipe(
    Effect.flatMap((refused) => {
      if (refused.length === 0) return Effect.sync(() => void (log.trimRefused = false))
      const line = Effect.logWarning("Tables of segments that nobody waits for cannot be dropped now: something reads them, a pg_dump perhaps. Trying again.")
      return refuse(log, Effect.annotateLogs(line, {
        tables: refused.length, first: `pgstream.webhook_segments_${refused[0]}`, everyMs: store.limits.trimEveryMs
      }))
    }),
    Effect.catch((error) =>
      refuse(log, Effect.annotateLogs(Effect.logWarning("Segments cannot be trimmed; trying again.", error), { everyMs: store.limits.trimEveryMs })))
  )

/** Whenever cursors have moved. */
export const trim = (store: SegmentStore, log: SegmentLog): Effect.Effect<void> =>
  Effect.suspend(() => log.trimRefused ? Effect.void : trimAgain(store, log))

/** Tables of streams that are gone, which something was in the way of. */
export const dropOrphans = (store: SegmentStore): Effect.Effect<void, SegmentsError> =>
  Effect.gen(function*() {
    const orphans = yield* store.run("read tables", Sql.tables(store.sql, ""))
    for (const { number } of orphans) yield* store.run("drop table", Sql.dropTable(store.sql, Number(number)))
    if (orphans.length > 0) yield* store.run("drop table", Sql.forgetTables(store.sql, ""))
  })
