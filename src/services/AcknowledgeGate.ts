/**
 * What the stream must have passed before a position that is settled now is acknowledged. With a failover slot that is
 * the place of our own writes in the WAL: with `synchronized_standby_slots` the standby has them by then, so a promoted
 * standby cannot have the slot's position without the parked rows. Without a layer: nothing.
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Lsn from "../domain/Lsn.ts"

export const AcknowledgeGate = Context.Reference<{
  /** 0: acknowledge at once. Not known = beyond every position. */
  readonly position: Effect.Effect<Lsn.Lsn>
}>("pgstream/services/AcknowledgeGate", { defaultValue: () => ({ position: Effect.succeed(Lsn.zero) }) })
