/**
 * The Listener's state for `/ready`, and how it tries: on a schedule that doubles, with jitter, until it succeeds or
 * the fault is permanent.
 */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Random from "effect/Random"
import * as Lsn from "../../domain/Lsn.ts"
import { type SourceConnection, SourceError } from "../../services/ChangeSource.ts"
import { ListenerError, type ListenerState } from "../../services/Listener.ts"
import type { SourceSettingsShape } from "../../services/Settings.ts"

/** Failures since the last frame that was read. */
export interface Pace {
  attempts: number
}

/** Delay before attempt `n` (from 0), ms: doubles up to the limit; `random` (0 … 1) takes off up to half of it. */
export const backoffMs = (
  n: number,
  random: number,
  settings: Pick<SourceSettingsShape, "backoffInitialMs" | "backoffMaxMs">
): number =>
  Math.min(settings.backoffMaxMs, settings.backoffInitialMs * 2 ** Math.min(n, 30)) * (1 - random / 2)

export const fail = (reason: SourceError) => Effect.fail(new ListenerError({ reason }))

const changed = (permanent: boolean, code: string, summary: string, mend: string) =>
  new SourceError({ code, permanent, summary, mend })

/** A reconnect must find the stream that it left. */
export const whatChanged = (before: SourceConnection, now: SourceConnection): SourceError | undefined => {
  if (before.stream.systemIdentifier !== now.stream.systemIdentifier) {
    return changed(
      true,
      "SystemChanged",
      `The server is another one than before: system ${now.stream.systemIdentifier} instead of ${before.stream.systemIdentifier}.`,
      "Does the URL name the right server? pgstream status"
    )
  }
  if (before.timeline !== now.timeline) {
    return changed(
      false,
      "TimelineChanged",
      `The server is on timeline ${now.timeline}, before it was on ${before.timeline}: a standby took over. The pipeline starts again from what is settled.`,
      ""
    )
  }
  if (before.plugin !== now.plugin) {
    return changed(
      false,
      "PluginChanged",
      `The slot's plugin is ${now.plugin}, before it was ${before.plugin}. The pipeline starts again from what is settled.`,
      ""
    )
  }
  return undefined
}

/** Kept by plain assignment: read by `/ready` at any time, written by the one fiber that reads the slot. */
export interface Attempts {
  state: ListenerState
  setConnected(connected: boolean, lastError: string | undefined): Effect.Effect<void>
  /** Tries until it succeeds or the fault is permanent. `what`: the log line of each failure. */
  persist<A>(pace: Pace, what: string, effect: Effect.Effect<A, SourceError>): Effect.Effect<A, ListenerError>
}

export const make = Effect.fnUntraced(function*(
  settings: Pick<SourceSettingsShape, "backoffInitialMs" | "backoffMaxMs">
) {
  const sinceMs = yield* Clock.currentTimeMillis
  const attempts: Attempts = {
    state: { connected: false, sinceMs, lastError: undefined, receivedLsn: Lsn.zero, acknowledgedLsn: Lsn.zero },
    setConnected: (connected, lastError) =>
      Effect.map(Clock.currentTimeMillis, (ms) => {
        const { state } = attempts
        attempts.state = { ...state, connected, lastError, sinceMs: connected === state.connected ? state.sinceMs : ms }
      }),
    persist: Effect.fnUntraced(function*<A>(pace: Pace, what: string, effect: Effect.Effect<A, SourceError>) {
      for (;;) {
        if (pace.attempts > 0) yield* Effect.sleep(backoffMs(pace.attempts - 1, yield* Random.next, settings))
        const exit = yield* Effect.result(effect)
        if (exit._tag === "Success") return exit.success
        yield* attempts.setConnected(false, exit.failure.message)
        if (exit.failure.permanent) return yield* fail(exit.failure)
        pace.attempts++
        yield* Effect.logWarning(what).pipe(
          Effect.annotateLogs({
            code: exit.failure.code,
            reason: exit.failure.summary,
            ...(exit.failure.mend === "" ? {} : { mend: exit.failure.mend }),
            attempt: pace.attempts
          })
        )
      }
    })
  }
  return attempts
})
