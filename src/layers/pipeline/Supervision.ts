/**
 * The pipeline for as long as the process lives: a stage that fails for a reason that may pass starts it again from
 * what is settled; nothing is skipped, and what was in flight comes again with the same ids.
 *
 * Ends with an error only when no repetition would help (a slot that is gone, a database without our schema); a
 * defect ends it, too.
 */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Random from "effect/Random"
import * as Pipeline from "./Pipeline.ts"

const FIRST_PAUSE_MS = 500
const LONGEST_PAUSE_MS = 30_000
/** A run that lasted this long counts as well: the next pause is the first one again. */
const WELL_AFTER_MS = 60_000

type PipelineError = Effect.Error<typeof Pipeline.run>

/** Whether only somebody's action mends it. */
const isPermanent = (error: PipelineError): boolean => error._tag === "ListenerError" && error.reason.permanent

/** Doubles up to the limit; half of it is chance. `attempt` from 0. */
export const pauseMs = (attempt: number, random: number): number =>
  Math.min(LONGEST_PAUSE_MS, FIRST_PAUSE_MS * 2 ** Math.min(attempt, 30)) * (0.5 + random / 2)

export const supervise = <E extends PipelineError, R>(run: Effect.Effect<void, E, R>): Effect.Effect<never, E, R> =>
  Effect.gen(function*() {
    for (let attempt = 0;; attempt++) {
      const startedAt = yield* Clock.currentTimeMillis
      const result = yield* Effect.result(run)
      if (result._tag === "Failure" && isPermanent(result.failure)) return yield* Effect.fail(result.failure)
      if ((yield* Clock.currentTimeMillis) - startedAt >= WELL_AFTER_MS) attempt = 0
      const pause = pauseMs(attempt, yield* Random.next)
      const why = result._tag === "Failure" ? result.failure.message || result.failure._tag : "the stream ended"
      yield* Effect.logWarning("The pipeline failed; starting it again from what is settled.").pipe(
        Effect.annotateLogs({ reason: why, pauseMs: Math.round(pause) })
      )
      yield* Effect.sleep(pause)
    }
  })

export const run = supervise(Pipeline.run)
