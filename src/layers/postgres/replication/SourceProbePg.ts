/**
 * Watches whether our walsender is a synchronous standby: then COMMIT of every session of the user's waits for our
 * status updates, and hangs when we stop. Said once in the log each time it begins, and by `/ready` while it lasts.
 *
 * Read from `pg_stat_replication`; of a walsender of another role it needs `pg_read_all_stats` (else: not known).
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { SourceSettings } from "../../../services/Settings.ts"
import { SourceProbe } from "../../../services/SourceProbe.ts"
import { SourceSql } from "../Sql.ts"

const SEEN = "The reader of the slot is a synchronous standby: COMMIT of every session waits for it."
const MEND =
  "Name the real standbys only (not '*'): ALTER SYSTEM SET synchronous_standby_names = '<their names>'; SELECT pg_reload_conf()"

/** `intervalMs`: how often it is read. Default 10,000. */
export const layer = (intervalMs = 10_000) =>
  Layer.effect(
    SourceProbe,
    Effect.gen(function*() {
      const sql = yield* SourceSql
      const { slotName } = yield* SourceSettings
      let synchronous = false

      const look = Effect.gen(function*() {
        const [row] = yield* sql<{ readonly now: boolean }>`
          SELECT count(*) > 0 AS now FROM pg_stat_replication w JOIN pg_replication_slots s ON s.active_pid = w.pid
           WHERE s.slot_name = ${slotName} AND w.sync_state IN ('sync', 'quorum')`
        const now = row?.now === true
        const began = now && !synchronous
        synchronous = now
        if (began) {
          yield* Effect.logError(SEEN).pipe(
            Effect.annotateLogs({ code: "SynchronousStandby", slot: slotName, mend: MEND })
          )
        }
      }).pipe(Effect.catch(() => Effect.void))

      yield* Effect.forkScoped(Effect.forever(Effect.andThen(look, Effect.sleep(Duration.millis(intervalMs)))))
      return { problem: Effect.sync(() => (synchronous ? `${SEEN} ${MEND}` : undefined)) }
    })
  )
