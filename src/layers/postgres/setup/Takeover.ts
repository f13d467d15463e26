/**
 * The database of the system that we replace (golden/SCHEMA.md), taken over in place: ids, versions, subscriptions,
 * slot and plugin are kept (DESIGN.md "Takeover"; docs/migrating.md says it to its users).
 */
import type { PgClient } from "@effect/sql-pg"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import type { SqlError } from "effect/sql/SqlError"
import * as WebhookUrl from "../../../domain/WebhookUrl.ts"
import type { Facts } from "./Probe.ts"
import type { Fault } from "./SetupErrors.ts"
import * as Slot from "./Slot.ts"

/** Migrations of the old program that are known: the tutorial's, and the last with a schema log. */
const FIRST = 7
const LAST = 8
/** Rows with a bad URL that are named one by one. */
const LISTED = 20

/** none: not its database, or taken over already · ours to take · refused: with the way that works. */
export type Seed =
  | { readonly _tag: "none" }
  | { readonly _tag: "take"; readonly version: number }
  | { readonly _tag: "refused"; readonly fault: Fault }

const WAY =
  "Keep the subscriptions, let the old program remove the rest, then begin anew (docs/migrating.md):   " +
  "CREATE TABLE public.kept AS TABLE pgstream.webhook_subscriptions;   old `pgstream destroy`;   `pgstream init`;   " +
  "INSERT INTO pgstream.webhook_subscriptions (url, schema_name, table_name, event_types) SELECT url, schema_name, table_name, event_types FROM public.kept"

const refused = (code: string, seen: string, mend: string): Seed => ({
  _tag: "refused",
  fault: { code, exitCode: 4, seen, mend }
})

/** Reads the old program's version, where its migrations table is; taken over = a stream of ours is registered. */
export const look = (sql: PgClient.PgClient, facts: Facts): Effect.Effect<Seed, SqlError> =>
  Effect.gen(function*() {
    if (!facts.seedMigrations || facts.registered) return { _tag: "none" } as const
    const [row] = yield* sql<{ readonly version: number | null; readonly dirty: boolean | null }>`
      SELECT max(version)::int AS version, bool_or(dirty) AS dirty FROM pgstream.schema_migrations`
    const version = row?.version ?? 0
    if (!facts.schemaLog || version > LAST) {
      return refused(
        "TakeoverUnknownVersion",
        `schema pgstream belongs to another program (migration ${version}${facts.schemaLog ? "" : ", without schema_log"}), newer than what can be taken over in place (${FIRST} and ${LAST})`,
        WAY
      )
    }
    if (row?.dirty === true) {
      return refused(
        "TakeoverUnfinished",
        `a migration of the old program was left half done (version ${version}, dirty)`,
        "Finish it with the old program first:   old `pgstream init`"
      )
    }
    if (version < FIRST) {
      return refused(
        "TakeoverUnfinished",
        `the old program's schema is at migration ${version}; ${FIRST} and ${LAST} can be taken over`,
        "Bring it up to date with the old program first:   old `pgstream init`"
      )
    }
    return { _tag: "take", version } as const
  })

/** Before anything is changed: the old process must be gone. */
export const holder = (slotName: string, facts: Facts): Fault | undefined =>
  facts.slot?.active === true ? Slot.inUse(slotName, facts.slot) : undefined

/** Always said: that position is computed, and skips committed rows without being ahead of the WAL. */
export const positionNote = (slotName: string, facts: Facts): string => {
  const slot = facts.slot
  if (slot === undefined) {
    return `The old program's slot ${slotName} is not here: what was committed since it was dropped is not delivered.`
  }
  const until = slot.inactiveSince === "" ? "it stopped" : `it stopped (${slot.inactiveSince})`
  return (
    `The old program's position (${slot.confirmed}) is not to be trusted: it acknowledges more than it has read, so rows committed shortly before ${until} may never have been sent. ` +
    `The stream goes on from ${slot.confirmed}; the WAL ends at ${facts.walEnd}. Compare the tables that matter with what their receivers have, or send their rows again:   pgstream snapshot --tables schema.table`
  )
}

export const endpointsNote = (endpoints: number): string | undefined =>
  endpoints === 0
    ? undefined
    : `${endpoints} endpoint${endpoints === 1 ? "" : "s"} taken over with the old order: one request at a time (order total), so each waits a round trip an event. ` +
      "A receiver that does not need parents before children is faster with:   pgstream subscriptions update URL --order key --concurrency default"

/** Endpoints that were taken over and still have the old order. */
export const inTotalOrder = (store: PgClient.PgClient): Effect.Effect<number, SqlError> =>
  Effect.map(
    store<{
      readonly n: number
    }>`SELECT count(*)::int AS n FROM pgstream.webhook_endpoints WHERE order_mode = 'total' AND seed IS NOT NULL`,
    ([row]) => row?.n ?? 0
  )

interface Row {
  readonly url: string
  readonly schema_name: string
  readonly table_name: string
}

/** Rows that nothing can be sent for: they stay, and are named without what may be a password. */
export const badUrls = (store: PgClient.PgClient): Effect.Effect<ReadonlyArray<string>, SqlError> =>
  Effect.map(
    store<Row>`SELECT url, schema_name, table_name FROM pgstream.webhook_subscriptions ORDER BY 1, 2, 3`,
    (rows) => {
      const bad = rows.flatMap((row) => {
        const target = WebhookUrl.parse(row.url)
        return Result.isSuccess(target)
          ? []
          : [
              `schema "${row.schema_name}", table "${row.table_name}", ${WebhookUrl.describe(row.url)}: ${target.failure.problem}`
            ]
      })
      return bad.length <= LISTED ? bad : [...bad.slice(0, LISTED), `and ${bad.length - LISTED} more`]
    }
  )
