/** `pgstream snapshot`, and the copy that `run` makes in its modes with one. */
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type * as Progress from "../../domain/Progress.ts"
import * as ProgressText from "../../domain/ProgressText.ts"
import { isCopyId, nameOf } from "../../domain/copy/Copy.ts"
import * as Audit from "../../services/Audit.ts"
import { type Asked, CopyAsking, type CopyWish } from "../../services/CopyAsking.ts"
import type { CopyId, CopyRequests } from "../../services/CopyRequests.ts"
import { Setup } from "../../services/Setup.ts"
import { StreamFollowed } from "../../services/StreamFollowed.ts"
import type { AppSettings } from "../app/Configuration.ts"
import { type Connection, type Output, sourceFlags } from "./Admin.ts"
import { CommandFailed, notThereYet } from "./Failure.ts"
import { configure, type OwnFlags, sameConfiguration, say, settingsOf } from "./Globals.ts"
import * as Logging from "./Logging.ts"
import { follow, type ViewOptions, viewOf } from "./ProgressView.ts"
import { quietly, withoutSlot } from "./SnapshotAlone.ts"

export interface Flags extends Connection, Output {
  readonly tables: Option.Option<string>
  readonly excludedTables: Option.Option<string>
  readonly mode: Option.Option<string>
  readonly subscription: Option.Option<string>
  readonly where: Option.Option<string>
  readonly noWait: boolean
  readonly target: Option.Option<string>
}

const configured = Effect.fnUntraced(function*(flags: Connection, own: OwnFlags = {}) {
  const loaded = yield* configure({ ...sourceFlags(flags), ...own }, { needTarget: false, copy: true })
  return { settings: yield* settingsOf(loaded), file: loaded.file }
})

/** Runs `work` where copies are asked for and watched. */
export const withCopies = Effect.fnUntraced(function*<A, E>(
  settings: AppSettings, work: Effect.Effect<A, E, CopyAsking | CopyRequests | StreamFollowed>
) {
  const { copyLayer } = yield* Effect.promise(() => import("../app/CopyLive.ts"))
  return yield* work.pipe(Effect.provide(copyLayer(settings)), Effect.provide(Logging.layer(settings.log)))
})

/** For the commands that steer copies. */
export const steering = Effect.fnUntraced(function*<A, E>(flags: Connection, work: Effect.Effect<A, E, CopyAsking | CopyRequests | StreamFollowed>) {
  const { settings } = yield* configured(flags)
  return yield* withCopies(settings, work)
})

/** What the configuration says that is to be copied. */
export const wishOf = ({ snapshot }: AppSettings): CopyWish => ({
  subscription: undefined,
  tables: snapshot.tables,
  excluded: snapshot.excluded,
  schemaOnly: snapshot.schemaOnly,
  where: undefined,
  mode: snapshot.content,
  repeatable: snapshot.repeatable
})

/** Of one subscription only what the command line names: the lists of the configuration are for all. */
const wishOfFlags = (flags: Flags, settings: AppSettings): CopyWish => {
  const wish = { ...wishOf(settings), where: Option.getOrUndefined(flags.where) }
  if (Option.isNone(flags.subscription)) return wish
  return {
    ...wish,
    subscription: flags.subscription.value,
    tables: Option.isSome(flags.tables) ? wish.tables : [],
    excluded: Option.isSome(flags.excludedTables) ? wish.excluded : [],
    schemaOnly: [],
    mode: Option.isSome(flags.mode) ? wish.mode : "full",
    repeatable: true
  }
}

/** Asks, and says what was passed over. */
export const ask = Effect.fnUntraced(function*(wish: CopyWish) {
  const asked = yield* CopyAsking.use((asking) => asking.ask(wish))
  for (const { id } of asked.copies) {
    yield* Audit.record({
      action: "snapshot.request", details: { copyId: id, subscriptionId: wish.subscription ?? "", condition: wish.where !== undefined }
    })
  }
  for (const note of asked.notes) yield* say(`NOTE  ${note}`)
  if (asked.skipped.length > 0) {
    yield* say(`NOTE  copied before, and not repeatable: ${asked.skipped.slice(0, 10).map(nameOf).join(", ")}${asked.skipped.length > 10 ? ` and ${asked.skipped.length - 10} more` : ""}`)
  }
  return asked
})

/** The end in one line, and what a script has to know. */
const conclude = (progress: Progress.Progress): Effect.Effect<void, CommandFailed> => {
  const { totals } = progress
  const failed = progress.tables.filter(({ state }) => state === "failed")
  const cancelled = progress.copies.filter(({ state }) => state === "cancelled").map(({ id }) => id)
  const said = ProgressText.summary(progress)
  if (failed.length === 0 && cancelled.length === 0 && progress.copies.every(({ state }) => state === "done")) {
    return say(`SUCCESS  pgstream snapshot complete: ${said}`)
  }
  const lines = [
    ...failed.map((table) => `  ${nameOf(table)}  ${table.error ?? "the log of the service says why"}`),
    ...progress.copies.flatMap(({ error, id }) => (error === undefined ? [] : [`  copy ${id}  ${error}`])),
    ...cancelled.map((id) => `  copy ${id}  was cancelled`)
  ]
  const what = failed.length === 0 ? "The copy did not end as asked" : `${totals.tablesFailed} of ${totals.tables} tables could not be copied`
  return new CommandFailed({
    exitCode: 1, text: `${what}.\n\n${lines.join("\n")}\n\nWhat was sent stays sent: ${said}.  CopyFailed`
  })
}

