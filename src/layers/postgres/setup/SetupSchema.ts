/** First step of `init`: both databases' schema and the event triggers, committed together where they are one. */
import type { PgClient } from "@effect/sql-pg"
import * as Effect from "effect/Effect"
import type { MigrationError } from "effect/sql/Migrator"
import { isSqlError, type SqlError } from "effect/sql/SqlError"
import { setsIdentities } from "../../../../migrations/source/identities.ts"
import type { SetupError } from "../../../services/Setup.ts"
import * as MigrationsSource from "../schema/MigrationsSource.ts"
import * as MigrationsStore from "../store/MigrationsStore.ts"
import { failure, fromSql } from "./SetupErrors.ts"
import type { Progress } from "./SetupInit.ts"
import * as SetupOids from "./SetupOids.ts"
import * as Takeover from "./Takeover.ts"

const COULD_NOT = "make schema pgstream"

/** A migration that fails carries what the server said. */
export const fromMigration = (error: MigrationError | SqlError): SetupError => {
  if (error._tag === "SqlError") return fromSql(COULD_NOT)(error)
  return isSqlError(error.cause)
    ? fromSql(`${COULD_NOT} (${error.message.split("\n")[0]})`)(error.cause)
    : failure("MigrationFailed", 1, `Cannot ${COULD_NOT}: ${error.message.split("\n")[0]}.`, "", error)
}

/** Everything in the schema, and the triggers that would otherwise warn about it. */
export const dropSchema = (sql: PgClient.PgClient): Effect.Effect<void, SqlError> =>
  sql.withTransaction(
    Effect.gen(function*() {
      yield* sql`SET LOCAL lock_timeout = '10s'`
      yield* sql`SELECT set_config('pgstream.busy', '1', true)`
      const [row] = yield* sql<{
        readonly owner: boolean
      }>`SELECT EXISTS (SELECT FROM pg_event_trigger WHERE evtname IN ('pgstream_ddl', 'pgstream_drop')) AS owner`
      if (row?.owner === true) yield* MigrationsSource.removeTriggers(sql)
      yield* sql`DROP SCHEMA IF EXISTS pgstream CASCADE`
    })
  )

const newer = (what: string, there: number, known: number): SetupError =>
  failure(
    "SchemaNewer",
    4,
    `Cannot initialise: the schema of ${what} is newer (${there}) than this program knows (${known}). Nothing was changed.`,
    "Use the newer pgstream that made it."
  )

export interface Versions {
  readonly source: number
  readonly store: number
}

export const versions = (
  source: PgClient.PgClient,
  store: PgClient.PgClient
): Effect.Effect<Versions, SqlError> =>
  Effect.all({
    source: MigrationsSource.currentVersion(source),
    store: MigrationsStore.currentVersion(store)
  })

export const make = (progress: Progress): Effect.Effect<MigrationsSource.TriggersState, SetupError> =>
  Effect.gen(function*() {
    const { parts, facts, seed, undo, notes } = progress
    const { source, store, storeInSource } = parts
    const before = yield* Effect.mapError(versions(source, store), fromSql("read which migrations are there"))
    if (before.source > MigrationsSource.latestVersion)
      return yield* newer("the source", before.source, MigrationsSource.latestVersion)
    if (before.store > MigrationsStore.latestVersion)
      return yield* newer("the store", before.store, MigrationsStore.latestVersion)

    const inSource = Effect.gen(function*() {
      yield* source`SET LOCAL lock_timeout = '10s'`
      yield* MigrationsSource.run(source)
      const keep = progress.options.keepIdentities
      const [sets] = yield* source<{ readonly now: boolean }>`SELECT pgstream.sets_identities() AS now`
      if (sets?.now === keep) yield* source.unsafe(setsIdentities(!keep))
      const triggers = yield* MigrationsSource.installTriggers(source)
      if (storeInSource) yield* MigrationsStore.run(source)
      const copy = seed._tag === "take" ? facts.slot === undefined : yield* SetupOids.isCopy(source, facts)
      if (copy) {
        yield* SetupOids.remake(source, facts)
        notes.push(
          "This database is a restored copy: what pgstream keeps by oid (table ids, identities) was made again by name."
        )
      }
      return triggers
    })
    const triggers = yield* Effect.mapError(source.withTransaction(inSource), fromMigration)
    if (!facts.schema) undo.push({ what: "schema pgstream", run: dropSchema(source) })
    else if (before.source < MigrationsSource.latestVersion)
      progress.stays.push("the upgrade of schema pgstream")
    if (!storeInSource) yield* makeStore(progress, before.store)
    yield* adopt(progress)
    return triggers
  })

const makeStore = ({ parts: { store }, undo }: Progress, before: number): Effect.Effect<void, SetupError> =>
  Effect.gen(function*() {
    const [row] = yield* store<{
      readonly there: boolean
    }>`SELECT to_regnamespace('pgstream') IS NOT NULL AS there`
    if (before < MigrationsStore.latestVersion) yield* MigrationsStore.run(store)
    if (row?.there !== true) undo.push({ what: "schema pgstream of the store", run: dropSchema(store) })
  }).pipe(Effect.mapError(fromMigration))

/** Endpoints of the old program keep its order; what that costs is said. */
const adopt = ({ parts, facts, seed, notes }: Progress): Effect.Effect<void, SetupError> =>
  Effect.gen(function*() {
    yield* MigrationsStore.adoptSeedRows(parts.store)
    if (seed._tag === "take") {
      const note = Takeover.endpointsNote(yield* Takeover.inTotalOrder(parts.store))
      notes.push(
        `Taken over: the schema of the old program (migration ${seed.version}) with its ids, versions and subscriptions.`
      )
      notes.push(Takeover.positionNote(parts.settings.slotName, facts))
      if (note !== undefined) notes.push(note)
    }
    const bad = yield* Takeover.badUrls(parts.store)
    if (bad.length > 0)
      notes.push(
        `Subscriptions with a URL that nothing can be sent to (their events are parked): ${bad.join("; ")}`
      )
  }).pipe(Effect.mapError(fromSql("read the subscriptions")))
