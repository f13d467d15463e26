/**
 * Connections in one exported snapshot. The first locks the tables and exports its snapshot; the others take that and the
 * same locks at once. A lock that is asked for later would queue behind a user's ALTER TABLE, which waits for us: neither
 * would ever go on.
 */
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Semaphore from "effect/Semaphore"
import type { ConnectionTarget } from "../../../domain/PostgresUrl.ts"
import { literal } from "../../../domain/SqlText.ts"
import { type ReadTable, TableReaderError } from "../../../services/TableReader.ts"
import { query, readParameters } from "../copy/Connections.ts"
import { isMoved } from "../copy/readerErrors.ts"
import * as Statements from "../copy/Statements.ts"
import * as Session from "../replication/Session.ts"

/** The snapshot lasts as long as the copy, however long nothing is read. */
const parameters = { ...readParameters, application_name: "pgstream snapshot", idle_in_transaction_session_timeout: "0" }

/** Tables that one statement locks. */
const LOCK_BATCH = 200
/** Between two looks whether the first connection is there, and how long its answer is waited for. */
const LOOK_MS = 1_000
const ANSWER_MS = 30_000

export interface SessionOptions {
  readonly target: ConnectionTarget
  readonly timezone: string | undefined
  readonly maxRowBytes: number
}

/** Closed with the scope. */
export const open = ({ maxRowBytes, target, timezone }: SessionOptions) =>
  Session.open(target, {
    replication: false, maxBodyBytes: maxRowBytes, parameters: { ...Session.streamParameters(timezone), ...parameters }
  }).pipe(Effect.mapError((cause) => new TableReaderError({ kind: cause.permanent ? "refused" : "lost", summary: cause.summary })))

const BEGIN = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"

/** 17 has a limit for whole transactions, too. Before the transaction, which has no snapshot until its locks are there. */
export const begin = (session: Session.Session) =>
  Effect.andThen(
    query(session, "SELECT set_config('transaction_timeout', '0', false) FROM pg_settings WHERE name = 'transaction_timeout'"),
    query(session, BEGIN)
  )

export const join = (session: Session.Session, snapshotName: string) =>
  query(session, `${BEGIN}; SET TRANSACTION SNAPSHOT ${literal(snapshotName)}`)

const lock = (session: Session.Session, tables: ReadonlyArray<ReadTable>) => {
  const names = tables.map((table) => `ONLY ${Statements.qualified(table)}`).join(", ")
  return query(session, `SAVEPOINT locks; LOCK TABLE ${names} IN ACCESS SHARE MODE; RELEASE SAVEPOINT locks`)
}

const takeBack = (session: Session.Session) => query(session, "ROLLBACK TO SAVEPOINT locks; RELEASE SAVEPOINT locks")

const isForbidden = ({ state }: TableReaderError): boolean => state === "42501"

/** A table that went or has another name since it was found: it is looked for again. */
const wentMeanwhile = (error: TableReaderError): TableReaderError =>
  isMoved(error) ? new TableReaderError({ kind: "locked", summary: "a table went while the tables were being locked" }) : error

/** Answers with those that are locked: of a table that the role may not read, reading it says so. */
export const lockAll = (session: Session.Session, tables: ReadonlyArray<ReadTable>): Effect.Effect<ReadonlyArray<ReadTable>, TableReaderError> =>
  Effect.gen(function*() {
    const locked: Array<ReadTable> = []
    for (let at = 0; at < tables.length; at += LOCK_BATCH) {
      const batch = tables.slice(at, at + LOCK_BATCH)
      const all = yield* Effect.result(lock(session, batch))
      if (all._tag === "Success") {
        locked.push(...batch)
        continue
      }
      if (!isForbidden(all.failure)) return yield* all.failure
      yield* takeBack(session)
      for (const table of batch) {
        const one = yield* Effect.result(lock(session, [table]))
        if (one._tag === "Success") locked.push(table)
        else if (isForbidden(one.failure)) yield* takeBack(session)
        else return yield* one.failure
      }
    }
    return locked
  }).pipe(Effect.mapError(wentMeanwhile))

export interface Within {
  /** Runs `use` on one of the connections, inside the snapshot; what fails there leaves the snapshot as it was. */
  with<A>(use: (session: Session.Session) => Effect.Effect<A, TableReaderError>): Effect.Effect<A, TableReaderError>
  /** The snapshot is gone for this reason: who uses it waits for its end. */
  lose(error: TableReaderError): Effect.Effect<never>
  readonly lost: Effect.Effect<never, TableReaderError>
}

/** A statement that failed takes back to the savepoint; whatever became of the cursor, it is closed. */
const guarded = <A>(session: Session.Session, use: Effect.Effect<A, TableReaderError>) =>
  query(session, "SAVEPOINT chunk").pipe(
    Effect.andThen(use),
    Effect.tap(() => query(session, "CLOSE ALL; RELEASE SAVEPOINT chunk")),
    Effect.tapError((error) => error.kind === "lost" ? Effect.void : query(session, "ROLLBACK TO SAVEPOINT chunk; RELEASE SAVEPOINT chunk"))
  )

/** `first` exported the snapshot: it ends with that connection. */
export const make = Effect.fnUntraced(function*(first: Session.Session, readers: ReadonlyArray<Session.Session>) {
  const permits = yield* Semaphore.make(readers.length)
  const idle = [...readers]
  const ended = yield* Deferred.make<never, TableReaderError>()
  const lose = (error: TableReaderError) => Effect.andThen(Deferred.fail(ended, error), Effect.never)
  const gone = new TableReaderError({ kind: "lost", summary: "the connection that holds the snapshot does not answer" })

  // Scope's fiber: it also keeps networks from forgetting a connection on which nothing is said.
  const look = Effect.sleep(LOOK_MS).pipe(
    Effect.andThen(query(first, "SELECT 1")),
    Effect.timeoutOrElse({ duration: LOOK_MS + ANSWER_MS, orElse: () => Effect.fail(gone) })
  )
  yield* Effect.forkScoped(Effect.forever(look).pipe(Effect.catch((error) => Deferred.fail(ended, error))))

  const within: Within = {
    with: (use) =>
      permits.withPermit(Effect.suspend(() => {
        const session = idle.pop()!
        // To its end, which is a range's: what is cut off in the middle would cost the connection its transaction.
        return Effect.uninterruptible(guarded(session, use(session))).pipe(Effect.ensuring(Effect.sync(() => void idle.push(session))))
      })).pipe(Effect.catch((error) => error.kind === "lost" ? lose(error) : Effect.fail(error))),
    lose,
    lost: Deferred.await(ended)
  }
  return within
})
