/**
 * The gate of a failover slot (Postgres 17 on) whose store is in the source: everything of ours that is flushed there.
 * Whether the slot is one is read once: it can be changed only while nobody reads it.
 */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Result from "effect/Result"
import * as Lsn from "../../../domain/Lsn.ts"
import { AcknowledgeGate } from "../../../services/AcknowledgeGate.ts"
import { SourceSettings, StoreSettings } from "../../../services/Settings.ts"
import { SourceSql } from "../Sql.ts"

export const layer = Layer.effect(
  AcknowledgeGate,
  Effect.gen(function*() {
    const sql = yield* SourceSql
    const { slotName } = yield* SourceSettings
    const { inSource } = yield* StoreSettings
    let failover: boolean | undefined = inSource ? undefined : false

    const flushed = Effect.gen(function*() {
      const [row] = yield* sql<{ readonly failover: boolean; readonly lsn: string }>`
        SELECT coalesce((to_jsonb(s) ->> 'failover')::boolean, false) AS failover, pg_current_wal_flush_lsn()::text AS lsn
          FROM pg_replication_slots s WHERE s.slot_name = ${slotName}`
      failover = row?.failover === true
      return failover ? Result.getOrElse(Lsn.parse(row?.lsn ?? ""), () => Number.MAX_SAFE_INTEGER) : Lsn.zero
    }).pipe(Effect.catch(() => Effect.succeed(Number.MAX_SAFE_INTEGER)))

    return { position: Effect.suspend(() => (failover === false ? Effect.succeed(Lsn.zero) : flushed)) }
  })
)
