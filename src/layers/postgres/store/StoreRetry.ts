/**
 * What waits for a store that is away: a restart, a failover, a lost connection, too many connections, a lock.
 * Nothing is dropped meanwhile: callers wait, and with them the stream. All operations that use it may be repeated.
 */
import * as Cause from "effect/Cause"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Schedule from "effect/Schedule"
import { ConnectionError, isSqlError, SqlError } from "effect/sql/SqlError"

/** One attempt: longer means a connection that is lost without a word. Each statement here moves at most a few MiB. */
const ATTEMPT_TIMEOUT = Duration.seconds(60)

const schedule = Schedule.min([Schedule.exponential("100 millis"), Schedule.spaced("5 seconds")]).pipe(
  Schedule.jittered
)

/** SQLSTATE of the server's answer; `undefined` when there was none. */
export const sqlState = (error: SqlError): string | undefined => {
  const cause: unknown = error.reason.cause
  if (typeof cause !== "object" || cause === null || !("code" in cause)) return undefined
  return typeof cause.code === "string" && /^[0-9A-Z]{5}$/.test(cause.code) ? cause.code : undefined
}

/**
 * Classes 53 (resources) and 57P (shutdown, starting up, crash, database dropped: not the last), and 25006: a standby
 * that has not been promoted yet. Source: PostgreSQL documentation, "PostgreSQL Error Codes".
 */
export const isTransient = (error: SqlError): boolean => {
  if (error.isRetryable) return true
  const state = sqlState(error)
  return state !== undefined && (/^(53|57P0[1235])/.test(state) || state === "25006")
}

/** The store cannot be reached now; an answer that refuses something is not that. */
export const isUnavailable = (error: SqlError): boolean =>
  error.reason._tag === "ConnectionError" || isTransient(error)

/**
 * The error without what Postgres adds of the row (DETAIL: "Failing row contains …"), which may hold a body. Data
 * exceptions (class 22) name the value in the message itself: only their code is kept.
 */
export const withoutValues = (error: SqlError): Error => {
  const state = sqlState(error)
  if (state === undefined) return new Error(error.message)
  return new Error(state.startsWith("22") ? `SQLSTATE ${state}` : `${error.message} (SQLSTATE ${state})`)
}

/** Of one attempt. What is written as text is named in those words, a `Duration` as it formats itself (`1m`). */
type Limit = Duration.Duration | `${number} seconds`

export const timedOut = (limit: Limit): SqlError =>
  new SqlError({
    reason: new ConnectionError({
      cause: new Error("timeout"),
      message: `no answer within ${typeof limit === "string" ? limit : Duration.format(limit)}`,
      operation: "execute"
    })
  })

/** Ends what takes longer: for who waits for no store, and says that it is away. */
const within = (limit: Limit) =>
<A, E, R>(self: Effect.Effect<A, E, R>): Effect.Effect<A, E | SqlError, R> =>
  Effect.timeoutOrElse(self, { duration: limit, orElse: () => Effect.fail(timedOut(limit)) })

/** Another session did the opposite in the same moment: the statement is whole, and may be sent again. */
const collided = (error: unknown): boolean =>
  error instanceof SqlError && (error.reason._tag === "DeadlockError" || error.reason._tag === "SerializationError")

/** Why there is no answer, as the errors of services have it. */
export interface Unanswered {
  readonly unavailable: boolean
  /** Without values of the row. */
  readonly cause: Error
}

/** Times that a statement is sent again because of another session. */
const COLLISIONS = 3

/** For who waits for the answer, and for no store: one that is away is an error made by `as`. */
export const answering = <A, E, R, E2>(
  limit: Limit, work: Effect.Effect<A, E | SqlError, R>, as: (why: Unanswered) => E2
): Effect.Effect<A, E2 | Exclude<E, SqlError>, R> =>
  work.pipe(
    Effect.retry({ times: COLLISIONS, while: collided }),
    within(limit),
    Effect.mapError((error) =>
      error instanceof SqlError
        ? as({ unavailable: isUnavailable(error), cause: withoutValues(error) })
        : error as Exclude<E, SqlError>)
  )

/**
 * A connection that is lost inside a transaction: the ROLLBACK that follows, or the one after a COMMIT without an answer,
 * fails, which Effect calls a defect. Here it is what it is, and the transaction may be repeated like any statement.
 */
const withoutDefects = <A, R>(self: Effect.Effect<A, SqlError, R>): Effect.Effect<A, SqlError, R> =>
  Effect.catchCause(self, (cause) => {
    for (const reason of cause.reasons) {
      if (Cause.isDieReason(reason) && isSqlError(reason.defect)) return Effect.fail(reason.defect)
    }
    return Effect.failCause(cause)
  })

/** Repeats `self` while the store is away, for as long as it takes; says so once, and when it is back. */
export const whileAway = (operation: string) =>
<A, R>(self: Effect.Effect<A, SqlError, R>): Effect.Effect<A, SqlError, R> =>
  Effect.suspend(() => {
    let away = false
    const attempt = withoutDefects(self).pipe(
      within(ATTEMPT_TIMEOUT),
      Effect.tapError((error) => {
        if (away || !isTransient(error)) return Effect.void
        away = true
        return Effect.logWarning("The store is away; waiting for it.").pipe(
          Effect.annotateLogs({ operation, seen: withoutValues(error).message })
        )
      })
    )
    const back = Effect.suspend(() =>
      away ? Effect.logInfo("The store is back.").pipe(Effect.annotateLogs({ operation })) : Effect.void
    )
    return Effect.retry(attempt, { schedule, while: isTransient }).pipe(Effect.tap(back))
  })
