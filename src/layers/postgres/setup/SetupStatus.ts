/** `status`: everything that SQL shows of what is wrong, each with its mend. Fails never, changes nothing. */
import * as Effect from "effect/Effect"
import type { SqlError } from "effect/sql/SqlError"
import * as PostgresUrl from "../../../domain/PostgresUrl.ts"
import * as Lsn from "../../../domain/Lsn.ts"
import type { Finding, StatusReport } from "../../../services/Setup.ts"
import * as Result from "effect/Result"
import * as Probe from "./Probe.ts"
import * as Publication from "./Publication.ts"
import { schemaFault, slotFault } from "./SetupCheck.ts"
import { type Fault, faultOf } from "./SetupErrors.ts"
import * as SetupFaults from "./SetupFaults.ts"
import { type Parts } from "./SetupParts.ts"
import { versions } from "./SetupSchema.ts"
import { storeFindings } from "./SetupStatusStore.ts"
import { listOf } from "./SetupTables.ts"
import * as Slot from "./Slot.ts"
import * as Takeover from "./Takeover.ts"

type Place = Pick<Finding, "area" | "part">

export const finding = (place: Place, fault: Pick<Fault, "code" | "seen" | "mend">): Finding => ({
  ...place,
  code: fault.code,
  summary: fault.seen,
  mend: fault.mend
})

const unreachable = (slotName: string, error: SqlError): StatusReport => {
  const fault = faultOf(error)
  const cannot = (part: "schema" | "migration" | "slot", what: string): Finding => ({
    area: "init",
    part,
    code: fault.code,
    summary: `cannot validate ${what} status: source postgres not reachable`,
    mend: fault.mend
  })
  return {
    schemaExists: false,
    schemaLogExists: false,
    migrationVersion: 0,
    migrationDirty: false,
    slotName,
    slotPlugin: "",
    slotDatabase: "",
    reachable: false,
    notes: [],
    findings: [
      {
        area: "source",
        code: fault.code,
        summary: `source postgres not reachable: ${fault.seen}`,
        mend: fault.mend
      },
      cannot("schema", "schema"),
      cannot("migration", "migration"),
      cannot("slot", "replication slot")
    ]
  }
}

const schemaFindings = (facts: Probe.Facts, fault: Fault | undefined): ReadonlyArray<Finding> => {
  if (fault === undefined) return []
  if (fault.code !== "SchemaMissing") return [finding({ area: "init", part: "migration" }, fault)]
  const migrations = {
    ...fault,
    seen: "pgstream migrations table does not exist in the configured postgres database"
  }
  const schema = facts.schema
    ? { ...fault, seen: "pgstream schema_log table does not exist in the configured postgres database" }
    : fault
  return [
    finding({ area: "init", part: "schema" }, schema),
    finding({ area: "init", part: "migration" }, migrations)
  ]
}

/** Less than a tenth of the limit is left: the slot is lost soon. */
const atRisk = (facts: Probe.Facts): Fault | undefined => {
  const { slot, slotWalLimitBytes } = facts
  if (slot === undefined || slotWalLimitBytes === undefined || slot.walStatus === "lost") return undefined
  const left = slot.safeWalBytes ?? slotWalLimitBytes
  return slot.walStatus !== "unreserved" && left > slotWalLimitBytes / 10
    ? undefined
    : {
        code: "SlotAtRisk",
        exitCode: 1,
        seen: `the slot may be lost: ${Math.max(0, Math.floor(left / 1_048_576))} MiB of WAL are left of max_slot_wal_keep_size (${Math.floor(slotWalLimitBytes / 1_048_576)} MB)`,
        mend: "Let pgstream run and catch up, or raise the limit:   ALTER SYSTEM SET max_slot_wal_keep_size = '…'; SELECT pg_reload_conf();"
      }
}

/** Held by something that does not call itself what our own connection would. */
const heldElsewhere = (parts: Parts, facts: Probe.Facts): Fault | undefined => {
  const holder = facts.slot?.holder
  if (facts.slot?.active !== true || holder === undefined) return undefined
  const target = PostgresUrl.parse(parts.settings.url)
  const ours = Result.isSuccess(target) ? (target.success.applicationName ?? "pgstream") : "pgstream"
  return holder.application.startsWith(ours)
    ? undefined
    : { ...Slot.inUse(parts.settings.slotName, facts.slot), exitCode: 1 }
}

const slotFindings = (parts: Parts, facts: Probe.Facts, stored: Lsn.Lsn): ReadonlyArray<Finding> => {
  const state = Slot.stateOf(parts.settings.slotName, facts, stored)
  const faults = [
    slotFault(parts.settings.slotName, state),
    state._tag === "usable" ? SetupFaults.pluginAllowed(facts, state.plugin) : undefined,
    atRisk(facts),
    heldElsewhere(parts, facts)
  ]
  return faults
    .filter((fault) => fault !== undefined)
    .map((fault) => finding({ area: "init", part: "slot" }, fault))
}

const sourceFindings = (facts: Probe.Facts): ReadonlyArray<Finding> =>
  [
    SetupFaults.standby(facts),
    SetupFaults.walLevel(facts),
    SetupFaults.replication(facts),
    SetupFaults.synchronous(facts)
  ]
    .filter((fault) => fault !== undefined)
    .map((fault) => finding({ area: "source" }, fault))

