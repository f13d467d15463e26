/**
 * What the source database is and holds, read without changing or locking anything of the
 * user's. `init`, `destroy`, `status` and `check` decide from this alone.
 */
import type { PgClient } from "@effect/sql-pg"
import * as Effect from "effect/Effect"
import type { SqlError } from "effect/sql/SqlError"
import { isSynchronousStandby } from "../replication/Checks.ts"

/** Name of the publication `FOR ALL TABLES`. Never changed after it was made. */
export const PUBLICATION = "pgstream"

export interface SlotFacts {
  readonly plugin: string
  readonly logical: boolean
  /** Empty for a physical slot. */
  readonly database: string
  readonly active: boolean
  /** `reserved`, `extended`, `unreserved`, `lost`; empty where the slot has no restart position. */
  readonly walStatus: string
  readonly confirmed: string
  /** Confirmed position beyond the end of the WAL: what is committed below it would be skipped. */
  readonly ahead: boolean
  /** WAL that may be written before the slot is lost, bytes; `undefined` = without limit. */
  readonly safeWalBytes: number | undefined
  readonly holder:
    | {
        readonly pid: number
        readonly application: string
        readonly user: string
        readonly client: string
        readonly since: string
      }
    | undefined
  /** Since when nobody reads it; empty before Postgres 17. */
  readonly inactiveSince: string
}

export interface Facts {
  readonly database: string
  readonly databaseOid: string
  readonly systemIdentifier: string
  readonly serverVersion: number
  readonly inRecovery: boolean
  readonly walLevel: string
  readonly walEnd: string
  readonly role: string
  readonly superuser: boolean
  /** REPLICATION, superuser, or a provider's role that stands for it. */
  readonly mayReplicate: boolean
  readonly mayCreateSchema: boolean
  /** `max_slot_wal_keep_size`, bytes; `undefined` = without limit. */
  readonly slotWalLimitBytes: number | undefined
  readonly slotsUsed: number
  readonly slotsMax: number
  readonly slot: SlotFacts | undefined
  /** Slots of this database, this one included. */
  readonly slotsHere: ReadonlyArray<string>
  readonly schema: boolean
  readonly schemaLog: boolean
  readonly seedMigrations: boolean
  readonly sourceMigrations: boolean
  readonly storeMigrations: boolean
  readonly subscriptions: boolean
  readonly eventTriggers: number
  /** A stream of this server and database is registered (`pgstream.streams`): an `init` here has ended well. */
  readonly registered: boolean
  /** `all`: FOR ALL TABLES. `listed`: any of our listed publications. */
  readonly publication: "all" | "listed" | "none"
  /** `output_plugin_libraries`; `undefined` where the server does not have it or the role may not read it. */
  readonly pluginLibraries: ReadonlyArray<string> | undefined
  /** Our walsender is, or would be, a synchronous standby: the user's COMMIT waits for us. */
  readonly synchronous: boolean
}

interface Row {
  readonly facts: Omit<Facts, "slot" | "pluginLibraries" | "slotWalLimitBytes" | "registered"> & {
    readonly slotWalLimitMb: number
    readonly libraries: string | null
    readonly application: string
    readonly standbyNames: string
    readonly streams: boolean
  }
  readonly slot:
    | (Omit<SlotFacts, "holder" | "safeWalBytes"> & {
        readonly safe: string | null
        readonly holder: SlotFacts["holder"] | null
      })
    | null
}

