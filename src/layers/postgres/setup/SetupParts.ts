/** What the steps of `init`, `destroy`, `status` and `check` work with. */
import type { PgClient } from "@effect/sql-pg"
import * as Effect from "effect/Effect"
import type * as Context from "effect/Context"
import * as Result from "effect/Result"
import type { SqlError } from "effect/sql/SqlError"
import { Checkpoint } from "../../../services/Checkpoint.ts"
import { DdlTracker } from "../../../services/DdlTracker.ts"
import {
  SecretSettings, type SecretSettingsShape, SourceSettings, type SourceSettingsShape, StoreSettings
} from "../../../services/Settings.ts"
import type { SetupError } from "../../../services/Setup.ts"
import type { StreamId } from "../../../domain/StreamId.ts"
import * as Lsn from "../../../domain/Lsn.ts"
import * as Stream from "../../../domain/StreamId.ts"
import * as Clone from "./Clone.ts"
import type { Facts } from "./Probe.ts"
import { failure, fromSql } from "./SetupErrors.ts"
import { SourceSql, StoreSql } from "../Sql.ts"

export interface Parts {
  readonly source: PgClient.PgClient
  /** The client of `Checkpoint` too: a transaction here holds what that stores. */
  readonly store: PgClient.PgClient
  readonly storeInSource: boolean
  readonly settings: SourceSettingsShape
  readonly checkpoint: Context.Service.Shape<typeof Checkpoint>
  readonly tracker: Context.Service.Shape<typeof DdlTracker>
  /** Opens what is parked where it is moved. */
  readonly secrets: SecretSettingsShape
}

export const make = Effect.gen(function*() {
  const source = yield* SourceSql
  const store = yield* StoreSql
  const settings = yield* SourceSettings
  const { inSource } = yield* StoreSettings
  const parts: Parts = {
    source,
    store,
    storeInSource: inSource,
    settings,
    checkpoint: yield* Checkpoint,
    tracker: yield* DdlTracker,
    secrets: yield* SecretSettings
  }
  return parts
})

/** The checkpoint's position of this stream; 0: none. */
export const storedPosition = (parts: Parts, facts: Facts): Effect.Effect<Lsn.Lsn, SqlError> =>
  Effect.gen(function*() {
    const [table] = yield* parts.store<{
      readonly there: boolean
    }>`SELECT to_regclass('pgstream.checkpoint') IS NOT NULL AS there`
    if (table?.there !== true) return Lsn.zero
    const [row] = yield* parts.store<{ readonly position: string }>`
      SELECT position::text AS position FROM pgstream.checkpoint WHERE stream = ${Stream.format(streamOf(parts, facts))}`
    return Result.getOrElse(Lsn.parse(row?.position ?? ""), () => Lsn.zero)
  })

export const streamOf = (parts: Parts, facts: Facts): StreamId => ({
  systemIdentifier: facts.systemIdentifier,
  slotName: parts.settings.slotName
})

/** `live`: streams whose slots are in this database. */
export const hereOf = (parts: Parts, facts: Facts): Clone.Here => ({
  stream: streamOf(parts, facts),
  addresses: Clone.addressesOf(parts.settings.url),
  database: facts.database,
  live: facts.slotsHere.map((slotName) =>
    Stream.format({ systemIdentifier: facts.systemIdentifier, slotName })
  )
})

/**
 * Held by `init` and `destroy` as long as the scope lives: two of them at a time would take each other's work back.
 * Per database, and gone with its session.
 */
export const exclusive = (parts: Parts) =>
  Effect.gen(function*() {
    const connection = yield* parts.source.reserve
    const rows = yield* connection.executeUnprepared(
      "SELECT pg_try_advisory_lock(hashtext('pgstream'), hashtext('setup')) AS got",
      [],
      undefined
    )
    if (rows[0]?.["got"] !== true) {
      return yield* failure(
        "SetupRunning",
        1,
        "Cannot begin: another init or destroy of this database is running. Nothing was changed.",
        "Wait for its end, then run this again."
      )
    }
    yield* Effect.addFinalizer(() =>
      Effect.ignore(connection.executeUnprepared("SELECT pg_advisory_unlock_all()", [], undefined))
    )
  }).pipe(
    Effect.catchTag("SqlError", (error: SqlError): Effect.Effect<never, SetupError> =>
      Effect.fail(fromSql("open the source database")(error))
    )
  )
