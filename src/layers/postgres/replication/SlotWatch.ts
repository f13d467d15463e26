/** Looks every half minute whether Postgres will soon give the slot up, and tells it (`slot_near_loss`). */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { Notices } from "../../../services/Notices.ts"
import { SourceSettings } from "../../../services/Settings.ts"
import { SourceSql } from "../Sql.ts"

const EVERY = Duration.seconds(30)
/** Of `max_slot_wal_keep_size`, what is left when it is told; it is over again above twice that. */
const SMALL_PART = 0.1

interface SlotRow {
  readonly wal_status: string | null
  readonly safe_wal_size: bigint | null
  readonly keep_bytes: bigint
}

/** near: tell · far: over · between: neither, so that it does not flutter. */
export const judge = ({ keep_bytes: keep, safe_wal_size: safe, wal_status: status }: SlotRow): "near" | "between" | "far" => {
  if (status === "unreserved" || status === "lost") return "near"
  // Without a limit Postgres never gives the slot up.
  if (keep < 0n || safe === null) return "far"
  const part = Number(safe) / Number(keep)
  return part < SMALL_PART ? "near" : part < 2 * SMALL_PART ? "between" : "far"
}

const MENDS = "Raise max_slot_wal_keep_size, or let the stream catch up:   pgstream status"

export const layer: Layer.Layer<never, never, SourceSql | SourceSettings> = Layer.effectDiscard(Effect.gen(function*() {
  const sql = yield* SourceSql
  const { slotName } = yield* SourceSettings
  const notices = yield* Notices
  const look = Effect.gen(function*() {
    const [row] = yield* sql<SlotRow>`
      SELECT wal_status, safe_wal_size, (SELECT setting::bigint * 1048576 FROM pg_settings WHERE name = 'max_slot_wal_keep_size') AS keep_bytes
      FROM pg_replication_slots WHERE slot_name = ${slotName}`
    if (row === undefined) return
    const verdict = judge(row)
    if (verdict === "far") notices.over("slot_near_loss", undefined)
    if (verdict !== "near") return
    const left = Math.max(0, Number(row.safe_wal_size ?? 0n))
    notices.tell({
      kind: "slot_near_loss", endpointId: undefined,
      message: `Postgres will soon give up replication slot ${slotName}: ${left} bytes of WAL are left. ${MENDS}`,
      facts: { slot: slotName, wal_status: row.wal_status ?? "", safe_wal_bytes: left }
    })
  })
  yield* Effect.forkScoped(Effect.forever(Effect.andThen(Effect.ignore(look), Effect.sleep(EVERY))))
}))
