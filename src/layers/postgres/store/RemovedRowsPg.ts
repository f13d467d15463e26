/**
 * Which subscriptions are gone from `pgstream.webhook_subscriptions`. The stream has a row a moment before other
 * sessions see it, for as long as its commit waits for a synchronous standby: absent is not yet gone.
 */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as SqlClient from "effect/sql/SqlClient"
import type { SqlError } from "effect/sql/SqlError"
import type { SubscriptionId } from "../../../domain/Subscription.ts"
import { RemovedRows } from "../../../services/RemovedRows.ts"
import { StoreSettings } from "../../../services/Settings.ts"
import { StoreSql } from "../Sql.ts"
import { whileAway, withoutValues } from "./StoreRetry.ts"

/** Looks at a transaction that has not ended yet, and the pause between two. */
const LOOKS = 10
const BETWEEN = "50 millis"

const absent = (sql: SqlClient.SqlClient, ids: ReadonlyArray<SubscriptionId>) =>
  Effect.map(
    sql<{ readonly id: string }>`
      SELECT u.id FROM unnest(${ids}::text[]) AS u(id)
      WHERE NOT EXISTS (SELECT FROM pgstream.webhook_subscriptions s WHERE s.id = u.id::uuid)`,
    (rows) => rows.map((row) => row.id)
  )

/** A transaction holds this lock until what it wrote is visible. `xid` 0: all that run and have an id. */
const running = (sql: SqlClient.SqlClient, xid: number) =>
  Effect.map(
    sql<{ readonly xid: string }>`
      SELECT transactionid::text AS xid FROM pg_locks
      WHERE locktype = 'transactionid' AND mode = 'ExclusiveLock' AND granted
        ${xid === 0 ? sql.literal("") : sql`AND transactionid::text = ${String(xid)}`}`,
    (rows) => new Set(rows.map((row) => row.xid))
  )

/** Nobody waits for a standby: then what is committed is visible. Sessions of others show it to pg_read_all_stats only. */
const nobodyWaits = (sql: SqlClient.SqlClient) =>
  Effect.map(
    sql<{ readonly none: boolean }>`
      SELECT pg_has_role('pg_read_all_stats', 'USAGE') AND NOT EXISTS (
        SELECT FROM pg_stat_activity WHERE datname = current_database() AND wait_event = 'SyncRep') AS none`,
    (rows) => rows[0]?.none === true
  )

const gone = (sql: SqlClient.SqlClient, ids: ReadonlyArray<SubscriptionId>, xid: number) =>
  Effect.gen(function*() {
    if (ids.length === 0 || (yield* absent(sql, ids)).length === 0) return []
    const before = yield* running(sql, xid)
    for (let looks = 0; ; looks++) {
      const now = yield* running(sql, xid)
      const ended = ![...before].some((id) => now.has(id))
      if (ended || (looks >= LOOKS && xid === 0 && (yield* nobodyWaits(sql)))) return yield* absent(sql, ids)
      if (looks >= LOOKS && xid === 0) return []
      yield* Effect.sleep(BETWEEN)
    }
  })

/** An answer that refuses something (a right that is missing) leaves the rows in force: the stream says what went. */
const unknown = (error: SqlError) =>
  Effect.as(
    Effect.logWarning("Cannot see which subscriptions were removed; the stream will say it.", withoutValues(error)),
    [] as ReadonlyArray<SubscriptionId>
  )

export const layer: Layer.Layer<never, never, StoreSql | StoreSettings> = Layer.effect(
  RemovedRows,
  Effect.gen(function*() {
    const sql = yield* StoreSql
    // The stream's transactions are none of a store elsewhere.
    const { inSource } = yield* StoreSettings
    return {
      gone: (ids, xid) => gone(sql, ids, inSource ? xid : 0).pipe(whileAway("subscriptions"), Effect.catch(unknown))
    }
  })
)