/** Library names, without directory, quotes and spaces. */
const librariesOf = (setting: string): ReadonlyArray<string> =>
  setting
    .split(",")
    .map((name) => name.trim().replace(/^"|"$/g, "").replace(/^.*\//, ""))
    .filter((name) => name !== "")

export const probe = (sql: PgClient.PgClient, slotName: string): Effect.Effect<Facts, SqlError> =>
  Effect.gen(function*() {
    const [row] = yield* sql<Row>`
      WITH wal AS (
        SELECT pg_is_in_recovery() AS standby,
          CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn() ELSE pg_current_wal_lsn() END AS at
      )
      SELECT jsonb_build_object(
        'database', current_database(),
        'databaseOid', (SELECT oid::text FROM pg_database WHERE datname = current_database()),
        'systemIdentifier', (SELECT system_identifier::text FROM pg_control_system()),
        'serverVersion', current_setting('server_version_num')::int,
        'inRecovery', wal.standby, 'walLevel', current_setting('wal_level'), 'walEnd', wal.at::text,
        'role', current_user, 'superuser', r.rolsuper,
        'mayReplicate', r.rolsuper OR r.rolreplication OR EXISTS (
          SELECT FROM pg_roles p WHERE p.rolname IN ('rds_replication', 'rds_superuser') AND pg_has_role(p.oid, 'member')),
        'mayCreateSchema', has_database_privilege(current_database(), 'CREATE'),
        'slotWalLimitMb', (SELECT setting::int FROM pg_settings WHERE name = 'max_slot_wal_keep_size'),
        'slotsUsed', (SELECT count(*) FROM pg_replication_slots), 'slotsMax', current_setting('max_replication_slots')::int,
        'slotsHere', coalesce((SELECT jsonb_agg(s.slot_name) FROM pg_replication_slots s WHERE s.database = current_database()), '[]'),
        'schema', EXISTS (SELECT FROM pg_namespace WHERE nspname = 'pgstream'),
        'schemaLog', c.names ? 'schema_log', 'seedMigrations', c.names ? 'schema_migrations',
        'sourceMigrations', c.names ? 'migrations_source', 'storeMigrations', c.names ? 'migrations_store',
        'streams', CASE WHEN NOT c.names ? 'streams' THEN false WHEN has_schema_privilege('pgstream', 'USAGE')
          THEN has_table_privilege('pgstream.streams', 'SELECT') ELSE false END,
        'subscriptions', c.names ? 'webhook_subscriptions',
        'eventTriggers', (SELECT count(*) FROM pg_event_trigger e WHERE e.evtname IN ('pgstream_ddl', 'pgstream_drop') AND e.evtenabled <> 'D'),
        'publication', coalesce((SELECT CASE WHEN bool_or(p.puballtables AND p.pubname = ${PUBLICATION}) THEN 'all' ELSE 'listed' END
          FROM pg_publication p WHERE p.pubname IN (${PUBLICATION}, ${`${PUBLICATION}_inserts`}) HAVING count(*) > 0), 'none'),
        'libraries', CASE WHEN pg_has_role('pg_read_all_settings', 'member') THEN current_setting('output_plugin_libraries', true) END,
        'application', current_setting('application_name'), 'standbyNames', current_setting('synchronous_standby_names'),
        'synchronous', EXISTS (SELECT FROM pg_stat_replication w JOIN pg_replication_slots s ON s.active_pid = w.pid
          WHERE s.slot_name = ${slotName} AND w.sync_state IN ('sync', 'quorum'))
      ) AS facts,
      (SELECT jsonb_build_object(
        'plugin', coalesce(s.plugin, ''), 'logical', s.slot_type = 'logical', 'database', coalesce(s.database, ''), 'active', s.active,
        'walStatus', coalesce(s.wal_status, ''), 'confirmed', coalesce(s.confirmed_flush_lsn::text, ''),
        'ahead', coalesce(s.confirmed_flush_lsn > wal.at, false), 'safe', s.safe_wal_size::text,
        'inactiveSince', coalesce(to_jsonb(s) ->> 'inactive_since', ''),
        'holder', CASE WHEN s.active_pid IS NOT NULL THEN jsonb_build_object('pid', s.active_pid, 'application', coalesce(a.application_name, ''),
          'user', coalesce(a.usename, ''), 'client', coalesce(host(a.client_addr), 'local'), 'since', coalesce(to_char(a.backend_start, 'YYYY-MM-DD HH24:MI:SS TZ'), 'unknown')) END)
        FROM pg_replication_slots s LEFT JOIN pg_stat_activity a ON a.pid = s.active_pid WHERE s.slot_name = ${slotName}) AS slot
      FROM wal, pg_roles r, (SELECT coalesce(jsonb_agg(k.relname), '[]') AS names FROM pg_class k JOIN pg_namespace n ON n.oid = k.relnamespace
        WHERE n.nspname = 'pgstream' AND k.relkind IN ('r', 'p')) c
      WHERE r.rolname = current_user`
    const { libraries, slotWalLimitMb, application, standbyNames, ...facts } = row!.facts
    const slot = row!.slot
    const registered =
      facts.streams &&
      (yield* sql`
      SELECT 1 FROM pgstream.streams WHERE system_identifier = ${facts.systemIdentifier} AND database_oid = ${facts.databaseOid}::text::bigint LIMIT 1`)
        .length > 0
    return {
      ...facts,
      registered,
      synchronous: facts.synchronous || isSynchronousStandby(standbyNames, application),
      slotWalLimitBytes: slotWalLimitMb < 0 ? undefined : slotWalLimitMb * 1024 * 1024,
      pluginLibraries: libraries === null ? undefined : librariesOf(libraries),
      slot:
        slot === null
          ? undefined
          : {
              plugin: slot.plugin,
              logical: slot.logical,
              database: slot.database,
              active: slot.active,
              walStatus: slot.walStatus,
              confirmed: slot.confirmed,
              ahead: slot.ahead,
              inactiveSince: slot.inactiveSince,
              safeWalBytes: slot.safe === null ? undefined : Number(slot.safe),
              holder: slot.holder ?? undefined
            }
    }
  })
