/**
 * `init --print-sql`: what an administrator has to run so that our role may do the rest, with the smallest set of
 * GRANTs for each role (DESIGN.md "Without superuser"). Reads, changes nothing; says only what is missing.
 *
 * - *All tables* (a superuser runs it): schema, event triggers, identities, one publication FOR ALL TABLES. They belong
 *   to the superuser: whoever could replace a function of an event trigger would run code as every user. Our role gets
 *   rows of our own tables, and two functions that change the replica identity of a table, run as their owner.
 * - *Listed*: no superuser at hand, or one publication cannot be. Our role makes schema and publications itself; it has
 *   to be a member of the roles that own the tables.
 */
import * as Effect from "effect/Effect"
import type { SqlError } from "effect/sql/SqlError"
import { identifier } from "../../../domain/SqlText.ts"
import type { PrintOptions, SetupError } from "../../../services/Setup.ts"
import * as Probe from "./Probe.ts"
import { fromSql } from "./SetupErrors.ts"
import type { Parts } from "./SetupParts.ts"
import * as Publication from "./Publication.ts"
import * as PrintAll from "./SetupPrintAll.ts"

interface Owners {
  /** Roles that own tables, and that ours is no member of. Superusers apart: a member could become one. */
  readonly roles: ReadonlyArray<string>
  readonly superusers: ReadonlyArray<string>
  /** Of schema `pgstream`; empty: there is none. */
  readonly schema: string
  readonly schemaBySuperuser: boolean
}

const owners = (parts: Parts): Effect.Effect<Owners, SqlError> =>
  Effect.map(
    parts.source<Owners>`
      WITH o AS (SELECT DISTINCT r.rolname, r.rolsuper FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace JOIN pg_roles r ON r.oid = c.relowner
        WHERE c.relkind IN ('r', 'p') AND c.relpersistence = 'p' AND c.oid >= 16384 AND n.nspname NOT IN ('pgstream', 'pg_catalog', 'information_schema')
          AND NOT pg_has_role(c.relowner, 'USAGE')),
      s AS (SELECT r.rolname, r.rolsuper FROM pg_namespace n JOIN pg_roles r ON r.oid = n.nspowner WHERE n.nspname = 'pgstream')
      SELECT coalesce((SELECT jsonb_agg(rolname ORDER BY rolname) FROM o WHERE NOT rolsuper), '[]') AS roles,
        coalesce((SELECT jsonb_agg(rolname ORDER BY rolname) FROM o WHERE rolsuper), '[]') AS superusers,
        coalesce((SELECT rolname FROM s), '') AS schema, coalesce((SELECT rolsuper FROM s), false) AS "schemaBySuperuser"`,
    ([row]) => row!
  )

const roleSql = (facts: Probe.Facts): ReadonlyArray<string> =>
  facts.mayReplicate
    ? []
    : [`ALTER ROLE ${identifier(facts.role)} REPLICATION;   -- RDS: GRANT rds_replication TO ${identifier(facts.role)};`]

const listed = (facts: Probe.Facts, found: Owners): ReadonlyArray<string> => [
  ...roleSql(facts),
  ...facts.mayCreateSchema ? [] : [`GRANT CREATE ON DATABASE ${identifier(facts.database)} TO ${identifier(facts.role)};`],
  ...found.roles.map((owner) => `GRANT ${identifier(owner)} TO ${identifier(facts.role)};`),
  ...found.superusers.map((owner) =>
    `-- Tables of superuser ${identifier(owner)} stay uncovered until they have another owner: ALTER TABLE … OWNER TO …`)
]

const asComment = (line: string): string => line.startsWith("--") ? line : `-- ${line}`

/** Why there can be no single publication of all tables; `undefined`: there can be. */
const whyListed = (found: Owners, options: PrintOptions, helpless: ReadonlyArray<string>) => {
  if (options.keepIdentities) return "Identities are left alone (--keep-identities), so the publications list the tables."
  if (found.schema !== "" && !found.schemaBySuperuser) {
    return `Schema pgstream belongs to role ${found.schema}, so event triggers must not call its functions. For all tables begin anew: pgstream destroy, then this again.`
  }
  if (helpless.length > 0) return `No replica identity helps ${helpless.join(", ")}, so the publications list the tables.`
  return undefined
}

/** Roles that work with our tables: the source's, and the store's where that is the same database. */
const rolesOf = (parts: Parts, facts: Probe.Facts): Effect.Effect<ReadonlyArray<string>, SqlError> =>
  parts.storeInSource
    ? Effect.map(
        parts.store<{ readonly role: string }>`SELECT current_user AS role`,
        ([row]) => [...new Set([facts.role, row?.role ?? facts.role])]
      )
    : Effect.succeed([facts.role])

const header = (facts: Probe.Facts, how: string): ReadonlyArray<string> => [
  `-- pgstream init --print-sql: database ${facts.database}, for role ${facts.role}.`,
  `-- ${how}`
]

const text = (parts: Parts, options: PrintOptions) =>
  Effect.gen(function*() {
    const { source } = parts
    const facts = yield* Probe.probe(source, parts.settings.slotName)
    if (facts.superuser) {
      return header(facts, "A superuser: pgstream init needs nothing more. For another role, give its URL (--postgres-url).")
    }
    const found = yield* owners(parts)
    const why = whyListed(found, options, yield* Publication.withoutHelp(source, facts.serverVersion))
    const listing = listed(facts, found)
    if (why !== undefined) {
      const first = header(facts, why)
      return listing.length === 0
        ? [...first, "-- Nothing is missing:   pgstream init"]
        : [...first, "-- As an administrator; then, with this role:   pgstream init", "", ...listing]
    }
    const all = yield* PrintAll.statements(parts, facts, options, yield* rolesOf(parts, facts))
    const lines = [...roleSql(facts), ...all]
    if (lines.length === 0) return header(facts, "Nothing is missing:   pgstream init")
    return [
      ...header(facts, `As a superuser:   psql -X -v ON_ERROR_STOP=1 -d ${facts.database} -f THIS_FILE   then, with this role:   pgstream init`),
      "-- If it stops in the middle, print it again: what was done is left out.",
      "", ...lines, "",
      "-- Where there is no superuser (RDS, Cloud SQL, …), these instead. The publications then list the tables that exist,",
      "-- and new ones are found by a look at the catalog every 10 s (docs/errors.md, NoPrivilege):",
      ...listing.map(asComment)
    ]
  })

const elsewhere = [
  "",
  "-- The store is another database. Its role needs there, for pgstream init:   GRANT CREATE ON DATABASE … TO …;"
]

export const print = (parts: Parts, options: PrintOptions): Effect.Effect<string, SetupError> =>
  text(parts, options).pipe(
    Effect.mapError(fromSql("read what an administrator would have to run")),
    Effect.map((lines) => [...lines, ...parts.storeInSource ? [] : elsewhere].join("\n"))
  )