const nothingToDo = say("SUCCESS  pgstream snapshot complete: nothing to copy")

const watched = (ids: ReadonlyArray<CopyId>, view: ViewOptions) =>
  Effect.flatMap(follow(ids, viewOf(view)), conclude)

/** Interrupted while somebody else works on it. */
const goesOn = (ids: ReadonlyArray<CopyId>) =>
  say(`The copy goes on in the service that runs.   pgstream snapshot watch ${ids[0]}   pgstream snapshot cancel ${ids[0]}`)

const goesOnLater = say("The copy is not over; it goes on where it stopped when something follows the slot:   pgstream run   pgstream snapshot")

/**
 * Where nobody follows the slot, this process does, for as long as the copy takes: rows that it read without the slot would
 * be followed by older changes once a service reads it. Where there is no slot it reads one snapshot.
 */
export const alone = Effect.fnUntraced(function*(settings: AppSettings, ids: ReadonlyArray<CopyId>, view: ViewOptions) {
  const state = yield* (yield* StreamFollowed).now
  if (state === "followed") return yield* watched(ids, view).pipe(Effect.onInterrupt(() => goesOn(ids)))
  if (state === "no slot") return yield* conclude(yield* withoutSlot(settings, ids, view))
  const { setupLayer } = yield* Effect.promise(() => import("../app/AppLive.ts"))
  const { runPipeline } = yield* Effect.promise(() => import("../app/RunPipeline.ts"))
  yield* Setup.use((setup) => setup.check).pipe(Effect.provide(setupLayer(settings)))
  const progress = yield* Effect.raceFirst(quietly(settings, view, runPipeline(settings)), follow(ids, viewOf(view))).pipe(Effect.onInterrupt(() => goesOnLater))
  yield* conclude(progress)
})

const requested = Effect.fnUntraced(function*(flags: Flags, settings: AppSettings, file: string | undefined) {
  const asked: Asked = yield* ask(wishOfFlags(flags, settings))
  const ids = asked.copies.map(({ id }) => id)
  if (ids.length === 0) return yield* nothingToDo
  const state = yield* (yield* StreamFollowed).now
  const view = { json: flags.json, progress: settings.snapshot.progress }
  if (state !== "followed") {
    if ((state === "no slot" || Option.isNone(flags.subscription)) && !flags.noWait) return yield* alone(settings, ids, view)
    yield* say(`NOTE  no service follows slot "${settings.source.slotName}" now; the copy begins when one does:   pgstream run${sameConfiguration(file)}`)
  }
  if (flags.noWait) return yield* say(`SUCCESS  copy ${ids.join(", ")} requested.   pgstream snapshot watch ${ids[0]}${sameConfiguration(file)}`)
  yield* watched(ids, view).pipe(Effect.onInterrupt(() => goesOn(ids)))
})

export const snapshot = Effect.fn("cli.snapshot")(function*(flags: Flags) {
  if (Option.isSome(flags.target) && flags.target.value !== "webhooks") {
    return yield* notThereYet("--target", "webhooks are the only target; they subscribe at the API.")
  }
  const { file, settings } = yield* configured(flags, {
    "snapshot.tables": { flag: "--tables", value: flags.tables },
    "snapshot.excluded": { flag: "--excluded-tables", value: flags.excludedTables },
    "snapshot.content": { flag: "--mode", value: flags.mode }
  })
  const named = settings.snapshot.tables.length + settings.snapshot.schemaOnly.length > 0
  if (!named && Option.isNone(flags.subscription)) {
    return yield* new CommandFailed({
      exitCode: 2,
      text: "Cannot copy: no tables are named.\n\n  --tables 'orders,sales.*'   or PGSTREAM_POSTGRES_SNAPSHOT_TABLES (source.postgres.snapshot.tables)\n\nNothing was changed.  Usage"
    })
  }
  yield* withCopies(settings, requested(flags, settings, file))
})

/** Fails when it is no number: it can be no copy. */
export const copyIdOf = (text: string): Effect.Effect<CopyId, CommandFailed> =>
  isCopyId(text)
    ? Effect.succeed(text)
    : Effect.fail(new CommandFailed({ exitCode: 2, text: `"${text}" is no number of a copy.\n\n  pgstream snapshot list\n\nNothing was changed.  Usage` }))

export const watch = Effect.fn("cli.snapshot.watch")(function*(flags: Connection & Output & { readonly id: string }) {
  const id = yield* copyIdOf(flags.id)
  yield* steering(flags, watched([id], { json: flags.json, progress: true }).pipe(Effect.onInterrupt(() => goesOn([id]))))
})
