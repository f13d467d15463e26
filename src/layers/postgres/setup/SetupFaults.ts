/** What the server and the role have to be for a stream, decided from `Facts` alone. */
import { identifier } from "../../../domain/SqlText.ts"
import type { Plugin } from "../../../services/ChangeSource.ts"
import type { Facts } from "./Probe.ts"
import type { Fault } from "./SetupErrors.ts"

const fault = (code: string, seen: string, mend: string): Fault => ({ code, exitCode: 4, seen, mend })

export const walLevel = (facts: Facts): Fault | undefined =>
  facts.walLevel === "logical"
    ? undefined
    : fault(
        "WalLevel",
        `wal_level is ${facts.walLevel}, and a logical slot needs logical`,
        "Set it and restart Postgres:   ALTER SYSTEM SET wal_level = 'logical';"
      )

export const standby = (facts: Facts): Fault | undefined =>
  facts.inRecovery
    ? fault("Standby", "this server is a standby: nothing can be made here", "Give the URL of the primary.")
    : undefined

export const pluginAllowed = (facts: Facts, plugin: Plugin): Fault | undefined =>
  plugin === "pgoutput" ||
  facts.superuser ||
  facts.pluginLibraries === undefined ||
  facts.pluginLibraries.includes(plugin)
    ? undefined
    : fault(
        "PluginNotAllowed",
        `the server may not load ${plugin} (output_plugin_libraries is ${facts.pluginLibraries.join(", ")})`,
        `As an administrator:   ALTER SYSTEM SET output_plugin_libraries = ${[...facts.pluginLibraries, plugin].map((name) => `'${name}'`).join(", ")}; SELECT pg_reload_conf();   or use a slot with --plugin pgoutput`
      )

export const replication = (facts: Facts): Fault | undefined =>
  facts.mayReplicate
    ? undefined
    : fault(
        "NoPrivilege",
        `role ${facts.role} may not replicate`,
        `As an administrator:   ALTER ROLE ${identifier(facts.role)} REPLICATION;   (RDS: GRANT rds_replication TO ${identifier(facts.role)};)   All that this role lacks:   pgstream init --print-sql`
      )

export const createSchema = (facts: Facts): Fault | undefined =>
  facts.schema || facts.mayCreateSchema
    ? undefined
    : fault(
        "NoPrivilege",
        `role ${facts.role} may not create schema pgstream`,
        `As an administrator:   GRANT CREATE ON DATABASE ${identifier(facts.database)} TO ${identifier(facts.role)};   All that this role lacks:   pgstream init --print-sql`
      )

const room = (facts: Facts): Fault | undefined =>
  facts.slot !== undefined || facts.slotsUsed < facts.slotsMax
    ? undefined
    : fault(
        "TooManySlots",
        `all ${facts.slotsMax} replication slots of the server are in use`,
        "Drop one that nobody reads (SELECT * FROM pg_replication_slots), or:   ALTER SYSTEM SET max_replication_slots = 20;   and restart Postgres."
      )

/** The first one that stands in the way of `init`. */
export const beforeInit = (facts: Facts, plugin: Plugin): Fault | undefined =>
  standby(facts) ??
  walLevel(facts) ??
  replication(facts) ??
  createSchema(facts) ??
  pluginAllowed(facts, plugin) ??
  room(facts)

export const synchronous = (facts: Facts): Fault | undefined =>
  facts.synchronous
    ? fault(
        "SynchronousStandby",
        "the connection of pgstream counts as a synchronous standby: COMMIT of every session waits for it",
        "Name the real standbys only (not '*'):   ALTER SYSTEM SET synchronous_standby_names = '…'; SELECT pg_reload_conf();"
      )
    : undefined
