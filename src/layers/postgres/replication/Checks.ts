/** What is checked before a stream starts, each failure with its code and what mends it. */
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import * as Lsn from "../../../domain/Lsn.ts"
import * as PostgresUrl from "../../../domain/PostgresUrl.ts"
import { literal } from "../../../domain/SqlText.ts"
import { type Plugin, SourceError } from "../../../services/ChangeSource.ts"
import { allowPlugin } from "./allowPlugin.ts"
import { identifySession, type System } from "./createSlot.ts"
import * as Session from "./Session.ts"
import { fromCause } from "./sourceErrors.ts"

export interface Checked {
  readonly system: System
  readonly plugin: Plugin
  /** What a session that streams must run first; the one that checked has run it. */
  readonly prepare: string | undefined
  /** `server_version_num`. */
  readonly serverVersion: number
  readonly confirmedFlush: Lsn.Lsn
  /** Names for pgoutput's `publication_names`. */
  readonly publications: ReadonlyArray<string>
  /** `wal_sender_timeout`, ms; 0: none. */
  readonly walSenderTimeoutMs: number
}

const WHO = "pgstream"

/** Of the publications of a database, those that a stream reads: `pgstream` for all tables, else all of ours. */
export const publicationsOf = (
  found: ReadonlyArray<{ readonly name: string; readonly allTables: boolean }>
): ReadonlyArray<string> => {
  const ours = found.filter(({ name }) => name === WHO || name.startsWith(`${WHO}_`))
  const all = ours.find(({ name, allTables }) => name === WHO && allTables)
  return all === undefined ? ours.map(({ name }) => name) : [all.name]
}

/** Does `synchronous_standby_names` take `applicationName` for a standby that commits wait for? */
export const isSynchronousStandby = (setting: string, applicationName: string): boolean => {
  const list = /\((.*)\)/s.exec(setting)?.[1] ?? setting
  return list
    .split(",")
    .map((name) =>
      name
        .trim()
        .replace(/^"(.*)"$/, "$1")
        .toLowerCase()
    )
    .some((name) => name === "*" || name === applicationName.toLowerCase())
}

const FACTS_SQL = `
  SELECT current_setting('server_version_num') AS version, current_setting('wal_level') AS wal_level,
    (SELECT setting::bigint FROM pg_settings WHERE name = 'wal_sender_timeout') AS wal_sender_timeout,
    current_setting('synchronous_standby_names') AS standbys, current_setting('application_name') AS application,
    current_database()::text AS database, current_user::text AS role`

const slotSql = (slotName: string) => `
  SELECT s.plugin::text, s.slot_type, s.database::text, s.confirmed_flush_lsn::text, s.wal_status, s.active_pid::text,
    a.application_name AS holder, to_char(a.backend_start AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS') AS since
  FROM pg_replication_slots s LEFT JOIN pg_stat_activity a ON a.pid = s.active_pid
  WHERE s.slot_name = ${literal(slotName)}`

const PUBLICATIONS_SQL =
  "SELECT pubname::text AS name, puballtables::text AS all_tables FROM pg_publication ORDER BY 1"

const fail = (slotName: string, code: string, seen: string, mend: string, permanent = true) =>
  new SourceError({ code, permanent, summary: `Cannot read replication slot "${slotName}": ${seen}`, mend })

const init = (slotName: string) => `pgstream init --replication-slot ${slotName}`

/** The slot itself: it exists, is logical, of this database, has its WAL, and nobody else reads it. */
const checkSlot = (
  slotName: string,
  database: string,
  slot: Session.Row | undefined
): SourceError | undefined => {
  if (slot === undefined) return slotMissing(slotName, database)
  if (slot["slot_type"] !== "logical")
    return fail(
      slotName,
      "SlotNotLogical",
      "it is a physical slot.",
      `Choose another name: ${init("<name>")}`
    )
  if (slot["database"] !== database) {
    return fail(
      slotName,
      "SlotOfOtherDatabase",
      `it belongs to database "${slot["database"]}", the URL names "${database}".`,
      "Put that database into the URL, or choose another slot: --replication-slot <name>"
    )
  }
  if (slot["wal_status"] === "lost") {
    return fail(
      slotName,
      "SlotInvalidated",
      "Postgres has removed WAL that it needs (max_slot_wal_keep_size).",
      `Changes in between are lost. Make it again: pgstream destroy --replication-slot ${slotName} && ${init(slotName)}`
    )
  }
  if (slot["plugin"] !== "pgoutput" && slot["plugin"] !== "wal2json") {
    return fail(
      slotName,
      "PluginUnknown",
      `its plugin is "${slot["plugin"]}"; pgstream reads pgoutput and wal2json.`,
      `Choose another name: ${init("<name>")}`
    )
  }
  if (slot["active_pid"] !== null) {
    return fail(
      slotName,
      "SlotInUse",
      `another process holds it: pid ${slot["active_pid"]}, application "${slot["holder"] ?? "unknown"}", since ${slot["since"] ?? "unknown"} UTC. Postgres lets one process read a slot at a time.`,
      "Stop that process, or use another slot: pgstream run --replication-slot other_slot",
      false
    )
  }
  return undefined
}

