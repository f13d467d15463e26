/** Identities, then the publication: never a published table whose UPDATE would fail. */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import type { TableName } from "../../../services/DdlTracker.ts"
import type { SetupError } from "../../../services/Setup.ts"
import type { TriggersState } from "../schema/MigrationsSource.ts"
import * as Publication from "./Publication.ts"
import { failure, fromSql } from "./SetupErrors.ts"
import type { Progress } from "./SetupInit.ts"

const PAUSE_MS = 500
const NAMED = 20

export const listOf = (names: ReadonlyArray<string>): string =>
  names.length <= NAMED
    ? names.join(", ")
    : `${names.slice(0, NAMED).join(", ")} and ${names.length - NAMED} more`

const listed = (tables: ReadonlyArray<TableName>): string =>
  listOf(tables.map((table) => `${table.schema}.${table.name}`))

/** Again and again, each attempt with short locks, until none is locked or the wait is over. Answers tables that are not ours to change. */
const identities = ({ parts, options }: Progress): Effect.Effect<ReadonlyArray<TableName>, SetupError> =>
  Effect.gen(function*() {
    const deadline = (yield* Clock.currentTimeMillis) + options.waitMs
    let told = false
    for (;;) {
      const report = yield* parts.tracker.ensureIdentities.pipe(
        Effect.mapError((error) =>
          failure("DatabaseError", 1, "Cannot give tables without a key a replica identity.", "", error)
        )
      )
      const locked = report.failed.filter((table) => table.reason === "locked")
      if (locked.length === 0) return report.failed
      if (!told) options.progress(`Waiting for tables that are in use: ${listed(locked)}`)
      told = true
      if ((yield* Clock.currentTimeMillis) >= deadline) {
        return yield* failure(
          "TablesLocked",
          1,
          `Cannot give tables without a key a replica identity: in use for ${Math.round(options.waitMs / 1000)} s: ${listed(locked)}.`,
          "End the sessions that hold them (SELECT * FROM pg_locks WHERE relation = 'schema.table'::regclass), or wait longer:   pgstream init --wait 30m"
        )
      }
      yield* Effect.sleep(PAUSE_MS)
    }
  })

const grants = (progress: Progress): string =>
  `CREATE PUBLICATION needs CREATE on database ${progress.facts.database} and ownership of the tables. What an administrator has to run:   pgstream init --print-sql`

const listedPublication = (progress: Progress, why: string): Effect.Effect<void, SetupError> =>
  Effect.gen(function*() {
    const {
      parts: { source },
      facts,
      notes,
      undo
    } = progress
    undo.push({ what: "the publications", run: Publication.drop(source) })
    const made = yield* Publication.createListed(source, facts.serverVersion)
    notes.push(
      `${why}: the publications list ${made.added} table${made.added === 1 ? "" : "s"}; new ones are added when the service has seen them, and SET UNLOGGED of a listed table is refused by Postgres.`
    )
    if (made.insertsOnly.length > 0)
      notes.push(
        `Published for INSERT and TRUNCATE only, for want of a replica identity: ${listOf(made.insertsOnly)}.`
      )
    if (made.later.length > 0)
      notes.push(`In use, and published as soon as they are free: ${listOf(made.later)}.`)
    if (made.left.length > 0)
      notes.push(
        `Not published, because role ${facts.role} does not own them: ${listOf(made.left)}. ${grants(progress)}`
      )
  }).pipe(Effect.mapError(fromSql("make the publications", grants(progress))))

/** Why not FOR ALL TABLES; `undefined`: it can be. */
const reason = (
  progress: Progress,
  triggers: TriggersState,
  notOwned: ReadonlyArray<TableName>,
  helpless: ReadonlyArray<string>
): string | undefined => {
  if (progress.options.keepIdentities) return "Identities are left alone (--keep-identities)"
  if (triggers === "notAllowed")
    return `Role ${progress.facts.role} may make no event triggers, so new tables are found by a look at the catalog`
  if (triggers === "notSafe") return "There are no event triggers, so new tables are found by a look at the catalog"
  if (notOwned.length > 0)
    return `Tables without a key that role ${progress.facts.role} does not own: ${listed(notOwned)}`
  if (helpless.length > 0)
    return `No replica identity helps tables without a key and with a virtual generated column: ${listOf(helpless)}`
  return undefined
}

const publication = (
  progress: Progress,
  triggers: TriggersState,
  notOwned: ReadonlyArray<TableName>
): Effect.Effect<void, SetupError> =>
  Effect.gen(function*() {
    const {
      parts: { source },
      facts,
      undo
    } = progress
    const couldNot = fromSql("make the publication", grants(progress))
    if (facts.publication === "listed") {
      yield* Effect.mapError(Publication.refreshListed(source, facts.serverVersion), couldNot)
      return
    }
    if (facts.publication === "all") return
    const helpless = yield* Effect.mapError(Publication.withoutHelp(source, facts.serverVersion), couldNot)
    const why = reason(progress, triggers, notOwned, helpless)
    if (why !== undefined) return yield* listedPublication(progress, why)
    const made = yield* Effect.result(Publication.createForAll(source, facts.serverVersion))
    if (made._tag === "Success") {
      undo.push({ what: "the publication", run: Publication.drop(source) })
      return
    }
    if (made.failure.reason._tag !== "AuthorizationError") return yield* couldNot(made.failure)
    yield* listedPublication(progress, `Role ${facts.role} may not make a publication of all tables`)
  })

export const cover = (progress: Progress, triggers: TriggersState): Effect.Effect<void, SetupError> =>
  Effect.gen(function*() {
    const { parts, options, facts, plugin, notes, undo } = progress
    let notOwned: ReadonlyArray<TableName> = []
    if (!options.keepIdentities) {
      if (!facts.sourceMigrations) {
        undo.push({ what: "replica identities", run: parts.tracker.restoreIdentities })
      }
      notOwned = yield* identities(progress)
    }
    if (triggers === "notAllowed") {
      notes.push(
        `Role ${facts.role} may make no event triggers: changes of the schema are seen by a look at the catalog, every 10 s. What an administrator can do about that:   pgstream init --print-sql`
      )
    }
    if (triggers === "notSafe") {
      notes.push(
        "Schema pgstream belongs to a role that is no superuser, which could replace the functions of event triggers, so none are made: changes of the schema are seen by a look at the catalog, every 10 s. For more, begin anew:   pgstream destroy   and   pgstream init   as a superuser."
      )
    }
    if (plugin === "pgoutput") yield* publication(progress, triggers, notOwned)
    else if (notOwned.length > 0)
      notes.push(
        `UPDATE and DELETE come without old values from tables without a key that role ${facts.role} does not own: ${listed(notOwned)}`
      )
  })
