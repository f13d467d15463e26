/** The copy of `run` in its modes with one: what is there already, beside the stream or alone. */
import * as Effect from "effect/Effect"
import * as Progress from "../../domain/Progress.ts"
import type { CopyId } from "../../services/CopyRequests.ts"
import type { AppSettings } from "../app/Configuration.ts"
import { say } from "./Globals.ts"
import { follow, type Show } from "./ProgressView.ts"
import { alone, ask, wishOf, withCopies } from "./Snapshot.ts"

/** Between two log lines, ms. */
const LOG_MS = 10_000

/** What is said of a copy in the log of the service; its rows and tables, never a value. */
const fieldsOf = (progress: Progress.Progress) => {
  const { totals } = progress
  const { leftMs, rowsPerSecond } = Progress.pace(progress)
  return {
    percent: Math.floor(totals.share * 100), tables: totals.tables, tablesDone: totals.tablesDone, tablesFailed: totals.tablesFailed,
    rows: totals.rows, bytes: totals.bytes, rowsPerSecond: Math.round(rowsPerSecond),
    ...(leftMs === undefined ? {} : { leftSeconds: Math.round(leftMs / 1_000) })
  }
}

/** Bars would be torn by log lines: `run` says it in lines of its own. */
const logged = (ids: ReadonlyArray<CopyId>, progress: boolean) =>
  Effect.gen(function*() {
    const run = Effect.runForkWith(yield* Effect.context<never>())
    let toldAtMs = 0
    const show: Show = (now) => {
      if (Progress.isEnded(now) || !progress || now.nowMs - toldAtMs < LOG_MS) return
      toldAtMs = now.nowMs
      run(Effect.annotateLogs(Effect.logInfo("Copying existing rows."), fieldsOf(now)))
    }
    const end = yield* follow(ids, show)
    for (const { error, schema, table } of end.tables.filter(({ state }) => state === "failed")) {
      yield* Effect.annotateLogs(Effect.logError("A table could not be copied."), { schema, table, reason: error ?? "" })
    }
    yield* Effect.annotateLogs(Effect.logInfo("The copy of existing rows is over."), fieldsOf(end))
  })

/** Requested before the stream starts, worked on while it runs. The stream does not end with the copy, nor by its fault. */
export const copyBeside = <A, E>(settings: AppSettings, stream: Effect.Effect<A, E>) =>
  withCopies(settings, Effect.gen(function*() {
    const { copies } = yield* ask(wishOf(settings))
    const ids = copies.map(({ id }) => id)
    if (ids.length > 0) {
      const watching = logged(ids, settings.snapshot.progress).pipe(
        Effect.catch((error) => Effect.logWarning("The copy cannot be watched; it goes on.", error))
      )
      yield* Effect.forkChild(watching)
    }
    return yield* stream
  }))

/** Ends when the copy does. */
export const copyAlone = (settings: AppSettings) =>
  withCopies(settings, Effect.gen(function*() {
    const { copies } = yield* ask(wishOf(settings))
    const ids = copies.map(({ id }) => id)
    if (ids.length === 0) return yield* say("SUCCESS  pgstream snapshot complete: nothing to copy")
    yield* alone(settings, ids, { json: false, progress: settings.snapshot.progress })
  }))

