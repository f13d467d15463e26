/**
 * Keeps the listed publications up to date while the service runs (DESIGN.md "Without superuser"): a table that was
 * made since is added, one whose identity has become usable moves. A table counts from the first transaction that began
 * after its ADD was committed. With a publication FOR ALL TABLES, or none, there is nothing to do; an idle database is
 * only read.
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { PUBLICATION } from "./Probe.ts"
import * as Publication from "./Publication.ts"
import { SourceSql } from "../Sql.ts"

const once = Effect.fnUntraced(function*(sql: SourceSql["Service"]) {
  const [row] = yield* sql<{ readonly listed: boolean; readonly version: number }>`
    SELECT coalesce((SELECT NOT puballtables FROM pg_publication WHERE pubname = ${PUBLICATION}), false) AS listed,
           current_setting('server_version_num')::int AS version`
  if (row?.listed !== true) return
  yield* Publication.refreshListed(sql, row.version)
})

/** `intervalMs`: `PGSTREAM_SCHEMA_SCAN_INTERVAL`. A scan that fails is logged once until one succeeds; the next tries again. */
export const layer = (intervalMs: number): Layer.Layer<never, never, SourceSql> =>
  Layer.effectDiscard(
    Effect.gen(function*() {
      const sql = yield* SourceSql
      let failedBefore = false
      const scan = Effect.matchCauseEffect(once(sql), {
        onFailure: (cause) => {
          if (failedBefore) return Effect.void
          failedBefore = true
          return Effect.logWarning("The listed publications could not be brought up to date.", cause)
        },
        onSuccess: () =>
          Effect.sync(() => {
            failedBefore = false
          })
      })
      yield* Effect.forkScoped(
        Effect.forever(Effect.andThen(scan, Effect.sleep(Duration.millis(intervalMs))))
      )
    })
  )
