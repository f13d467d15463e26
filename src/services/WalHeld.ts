/**
 * How much WAL the slot holds back: what an endpoint that is too slow costs the database. Asked on the hot path, so it
 * is plain, and may be some seconds old. Without a Layer nothing is known of it.
 */
import * as Context from "effect/Context"

export const WalHeld = Context.Reference<{
  /** Bytes between what was acknowledged and the end of the WAL; 0: not known. */
  bytes(): number
  /** `max_slot_wal_keep_size`, bytes: what Postgres keeps at most; Infinity: all. */
  keepBytes(): number
}>("pgstream/services/WalHeld", { defaultValue: () => ({ bytes: () => 0, keepBytes: () => Infinity }) })
