/**
 * What the slot's row says, and what it means for `init`, `run` and `status`. Making the slot is
 * `replication/createSlot.ts`.
 */
import type { PgClient } from "@effect/sql-pg"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import type { SqlError } from "effect/sql/SqlError"
import * as Lsn from "../../../domain/Lsn.ts"
import type { Plugin } from "../../../services/ChangeSource.ts"
import type { Facts, SlotFacts } from "./Probe.ts"
import type { Fault } from "./SetupErrors.ts"

/** Shape of a name that Postgres accepts: 1–63 of `a-z 0-9 _`. */
export const validName = (name: string): boolean => /^[a-z0-9_]{1,63}$/.test(name)

export const isOurs = (plugin: string): plugin is Plugin => plugin === "pgoutput" || plugin === "wal2json"

/**
 * missing: there is none · usable: kept as it is · remake: `init` drops it and makes it again (nothing can be read
 * from it any more, or it would skip what is committed) · refused: somebody else's, nothing is done to it.
 */
export type SlotState =
  | { readonly _tag: "missing" }
  | { readonly _tag: "usable"; readonly plugin: Plugin }
  | { readonly _tag: "remake"; readonly plugin: Plugin; readonly fault: Fault }
  | { readonly _tag: "refused"; readonly fault: Fault }

const OTHER_SLOT = "Use another slot:   pgstream init --replication-slot NAME"

const refused = (code: string, seen: string, mend = OTHER_SLOT): SlotState => ({
  _tag: "refused",
  fault: { code, exitCode: 4, seen, mend }
})

/** `stored`: the checkpoint's position, 0 for none. */
export const stateOf = (slotName: string, facts: Facts, stored: Lsn.Lsn): SlotState => {
  if (!validName(slotName)) {
    return refused(
      "BadSlotName",
      `a slot's name has 1 to 63 of the characters a-z, 0-9 and _, and ${JSON.stringify(slotName)} does not`
    )
  }
  const slot = facts.slot
  if (slot === undefined) return { _tag: "missing" }
  const named = `replication slot ${slotName}`
  if (!slot.logical) return refused("SlotNotLogical", `${named} is a physical slot`)
  if (slot.database !== facts.database) {
    return refused(
      "SlotOfOtherDatabase",
      `${named} belongs to database ${slot.database}, and the URL names ${facts.database}`
    )
  }
  if (!isOurs(slot.plugin))
    return refused(
      "PluginUnknown",
      `${named} uses plugin ${slot.plugin}; pgstream reads pgoutput and wal2json`
    )
  if (slot.walStatus === "lost") {
    return {
      _tag: "remake",
      plugin: slot.plugin,
      fault: {
        code: "SlotInvalidated",
        exitCode: 4,
        seen: `${named} is invalidated: the server has removed WAL that it needs (max_slot_wal_keep_size)`,
        mend: "Make it again (what was committed meanwhile is not delivered):   pgstream init"
      }
    }
  }
  if (slot.ahead) {
    return {
      _tag: "remake",
      plugin: slot.plugin,
      fault: {
        code: "PositionAheadOfWal",
        exitCode: 4,
        seen: `${named} stands at ${slot.confirmed}, beyond the end of the WAL (${facts.walEnd}): what is committed below that is skipped`,
        mend: "Make it again:   pgstream init"
      }
    }
  }
  const walEnd = Lsn.parse(facts.walEnd)
  if (Result.isSuccess(walEnd) && stored > walEnd.success) {
    return {
      _tag: "remake",
      plugin: slot.plugin,
      fault: {
        code: "PositionAheadOfWal",
        exitCode: 4,
        seen: `the stored position of ${named} (${Lsn.format(stored)}) is beyond the end of the WAL (${facts.walEnd}): what is committed below that is skipped`,
        mend: "Make it again:   pgstream init"
      }
    }
  }
  if (slot.plugin === "pgoutput" && facts.publication === "none") {
    return {
      _tag: "remake",
      plugin: slot.plugin,
      fault: {
        code: "PublicationMissing",
        exitCode: 4,
        seen: `${named} has no publication: a slot cannot be read through one that is made after it`,
        mend: "Make both again (what was committed meanwhile is not delivered):   pgstream init"
      }
    }
  }
  return { _tag: "usable", plugin: slot.plugin }
}

/** `pid 4711, application "pgstream", user u, from 10.0.0.1, since …`. */
export const holderOf = (slot: SlotFacts): string => {
  const holder = slot.holder
  if (holder === undefined) return "a process that is not shown to this role"
  return `pid ${holder.pid}, application "${holder.application}", user ${holder.user}, from ${holder.client}, since ${holder.since}`
}

export const inUse = (slotName: string, slot: SlotFacts): Fault => ({
  code: "SlotInUse",
  exitCode: 4,
  seen: `another process holds replication slot ${slotName} (${holderOf(slot)})`,
  mend: `Stop that process first:   SELECT pg_terminate_backend(${slot.holder?.pid ?? "PID"})   or use another slot (--replication-slot).`
})

/** The text that `init` says when it makes a slot again: what was committed in that stretch is not delivered. */
export const stretch = (slot: SlotFacts, ahead: boolean, from: string): string => {
  const since = slot.inactiveSince === "" ? "since its reader stopped" : `since ${slot.inactiveSince}`
  return ahead
    ? `its position was ${slot.confirmed}, the stream begins at ${from}: what was committed ${since} up to that place is not delivered`
    : `the stretch from ${slot.confirmed === "" ? "its last position" : slot.confirmed} to ${from} is not delivered`
}

/** Fails with SQLSTATE 55006 while somebody reads it. */
export const drop = (sql: PgClient.PgClient, slotName: string): Effect.Effect<void, SqlError> =>
  Effect.asVoid(sql`SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots
    WHERE slot_name = ${slotName} AND database = current_database()`)
