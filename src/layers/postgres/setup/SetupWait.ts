/**
 * Waits for the transactions that were there when the triggers were committed (as CREATE INDEX CONCURRENTLY does):
 * each may still run a statement that the triggers did not see.
 */
import type { PgClient } from "@effect/sql-pg"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import type { SqlError } from "effect/sql/SqlError"
import type { SetupError } from "../../../services/Setup.ts"
import { failure, fromSql } from "./SetupErrors.ts"

const POLL_MS = 100
/** How often the person who waits is told again. */
const REMIND_MS = 10_000
/** Sessions named in one line at most. */
const NAMED = 10

interface Older {
  /** Virtual transaction id, or the gid of a prepared one. */
  readonly id: string
  readonly shown: string
  /** Prepared, and its transaction id was given before the wait began: perhaps by a session that is waited for. */
  readonly prepared: boolean
}

/** Not: our own session, vacuum workers, readers of slots and parallel workers: they run no DDL of a user. */
const older = (sql: PgClient.PgClient, nextXid: string): Effect.Effect<ReadonlyArray<Older>, SqlError> =>
  sql<Older>`
    SELECT l.virtualxid AS id, false AS prepared,
      'pid ' || l.pid || ', application "' || coalesce(a.application_name, '') || '", user ' || coalesce(a.usename, '?') || ', ' ||
        coalesce(a.state, 'running') || ' since ' || coalesce(to_char(a.xact_start, 'YYYY-MM-DD HH24:MI:SS TZ'), 'unknown') AS shown
      FROM pg_locks l JOIN pg_stat_activity a ON a.pid = l.pid
     WHERE l.locktype = 'virtualxid' AND l.granted AND a.datname = current_database() AND l.pid <> pg_backend_pid()
       AND coalesce(a.backend_type, 'client backend') NOT IN ('autovacuum worker', 'autovacuum launcher', 'walsender', 'parallel worker')
    UNION ALL
    SELECT p.gid, age(p.transaction) > age(${nextXid}::text::xid), 'prepared transaction ' || quote_literal(p.gid) || ' of ' || p.owner || ', since ' || to_char(p.prepared, 'YYYY-MM-DD HH24:MI:SS TZ')
      FROM pg_prepared_xacts p WHERE p.database = current_database()`

const named = (sessions: ReadonlyArray<Older>): string => {
  const shown = sessions.slice(0, NAMED).map((session) => session.shown)
  return (sessions.length > NAMED ? [...shown, `and ${sessions.length - NAMED} more`] : shown).join("; ")
}

/**
 * Who writes just now, anywhere in the server: a slot that is being made waits for them. Named as above; empty where
 * nobody does, or this role may not see it.
 */
export const writers = (sql: PgClient.PgClient): Effect.Effect<string> =>
  sql<Older>`
    SELECT a.pid::text AS id, false AS prepared,
      'pid ' || a.pid || ', database ' || a.datname || ', application "' || coalesce(a.application_name, '') || '", user ' || coalesce(a.usename, '?') ||
        ', since ' || coalesce(to_char(a.xact_start, 'YYYY-MM-DD HH24:MI:SS TZ'), 'unknown') AS shown
      FROM pg_stat_activity a WHERE a.backend_xid IS NOT NULL AND a.pid <> pg_backend_pid() AND a.backend_type <> 'walsender'
    UNION ALL
    SELECT p.gid, true, 'prepared transaction ' || quote_literal(p.gid) || ', database ' || p.database || ', since ' || to_char(p.prepared, 'YYYY-MM-DD HH24:MI:SS TZ')
      FROM pg_prepared_xacts p`.pipe(
    Effect.map(named),
    Effect.orElseSucceed(() => "")
  )

/**
 * Returns when every transaction of this database that was there at the call has ended. Fails with
 * `OlderTransactions` after `waitMs`; `progress` gets a line that names them.
 */
export const forOlderTransactions = (
  sql: PgClient.PgClient,
  waitMs: number,
  progress: (line: string) => void
): Effect.Effect<void, SetupError> =>
  Effect.gen(function*() {
    const deadline = (yield* Clock.currentTimeMillis) + waitMs
    const couldNot = fromSql("see which transactions are open")
    const [next] = yield* Effect.mapError(
      sql<{
        readonly xid: string
      }>`SELECT (pg_snapshot_xmax(pg_current_snapshot())::text::numeric % 4294967296)::text AS xid`,
      couldNot
    )
    const read = Effect.mapError(older(sql, next!.xid), couldNot)
    let left = yield* read
    let toldAt = Number.NEGATIVE_INFINITY
    while (left.length > 0) {
      const now = yield* Clock.currentTimeMillis
      if (now >= deadline) {
        return yield* failure(
          "OlderTransactions",
          1,
          `Cannot finish: transactions that began before pgstream's triggers are still open after ${Math.round(waitMs / 1000)} s (${named(left)}). Until they end, a change of theirs could be missed.`,
          "End them (COMMIT, ROLLBACK, ROLLBACK PREPARED, pg_terminate_backend), or wait longer:   pgstream init --wait 30m"
        )
      }
      if (now - toldAt >= REMIND_MS) {
        progress(`Waiting for transactions that are older than this call: ${named(left)}`)
        toldAt = now
      }
      yield* Effect.sleep(Math.min(POLL_MS, deadline - now))
      const waitedFor = new Set(left.map((session) => session.id))
      left = (yield* read).filter((session) => waitedFor.has(session.id) || session.prepared)
    }
  })
