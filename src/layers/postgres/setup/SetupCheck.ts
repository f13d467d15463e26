/**
 * Before `run`: what is missing ends it with exit code 4, and a copied disk starts with its endpoints paused. What the
 * connection itself finds out (who holds the slot, TLS, …) is left to it.
 */
import * as Effect from "effect/Effect"
import type { SqlError } from "effect/sql/SqlError"
import type { SetupError } from "../../../services/Setup.ts"
import * as Clone from "./Clone.ts"
import * as MigrationsSource from "../schema/MigrationsSource.ts"
import * as MigrationsStore from "../store/MigrationsStore.ts"
import * as Probe from "./Probe.ts"
import { failure, type Fault, fromSql } from "./SetupErrors.ts"
import * as SetupFaults from "./SetupFaults.ts"
import { hereOf, type Parts, storedPosition } from "./SetupParts.ts"
import { type Versions, versions } from "./SetupSchema.ts"
import * as Slot from "./Slot.ts"
import * as Takeover from "./Takeover.ts"

const INIT = "pgstream init"

/** Schema and migrations; `seed` as `Takeover.look` found it. */
export const schemaFault = (facts: Probe.Facts, seed: Takeover.Seed, there: Versions): Fault | undefined => {
  const fault = (code: string, seen: string, mend: string): Fault => ({ code, exitCode: 4, seen, mend })
  if (seed._tag === "refused") return seed.fault
  if (seed._tag === "take") {
    return fault(
      "TakeoverPending",
      `schema pgstream is the old program's (migration ${seed.version})`,
      `Take it over, with its subscriptions and its slot:   ${INIT}`
    )
  }
  if (!facts.schema || there.source === 0)
    return fault("SchemaMissing", "pgstream schema does not exist in the configured postgres database", INIT)
  const old =
    there.source < MigrationsSource.latestVersion
      ? (["source", there.source, MigrationsSource.latestVersion] as const)
      : there.store < MigrationsStore.latestVersion
        ? (["store", there.store, MigrationsStore.latestVersion] as const)
        : undefined
  if (old !== undefined)
    return fault(
      "SchemaOutdated",
      `the schema of the ${old[0]} is at migration ${old[1]}, and this program needs ${old[2]}`,
      `${INIT}   (or pgstream run --init)`
    )
  const made =
    there.source > MigrationsSource.latestVersion
      ? (["source", there.source, MigrationsSource.latestVersion] as const)
      : there.store > MigrationsStore.latestVersion
        ? (["store", there.store, MigrationsStore.latestVersion] as const)
        : undefined
  return made === undefined
    ? undefined
    : fault(
        "SchemaNewer",
        `the schema of the ${made[0]} is at migration ${made[1]}, newer than this program knows (${made[2]})`,
        "Use the newer pgstream that made it."
      )
}

export const slotFault = (slotName: string, state: Slot.SlotState): Fault | undefined => {
  if (state._tag === "usable") return undefined
  if (state._tag !== "missing") return state.fault
  return {
    code: "SlotMissing",
    exitCode: 4,
    seen: `replication slot ${slotName} does not exist in the configured database`,
    mend: INIT
  }
}

/** A copied disk: every endpoint paused, and the new addresses kept, in one transaction. Answers what to say. */
const guard = (parts: Parts, facts: Probe.Facts): Effect.Effect<string | undefined, SqlError> =>
  parts.store.withTransaction(
    Effect.gen(function*() {
      const here = hereOf(parts, facts)
      const before = yield* Clone.moved(parts.store, here)
      if (before !== undefined) {
        const endpoints = yield* Clone.all(parts.store)
        yield* Clone.pause(
          parts.store,
          here.stream,
          endpoints,
          `The stream was read from ${before.join(", ")} before, now from ${here.addresses.join(", ")}.`
        )
        yield* Clone.remember(parts.store, here)
        return endpoints.length === 0
          ? undefined
          : `Paused ${endpoints.length} endpoints (${Clone.names(endpoints)}): this database was read at ${before.join(", ")} before, now at ${here.addresses.join(", ")}. ${Clone.RESUME}`
      }
      yield* Clone.remember(parts.store, here)
      return undefined
    })
  )

export const check = (parts: Parts): Effect.Effect<void, SetupError> =>
  Effect.gen(function*() {
    const facts = yield* Effect.mapError(
      Probe.probe(parts.source, parts.settings.slotName),
      fromSql("read the state of the source database")
    )
    const seed = yield* Effect.mapError(
      Takeover.look(parts.source, facts),
      fromSql("read the old program's schema")
    )
    const there = yield* Effect.mapError(
      versions(parts.source, parts.store),
      fromSql("read the schema of the store")
    )
    const state = Slot.stateOf(
      parts.settings.slotName,
      facts,
      yield* Effect.mapError(storedPosition(parts, facts), fromSql("read the stored position"))
    )
    const fault =
      SetupFaults.standby(facts) ??
      SetupFaults.walLevel(facts) ??
      SetupFaults.replication(facts) ??
      schemaFault(facts, seed, there) ??
      slotFault(parts.settings.slotName, state) ??
      (state._tag === "usable" ? SetupFaults.pluginAllowed(facts, state.plugin) : undefined)
    if (fault !== undefined)
      return yield* failure(fault.code, fault.exitCode, `Cannot run: ${fault.seen}.`, fault.mend)
    const paused = yield* Effect.mapError(
      guard(parts, facts),
      fromSql("compare the address of the stream with the stored one")
    )
    if (paused !== undefined) yield* Effect.logWarning(paused)
  })