/** A superuser's `init` makes the triggers; without them changes of the schema are seen by a look at the catalog. */
const triggers = (facts: Probe.Facts, notes: Array<string>): ReadonlyArray<Finding> => {
  if (facts.eventTriggers === 2) return []
  if (!facts.superuser) {
    notes.push(
      "There are no event triggers: changes of the schema are seen by a look at the catalog, every 10 s. What an administrator can do about that:   pgstream init --print-sql"
    )
    return []
  }
  return [
    {
      area: "init",
      part: "schema",
      code: "TriggersMissing",
      summary: "the event triggers are missing or disabled",
      mend: "pgstream init"
    }
  ]
}

const since = (date: Date | undefined): string =>
  date === undefined ? "" : ` since ${date.toISOString().slice(0, 19)}Z`

/** Tables that are not followed as they should be. */
const tables = (
  parts: Parts,
  facts: Probe.Facts,
  notes: Array<string>
): Effect.Effect<ReadonlyArray<Finding>> =>
  Effect.gen(function*() {
    const place = { area: "init", part: "schema" } as const
    if (facts.publication === "listed" && facts.slot?.plugin === "pgoutput") {
      const state = yield* Publication.listedState(parts.source, facts.serverVersion)
      if (state.insertsOnly.length > 0)
        notes.push(
          `Published for INSERT and TRUNCATE only, for want of a replica identity: ${listOf(state.insertsOnly)}.`
        )
      return state.left.length === 0
        ? []
        : [
            {
              ...place,
              code: "TablesUncovered",
              summary: `tables that are not published: ${listOf(state.left)}`,
              mend: `Make role ${facts.role} their owner, or run pgstream init as a superuser.`
            }
          ]
    }
    const uncovered = yield* parts.tracker.uncovered
    return uncovered.length === 0
      ? []
      : [
          {
            ...place,
            code: "TablesUncovered",
            summary: `tables without a replica identity: ${listOf(uncovered.map((table) => `${table.schema}.${table.name}${since(table.since)}`))}`,
            mend: "The service gives them one when they are free; now:   pgstream init"
          }
        ]
  }).pipe(
    Effect.catch((error) =>
      Effect.succeed([
        {
          area: "init" as const,
          part: "schema" as const,
          code: error._tag === "SqlError" ? faultOf(error).code : "DatabaseError",
          summary: "which tables are followed could not be read",
          mend: "pgstream status"
        }
      ])
    )
  )

const report = (parts: Parts, facts: Probe.Facts): Effect.Effect<StatusReport, SqlError> =>
  Effect.gen(function*() {
    const seed = yield* Takeover.look(parts.source, facts)
    const notes: Array<string> = []
    const store = yield* storeFindings(parts, facts, notes)
    const there = yield* versions(parts.source, parts.source)
    const fault = schemaFault(facts, seed, { source: there.source, store: store.version })
    const ready = fault === undefined
    const findings = [
      ...sourceFindings(facts),
      ...schemaFindings(facts, fault),
      ...(ready ? triggers(facts, notes) : []),
      ...(ready ? yield* tables(parts, facts, notes) : []),
      ...slotFindings(parts, facts, store.position),
      ...store.findings
    ]
    return {
      schemaExists: facts.schema,
      schemaLogExists: facts.schemaLog,
      migrationVersion: seed._tag === "take" ? seed.version : there.source,
      migrationDirty: false,
      slotName: facts.slot === undefined ? "" : parts.settings.slotName,
      slotPlugin: facts.slot?.plugin ?? "",
      slotDatabase: facts.slot?.database ?? "",
      reachable: true,
      findings,
      notes
    }
  })

/** The server answers, and refuses to show schema `pgstream` to this role. */
const hidden = (parts: Parts, facts: Probe.Facts, error: SqlError): StatusReport => ({
  schemaExists: facts.schema,
  schemaLogExists: facts.schemaLog,
  migrationVersion: 0,
  migrationDirty: false,
  slotName: facts.slot === undefined ? "" : parts.settings.slotName,
  slotPlugin: facts.slot?.plugin ?? "",
  slotDatabase: facts.slot?.database ?? "",
  reachable: true,
  notes: [],
  findings: [
    ...sourceFindings(facts),
    finding(
      { area: "init", part: "schema" },
      faultOf(
        error,
        `GRANT USAGE ON SCHEMA pgstream TO "${facts.role}"; GRANT SELECT ON ALL TABLES IN SCHEMA pgstream TO "${facts.role}";`
      )
    ),
    ...slotFindings(parts, facts, Lsn.zero)
  ]
})

export const status = (parts: Parts): Effect.Effect<StatusReport> =>
  Effect.matchEffect(Probe.probe(parts.source, parts.settings.slotName), {
    onFailure: (error) => Effect.succeed(unreachable("", error)),
    onSuccess: (facts) =>
      Effect.catchTag(report(parts, facts), "SqlError", (error) =>
        Effect.succeed(hidden(parts, facts, error))
      )
  })
