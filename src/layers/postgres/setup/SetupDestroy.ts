/**
 * `destroy`: everything that `init` and `run` made. The slot first (nobody can read what follows), then what the last
 * stream of the database leaves behind. Another stream's objects stay.
 */
import * as Effect from "effect/Effect"
import * as Stream from "../../../domain/StreamId.ts"
import { type DestroyReport, type SetupError } from "../../../services/Setup.ts"
import * as Clone from "./Clone.ts"
import * as Probe from "./Probe.ts"
import * as Publication from "./Publication.ts"
import { failure, fromSql, serverFields } from "./SetupErrors.ts"
import * as SetupOids from "./SetupOids.ts"
import { exclusive, type Parts, streamOf } from "./SetupParts.ts"
import { dropSchema, versions } from "./SetupSchema.ts"
import { listOf } from "./SetupTables.ts"
import * as Slot from "./Slot.ts"

const READ = "read the state of the source database"

/** Answers whether it was there. A slot of another database is not this stream's: it is left. */
const dropSlot = (
  parts: Parts,
  facts: Probe.Facts,
  notes: Array<string>
): Effect.Effect<boolean, SetupError> =>
  Effect.gen(function*() {
    const { slotName } = parts.settings
    const slot = facts.slot
    if (slot === undefined) {
      notes.push(
        `Replication slot ${slotName} was not there. Slots of this database that hold WAL: ${facts.slotsHere.length === 0 ? "none" : facts.slotsHere.join(", ")}.`
      )
      return false
    }
    if (slot.database !== facts.database || !slot.logical || !Slot.isOurs(slot.plugin)) {
      notes.push(
        `Replication slot ${slotName} was left: ${slot.logical ? `it belongs to database ${slot.database} (plugin ${slot.plugin})` : "it is a physical slot"}, not to this stream.`
      )
      return false
    }
    const inUse = Slot.inUse(slotName, slot)
    const refused = failure(
      inUse.code,
      inUse.exitCode,
      `Cannot destroy: ${inUse.seen}. Nothing was changed.`,
      inUse.mend
    )
    if (slot.active) return yield* refused
    yield* Effect.mapError(Slot.drop(parts.source, slotName), (error) =>
      serverFields(error).code === "55006" ? refused : fromSql(`drop replication slot ${slotName}`)(error)
    )
    return true
  })

/** Identities go back after the publication went: a published table without identity refuses the user's UPDATE. */
const dropSource = (
  parts: Parts,
  facts: Probe.Facts,
  notes: Array<string>
): Effect.Effect<void, SetupError> =>
  Effect.gen(function*() {
    if (facts.publication !== "none")
      yield* Effect.mapError(Publication.drop(parts.source), fromSql("drop the publication"))
    if (facts.sourceMigrations) {
      const copy = yield* Effect.mapError(SetupOids.isCopy(parts.source, facts), fromSql(READ))
      if (copy)
        yield* Effect.mapError(
          SetupOids.remake(parts.source, facts),
          fromSql("find the tables of the restored copy by name")
        )
      const report = yield* Effect.mapError(parts.tracker.restoreIdentities, (error) =>
        failure(
          "DatabaseError",
          1,
          "Cannot give the tables their replica identity back.",
          "Run destroy again.",
          error
        )
      )
      if (report.failed.length > 0) {
        return yield* failure(
          "TablesLocked",
          1,
          `Cannot give back the replica identity of ${listOf(report.failed.map((table) => `${table.schema}.${table.name}`))}: in use, or not owned by role ${facts.role}. The slot and the publication are gone; the record of the identities is kept.`,
          "Run destroy again when they are free."
        )
      }
      if (report.changed.length > 0)
        notes.push(
          `Replica identity given back: ${listOf(report.changed.map((table) => `${table.schema}.${table.name}`))}.`
        )
    }
    yield* Effect.mapError(dropSchema(parts.source), fromSql("drop schema pgstream"))
  })

/** What the store keeps for this stream; the whole schema where no other stream is left in it. */
const dropStore = (parts: Parts, stream: string, schemaToo: boolean): Effect.Effect<void, SetupError> =>
  Effect.gen(function*() {
    const there = yield* versions(parts.source, parts.store)
    if (there.store === 0) return
    yield* parts.store.withTransaction(Clone.forget(parts.store, [stream]))
    const left = yield* parts.store`SELECT 1 FROM pgstream.checkpoint LIMIT 1`
    if (schemaToo && left.length === 0) yield* dropSchema(parts.store)
  }).pipe(Effect.mapError(fromSql("remove the stream from the store")))

/** A schema that was never upgraded has none. */
const forgetCopies = Effect.fnUntraced(function*(parts: Parts, stream: string) {
  const [row] = yield* parts.source<{ readonly there: boolean }>`SELECT to_regclass('pgstream.copies') IS NOT NULL AS there`
  if (row?.there === true) yield* parts.source`DELETE FROM pgstream.copies WHERE stream = ${stream}`
})

export const destroy = (parts: Parts): Effect.Effect<DestroyReport, SetupError> =>
  Effect.gen(function*() {
    yield* exclusive(parts)
    const notes: Array<string> = []
    const facts = yield* Effect.mapError(Probe.probe(parts.source, parts.settings.slotName), fromSql(READ))
    const stream = Stream.format(streamOf(parts, facts))
    const others = facts.sourceMigrations
      ? yield* Effect.mapError(SetupOids.others(parts.source, facts, parts.settings.slotName), fromSql(READ))
      : []
    yield* Effect.mapError(
      versions(parts.source, parts.store),
      fromSql("reach the store. Nothing was changed")
    )
    const slotExisted = yield* dropSlot(parts, facts, notes)
    if (others.length > 0) {
      yield* dropStore(parts, stream, false)
      yield* Effect.mapError(
        parts.source`DELETE FROM pgstream.streams WHERE slot_name = ${parts.settings.slotName}
          AND system_identifier = ${facts.systemIdentifier} AND database_oid = ${facts.databaseOid}::text::bigint`,
        fromSql("forget the stream")
      )
      yield* Effect.mapError(forgetCopies(parts, stream), fromSql("forget its copies"))
      if (!others.some((other) => other.plugin === "pgoutput") && facts.publication !== "none") {
        yield* Effect.mapError(Publication.drop(parts.source), fromSql("drop the publication"))
      }
      notes.push(
        `Schema, triggers and identities stay: ${others.map((other) => other.slotName).join(", ")} ${others.length === 1 ? "uses" : "use"} them.`
      )
      return { slotExisted, notes }
    }
    if (!parts.storeInSource) yield* dropStore(parts, stream, true)
    yield* dropSource(parts, facts, notes)
    return { slotExisted, notes }
  }).pipe(Effect.scoped)