const checkServer = (slotName: string, facts: Session.Row): SourceError | undefined => {
  if (facts["wal_level"] !== "logical") {
    return fail(
      slotName,
      "WalLevel",
      `wal_level is ${facts["wal_level"]}.`,
      "ALTER SYSTEM SET wal_level = 'logical', then restart Postgres."
    )
  }
  if (isSynchronousStandby(facts["standbys"] ?? "", facts["application"] ?? WHO)) {
    return fail(
      slotName,
      "SynchronousStandby",
      `synchronous_standby_names (${facts["standbys"]}) would make this reader a synchronous standby: commits would wait for it.`,
      "Name the real standbys: ALTER SYSTEM SET synchronous_standby_names = '<their names>'; SELECT pg_reload_conf()"
    )
  }
  return undefined
}

const checkPositions = (
  slotName: string,
  from: Lsn.Lsn,
  confirmed: Lsn.Lsn,
  walEnd: Lsn.Lsn
): SourceError | undefined => {
  const ahead =
    confirmed > walEnd
      ? `its position ${Lsn.format(confirmed)}`
      : from > walEnd
        ? `the stored position ${Lsn.format(from)}`
        : undefined
  if (ahead === undefined) return undefined
  return fail(
    slotName,
    "PositionAheadOfWal",
    `${ahead} is ahead of the end of the WAL (${Lsn.format(walEnd)}). Whatever is committed until the WAL has passed it would be lost.`,
    `Make the slot again at today's position: ${init(slotName)}`
  )
}

/** Facts of the server and of the slot, checked but for who holds it. */
export const readSlot = Effect.fnUntraced(function*(session: Session.Session, slotName: string) {
  const ask = (sql: string) =>
    Session.query(session, sql).pipe(Effect.mapError((cause) => fromCause(session.target, cause)))
  const [facts] = yield* ask(FACTS_SQL)
  const [slot] = yield* ask(slotSql(slotName))
  const publications = publicationsOf(
    (yield* ask(PUBLICATIONS_SQL)).map((row) => ({
      name: row["name"] ?? "",
      allTables: row["all_tables"] === "true"
    }))
  )
  return { facts: facts ?? {}, slot, publications }
})

/** All that can be known before START_REPLICATION. `from`: the stored position, 0 for none. */
export const check = Effect.fnUntraced(function*(
  session: Session.Session,
  slotName: string,
  from: Lsn.Lsn
) {
  const system = yield* identifySession(session)
  const { facts, publications, slot } = yield* readSlot(session, slotName)
  const problem = checkServer(slotName, facts) ?? checkSlot(slotName, system.database, slot)
  if (problem !== undefined) return yield* problem
  const confirmed = Lsn.parse(slot?.["confirmed_flush_lsn"] ?? "")
  if (Result.isFailure(confirmed))
    return yield* fail(
      slotName,
      "SlotNotReady",
      "it has no position yet: it is still being made.",
      init(slotName),
      false
    )
  const ahead = checkPositions(slotName, from, confirmed.success, system.walEnd)
  if (ahead !== undefined) return yield* ahead
  const plugin: Plugin = slot?.["plugin"] === "wal2json" ? "wal2json" : "pgoutput"
  if (plugin === "pgoutput" && publications.length === 0)
    return yield* publicationMissing(slotName, session.target)
  const allowed = yield* allowPlugin(session, plugin)
  const checked: Checked = {
    system,
    plugin,
    prepare: allowed,
    publications,
    serverVersion: Number(facts["version"]),
    confirmedFlush: confirmed.success,
    walSenderTimeoutMs: Number(facts["wal_sender_timeout"])
  }
  return checked
})

export const slotMissing = (slotName: string, database: string): SourceError =>
  fail(slotName, "SlotMissing", `there is none of that name in database "${database}".`, init(slotName))

export const publicationMissing = (slotName: string, target: PostgresUrl.ConnectionTarget): SourceError =>
  fail(
    slotName,
    "PublicationMissing",
    `its publication does not exist at this place of the WAL of ${PostgresUrl.describe(target)}. A publication must be there before its slot.`,
    `Nothing was acknowledged. Make both again: pgstream destroy --replication-slot ${slotName} && ${init(slotName)}`
  )
