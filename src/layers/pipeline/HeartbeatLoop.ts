/**
 * When the heartbeat beats: at most every 30 s, and only while the slot stands more than 1 MiB behind the end of
 * the WAL with nothing in flight. (A beat is WAL: an idle database must not be kept awake by it.)
 */
import * as Effect from "effect/Effect"
import { Heartbeat } from "../../services/Heartbeat.ts"

const INTERVAL_MS = 30_000
const BEHIND_BYTES = 1024 * 1024

/** Never ends. `idle`: connected, and everything that was handed on is acknowledged. */
export const heartbeatLoop = Effect.fnUntraced(function*(idle: () => boolean) {
  const heartbeat = yield* Heartbeat
  const beatIfBehind = Effect.gen(function*() {
    if (!idle()) return
    if ((yield* heartbeat.behindBytes) <= BEHIND_BYTES || !idle()) return
    yield* heartbeat.beat
  }).pipe(Effect.catch((error) => Effect.logDebug("The heartbeat was not written.", error)))
  return yield* Effect.sleep(INTERVAL_MS).pipe(Effect.andThen(beatIfBehind), Effect.forever)
})
