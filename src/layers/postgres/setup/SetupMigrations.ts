/**
 * `init --migrations-only`: the schema of both databases and nothing besides, for snapshots without a slot. Needs no
 * `wal_level`, no right to replicate, and no superuser. A later `init` makes the rest.
 */
import * as Effect from "effect/Effect"
import type { SetupError } from "../../../services/Setup.ts"
import * as MigrationsSource from "../schema/MigrationsSource.ts"
import * as MigrationsStore from "../store/MigrationsStore.ts"
import * as Probe from "./Probe.ts"
import { schemaFault } from "./SetupCheck.ts"
import { failure, fromSql } from "./SetupErrors.ts"
import * as SetupFaults from "./SetupFaults.ts"
import { exclusive, type Parts } from "./SetupParts.ts"
import { fromMigration, versions } from "./SetupSchema.ts"
import * as Takeover from "./Takeover.ts"

/** Faults that the migrations mend. */
const mended = new Set(["SchemaMissing", "SchemaOutdated"])

/** Committed together where both are one database. */
export const migrate = (parts: Parts): Effect.Effect<void, SetupError> =>
  Effect.gen(function*() {
    const { source, store, storeInSource } = parts
    yield* exclusive(parts)
    const facts = yield* Effect.mapError(Probe.probe(source, parts.settings.slotName), fromSql("read the state of the source database"))
    const seed = yield* Effect.mapError(Takeover.look(source, facts), fromSql("read the old program's schema"))
    const there = yield* Effect.mapError(versions(source, store), fromSql("read which migrations are there"))
    const schema = schemaFault(facts, seed, there)
    const fault = SetupFaults.standby(facts) ?? SetupFaults.createSchema(facts) ??
      (schema === undefined || mended.has(schema.code) ? undefined : schema)
    if (fault !== undefined) return yield* failure(fault.code, fault.exitCode, `Cannot initialise: ${fault.seen}. Nothing was changed.`, fault.mend)
    const inSource = Effect.gen(function*() {
      yield* source`SET LOCAL lock_timeout = '10s'`
      yield* MigrationsSource.run(source)
      if (storeInSource) yield* MigrationsStore.run(source)
    })
    yield* Effect.mapError(source.withTransaction(inSource), fromMigration)
    if (!storeInSource) yield* Effect.mapError(MigrationsStore.run(store), fromMigration)
  }).pipe(Effect.scoped)
