/**
 * A row that the stream has shown may not be visible yet to other sessions: its commit is in the WAL, and its session
 * still waits for a synchronous standby, or is just about to say that it is done. What is absent is gone only when
 * the transactions that ran at the first look have ended.
 */
import * as Effect from "effect/Effect"
import type * as SqlClient from "effect/sql/SqlClient"
import type { SqlError } from "effect/sql/SqlError"
import { whileAway } from "./StoreRetry.ts"

/** An open transaction of a user may last for hours: after so many looks only those in the wait for a standby count. */
const LOOKS = 10
const BETWEEN = "50 millis"

/**
 * Transactions that have an id, by the lock that each holds on its own until it is visible. (`pg_snapshot_xip` leaves
 * out those above the newest that ended: just the ones that matter here.)
 */
const running = (sql: SqlClient.SqlClient) =>
  Effect.map(
    sql<{ readonly xid: string }>`
      SELECT transactionid::text AS xid FROM pg_locks
      WHERE locktype = 'transactionid' AND mode = 'ExclusiveLock' AND granted`,
    (rows) => new Set(rows.map((row) => row.xid))
  ).pipe(whileAway("endpoints fetch"))

/** Sessions of other roles show it only to members of pg_read_all_stats. */
const waitsForStandby = (sql: SqlClient.SqlClient) =>
  Effect.map(
    sql`SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND wait_event = 'SyncRep' LIMIT 1`,
    (rows) => rows.length > 0
  ).pipe(whileAway("endpoints fetch"))

/** `look` again and again, until it finds something or nothing can come any more. */
export const untilVisible = <A>(
  sql: SqlClient.SqlClient,
  look: Effect.Effect<A | undefined, SqlError>
): Effect.Effect<A | undefined, SqlError> =>
  Effect.gen(function*() {
    const first = yield* look
    if (first !== undefined) return first
    const open = yield* running(sql)
    for (let looks = 0; ; looks++) {
      const now = yield* running(sql)
      const ended = ![...open].some((xid) => now.has(xid))
      const found = yield* look
      if (found !== undefined || ended) return found
      if (looks >= LOOKS && !(yield* waitsForStandby(sql))) return undefined
      if (looks === LOOKS) {
        yield* Effect.logWarning("An endpoint is not visible yet: its commit waits for a synchronous standby.")
      }
      yield* Effect.sleep(BETWEEN)
    }
  })
