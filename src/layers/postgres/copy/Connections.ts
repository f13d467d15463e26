/**
 * Connections of copies: a bounded number, opened when needed, kept for the next. One that failed, or whose use was
 * interrupted in the middle of something, is not used again.
 */
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Scope from "effect/Scope"
import * as Semaphore from "effect/Semaphore"
import type { ConnectionTarget } from "../../../domain/PostgresUrl.ts"
import { TableReaderError } from "../../../services/TableReader.ts"
import * as Session from "../replication/Session.ts"
import { failure } from "./readerErrors.ts"

/** One statement may take this long, ms: so long a user's ALTER TABLE waits at most. */
export const STATEMENT_LIMIT_MS = 30_000
/** How long a lock of others is waited for, ms; then it is tried again later. */
const LOCK_LIMIT_MS = 5_000

/**
 * Ranges go by the key's index, whatever the statistics say. Rows that a policy hides are an error, not left out.
 */
export const readParameters = {
  application_name: "pgstream copy",
  standard_conforming_strings: "on",
  statement_timeout: String(STATEMENT_LIMIT_MS),
  lock_timeout: String(LOCK_LIMIT_MS),
  idle_in_transaction_session_timeout: String(STATEMENT_LIMIT_MS),
  row_security: "off",
  synchronize_seqscans: "off",
  enable_seqscan: "off",
  enable_bitmapscan: "off",
  enable_sort: "off",
  jit: "off"
}

export interface Connections {
  /** Runs `use` on a connection of its own; outside a transaction before and after. */
  with<A>(use: (session: Session.Session) => Effect.Effect<A, TableReaderError>): Effect.Effect<A, TableReaderError>
}

/** One statement, or several in one text. */
export const query = (session: Session.Session, sql: string, raw?: Session.RowHandler) =>
  Effect.tryPromise({ try: () => session.query(sql, undefined, raw), catch: failure })

interface Options {
  readonly target: ConnectionTarget
  readonly timezone: string | undefined
  /** Bytes. A longer row is left out. */
  readonly maxRowBytes: number
  readonly connections: number
}

/** They are closed with the scope. */
export const make = Effect.fnUntraced(function*(options: Options) {
  const scope = yield* Effect.scope
  const permits = yield* Semaphore.make(options.connections)
  const idle: Array<Session.Session> = []
  const scopes = new WeakMap<Session.Session, Scope.Closeable>()

  const open = Effect.gen(function*() {
    const own = yield* Scope.fork(scope)
    const session = yield* Session.open(options.target, {
      replication: false,
      maxBodyBytes: options.maxRowBytes,
      parameters: { ...Session.streamParameters(options.timezone), ...readParameters }
    }).pipe(
      Scope.provide(own),
      Effect.onError((cause) => Scope.close(own, Exit.failCause(cause))),
      Effect.mapError((cause) => new TableReaderError({ kind: cause.permanent ? "refused" : "lost", summary: cause.summary }))
    )
    scopes.set(session, own)
    return session
  })

  const end = (session: Session.Session) =>
    Effect.suspend(() => {
      session.destroy()
      const own = scopes.get(session)
      return own === undefined ? Effect.void : Scope.close(own, Exit.void)
    })

  const take = Effect.suspend(() => {
    for (;;) {
      const session = idle.pop()
      if (session === undefined) return open
      if (session.usable) return Effect.succeed(session)
    }
  })

  const connections: Connections = {
    with: (use) =>
      permits.withPermit(Effect.acquireUseRelease(
        take,
        use,
        (session, exit) =>
          exit._tag === "Success" && session.usable ? Effect.sync(() => void idle.push(session)) : end(session)
      ))
  }
  return connections
})
