/**
 * Before a snapshot without a slot: the schema has to be there, and a restored copy of a database must not call
 * production. Nothing of replication is needed: no slot, no publication, no `wal_level`.
 */
import * as Effect from "effect/Effect"
import type { SqlError } from "effect/sql/SqlError"
import * as Stream from "../../../domain/StreamId.ts"
import type { SetupError } from "../../../services/Setup.ts"
import * as Clone from "./Clone.ts"
import * as Probe from "./Probe.ts"
import { schemaFault } from "./SetupCheck.ts"
import { failure, fromSql } from "./SetupErrors.ts"
import * as SetupFaults from "./SetupFaults.ts"
import { hereOf, type Parts } from "./SetupParts.ts"
import { versions } from "./SetupSchema.ts"
import * as Takeover from "./Takeover.ts"

/**
 * A stream without a slot is of this database while what is stored of it says so. What only other or lost streams have
 * starts paused for it, as after `init`.
 */
const guard = (parts: Parts, facts: Probe.Facts): Effect.Effect<string | undefined, SqlError> =>
  parts.store.withTransaction(Effect.gen(function*() {
    const here = hereOf(parts, facts)
    const own = Stream.format(here.stream)
    const [stored] = yield* parts.store<{ readonly database: string }>`SELECT database FROM pgstream.checkpoint WHERE stream = ${own}`
    const isOurs = stored === undefined || stored.database === "" || stored.database === facts.database
    const addresses = yield* Clone.moved(parts.store, here)
    const endpoints = addresses === undefined
      ? yield* Clone.foreign(parts.store, isOurs ? [...here.live, own] : here.live)
      : yield* Clone.all(parts.store)
    const why = addresses === undefined
      ? "They belong to another stream, or to one whose slot is lost."
      : `The database was read at ${addresses.join(", ")} before, now at ${here.addresses.join(", ")}.`
    yield* Clone.pause(parts.store, here.stream, endpoints, why)
    yield* parts.store`INSERT INTO pgstream.checkpoint (stream, versions) VALUES (${own}, '') ON CONFLICT (stream) DO NOTHING`
    yield* Clone.remember(parts.store, here)
    return endpoints.length === 0 ? undefined
      : `${endpoints.length} endpoints are paused: ${Clone.names(endpoints)}. ${why} What is for them is kept. To send:   pgstream subscriptions resume ID`
  }))

/** Answers with what an operator should know. */
export const checkAlone = (parts: Parts): Effect.Effect<ReadonlyArray<string>, SetupError> =>
  Effect.gen(function*() {
    const facts = yield* Effect.mapError(Probe.probe(parts.source, parts.settings.slotName), fromSql("read the state of the source database"))
    const seed = yield* Effect.mapError(Takeover.look(parts.source, facts), fromSql("read the old program's schema"))
    const there = yield* Effect.mapError(versions(parts.source, parts.store), fromSql("read the schema of the store"))
    const fault = SetupFaults.standby(facts) ?? schemaFault(facts, seed, there)
    if (fault !== undefined) return yield* failure(fault.code, fault.exitCode, `Cannot copy: ${fault.seen}.`, fault.mend)
    const paused = yield* Effect.mapError(guard(parts, facts), fromSql("compare where the endpoints belong with where this is"))
    return paused === undefined ? [] : [paused]
  })
