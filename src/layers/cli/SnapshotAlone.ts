/** A copy where there is no slot: this process reads one snapshot, sends its rows, and ends when they are delivered. */
import * as Effect from "effect/Effect"
import * as References from "effect/References"
import type * as Progress from "../../domain/Progress.ts"
import type { CopyId } from "../../services/CopyRequests.ts"
import { Setup } from "../../services/Setup.ts"
import { StreamFollowed } from "../../services/StreamFollowed.ts"
import type { AppSettings } from "../app/Configuration.ts"
import { say } from "./Globals.ts"
import { follow, stderr, type ViewOptions, viewOf } from "./ProgressView.ts"

/** How often it is asked whether a service has come that follows a slot, ms. */
const LOOK_MS = 2_000

const goesOnLater = say("The copy is not over. Asked again, tables that are not done are read from their start, in a new snapshot:   pgstream snapshot")

const waiting = (deliveries: number) =>
  say(`NOTE  ${deliveries} deliveries were not taken yet; they are tried again until they are, or their retries are used up. Ctrl-C leaves them to the next   pgstream snapshot   or   pgstream run`)

/** Log lines would tear the bars: on a terminal only warnings do. */
export const quietly = <A, E, R>(settings: AppSettings, view: ViewOptions, effect: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> => {
  const bars = stderr.columns !== undefined && view.progress && !view.json
  const level = settings.log.level === "error" || settings.log.level === "fatal" ? "Error" as const : "Warn" as const
  return bars ? Effect.provideService(effect, References.MinimumLogLevel, level) : effect
}

/** Somebody made the slot meanwhile and follows it: that service works on all copies of its stream. */
const untilFollowed = Effect.gen(function*() {
  const followed = yield* StreamFollowed
  while ((yield* followed.now) !== "followed") yield* Effect.sleep(LOOK_MS)
  yield* say("NOTE  a service follows the slot now; the copy goes on there")
})

/** Ends with the copies, and what was parked of them. */
export const withoutSlot = Effect.fnUntraced(function*(settings: AppSettings, ids: ReadonlyArray<CopyId>, view: ViewOptions) {
  const { setupLayer } = yield* Effect.promise(() => import("../app/AppLive.ts"))
  const { aloneLayer, snapshotAlone, untilSent } = yield* Effect.promise(() => import("../app/SnapshotAloneLive.ts"))
  const notes = yield* Setup.use((setup) => setup.checkAlone).pipe(Effect.provide(setupLayer(settings)))
  for (const note of notes) yield* say(`NOTE  ${note}`)
  const work = Effect.andThen(Effect.raceFirst(snapshotAlone(ids), untilFollowed), Effect.never)
  const watched = Effect.gen(function*() {
    const progress: Progress.Progress = yield* follow(ids, viewOf(view))
    if ((yield* (yield* StreamFollowed).now) === "followed") return progress
    const { dead, held } = yield* untilSent(waiting)
    if (held > 0) yield* say(`NOTE  ${held} deliveries are kept for endpoints that are paused or disabled:   pgstream subscriptions list`)
    if (dead > 0) yield* say(`NOTE  ${dead} deliveries are dead letters:   pgstream deliveries list --state dead`)
    return progress
  })
  return yield* quietly(settings, view, Effect.raceFirst(work, watched).pipe(
    Effect.provide(aloneLayer(settings))
  )).pipe(Effect.onInterrupt(() => goesOnLater))
})
