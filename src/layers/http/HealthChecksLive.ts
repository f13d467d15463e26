/**
 * What makes the service ready: the source connection reads, and is no synchronous standby, what it
 * read gets settled, and the store answers.
 *
 * Settled means delivered or parked, so slow endpoints do not make it red: what was handed on waits
 * for them at most the live time. It is red when the store takes nothing, or a stage hangs.
 */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schedule from "effect/Schedule"
import { type HealthCheck, HealthChecks } from "../../services/HealthChecks.ts"
import { Listener, type ListenerState } from "../../services/Listener.ts"
import { SourceProbe } from "../../services/SourceProbe.ts"
import { StoreProbe } from "../../services/StoreProbe.ts"

/** How often the positions are compared, ms. */
export const LOOK_MS = 5_000
/** What was handed on this long ago and is not settled yet counts as stuck, ms. */
export const STUCK_MS = 120_000

const sourceProblem = ({ connected, sinceMs }: ListenerState): string | undefined =>
  connected ? undefined : `not connected to the source since ${new Date(sinceMs).toISOString()}`

/** `look` is told the positions from time to time; `problem` is what they mean. */
const progress = () => {
  let target: { readonly lsn: number; readonly sinceMs: number } | undefined
  return {
    look: ({ acknowledgedLsn, receivedLsn }: ListenerState, nowMs: number): void => {
      if (target !== undefined && acknowledgedLsn < target.lsn) return
      target = acknowledgedLsn < receivedLsn ? { lsn: receivedLsn, sinceMs: nowMs } : undefined
    },
    problem: (nowMs: number): string | undefined =>
      target === undefined || nowMs - target.sinceMs < STUCK_MS
        ? undefined
        : `nothing is settled since ${new Date(target.sinceMs).toISOString()}`
  }
}

export const layer: Layer.Layer<HealthChecks, never, Listener | StoreProbe> = Layer.effect(
  HealthChecks,
  Effect.gen(function*() {
    const listener = yield* Listener
    const source = yield* SourceProbe
    const store = yield* StoreProbe
    const { look, problem } = progress()
    const now = Clock.currentTimeMillis
    const looking = Effect.zipWith(listener.state, now, look)
    yield* Effect.forkScoped(Effect.repeat(looking, Schedule.spaced(LOOK_MS)))
    const checks: ReadonlyArray<HealthCheck> = [
      { name: "source", problem: Effect.map(listener.state, sourceProblem) },
      { name: "standby", problem: source.problem },
      { name: "progress", problem: Effect.andThen(looking, Effect.map(now, problem)) },
      {
        name: "store",
        problem: store.reach.pipe(
          Effect.as(undefined),
          Effect.catch(() => Effect.succeed("the store does not answer"))
        )
      }
    ]
    return HealthChecks.of({ checks })
  })
)
