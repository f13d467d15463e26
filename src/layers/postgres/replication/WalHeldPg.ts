/** Asks every 5 seconds how much WAL the slot holds back. While that cannot be asked, the last answer holds. */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { SourceSettings } from "../../../services/Settings.ts"
import { WalHeld } from "../../../services/WalHeld.ts"
import { SourceSql } from "../Sql.ts"

const EVERY = Duration.seconds(5)

interface SlotRow {
  readonly held_bytes: string | null
  readonly keep_bytes: string
}

export const layer: Layer.Layer<never, never, SourceSql | SourceSettings> = Layer.effect(
  WalHeld,
  Effect.gen(function*() {
    const sql = yield* SourceSql
    const { slotName } = yield* SourceSettings
    let bytes = 0
    let keepBytes = Infinity
    const look = Effect.map(
      sql<SlotRow>`
        SELECT pg_wal_lsn_diff(pg_current_wal_lsn(), confirmed_flush_lsn)::text AS held_bytes,
               (SELECT (setting::bigint * 1048576)::text FROM pg_settings WHERE name = 'max_slot_wal_keep_size') AS keep_bytes
        FROM pg_replication_slots WHERE slot_name = ${slotName}`,
      ([row]) => {
        if (row === undefined) return
        bytes = Math.max(0, Number(row.held_bytes ?? "0"))
        keepBytes = Number(row.keep_bytes) < 0 ? Infinity : Number(row.keep_bytes)
      }
    )
    yield* Effect.forkScoped(Effect.forever(Effect.andThen(Effect.ignore(look), Effect.sleep(EVERY))))
    return { bytes: () => bytes, keepBytes: () => keepBytes }
  })
)
