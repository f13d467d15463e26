/** How a copy tries: what only time mends is tried again, what nothing mends ends the table's copy. */
import * as Effect from "effect/Effect"
import type { TableReader, TableReaderError } from "../../services/TableReader.ts"

/** After a lost connection, a lock, a limit of time: pauses double up to this, ms. */
const PAUSE_MAX_MS = 5_000
const PAUSE_FIRST_MS = 100

/** The table is copied from its start again. */
export class Restart {
  readonly _tag = "Restart"
}

/** Something came between the marks: read again at once. */
export class Again {
  readonly _tag = "Again"
}

/**
 * Until it succeeds. `smaller` is asked after each second limit of time that was reached: `false` when there is no less
 * to ask for.
 */
export const persist = <A, E extends Restart | Again>(
  effect: Effect.Effect<A, E | TableReaderError, TableReader>,
  smaller: Effect.Effect<boolean, TableReaderError, TableReader> = Effect.succeed(false)
): Effect.Effect<A, Exclude<E, Again> | TableReaderError, TableReader> =>
  Effect.gen(function*() {
    for (let failures = 0; ;) {
      const result = yield* Effect.result(effect)
      if (result._tag === "Success") return result.success
      const failure: Restart | Again | TableReaderError = result.failure
      if (failure._tag === "Again") continue
      if (failure._tag === "Restart") return yield* Effect.fail(failure as Exclude<E, Again>)
      if (failure.kind === "refused") return yield* failure
      if (failure.kind === "timeout" && failures > 0 && !(yield* smaller)) return yield* failure
      yield* Effect.sleep(Math.min(PAUSE_MAX_MS, PAUSE_FIRST_MS * 2 ** Math.min(failures++, 10)))
    }
  })
