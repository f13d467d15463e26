/** What operators' tools ask of a Notifier that is open (`LiveDeliveries`), for one endpoint that it knows. */
import * as Effect from "effect/Effect"
import type { LoadedKeys, ParkedDeliveries, ParkedKeys } from "../../../services/ParkedDeliveries.ts"
import type { Core } from "./Core.ts"
import type { EndpointLanes } from "./EndpointLanes.ts"
import { untilDone } from "./ParkWriter.ts"
import type { SegmentWriter } from "./SegmentWriter.ts"

/** Between two looks whether requests and writes have ended, ms. */
const LOOK_MS = 20
const PAGE_ROWS = 5_000

export interface LiveOptions {
  readonly core: Core
  readonly store: ParkedDeliveries["Service"]
  readonly segments: SegmentWriter
}

/** Dead rows that are about to wait again hold their keys before `write` makes them wait. */
export const revive = <A, E>(lanes: EndpointLanes, rows: ReadonlyArray<ParkedKeys>, write: Effect.Effect<A, E>): Effect.Effect<A, E> =>
  Effect.suspend(() => {
    for (const row of rows) lanes.table.addStored(row)
    if (lanes.mode === "total") lanes.goBehind("the first one is parked")
    return write
  }).pipe(
    Effect.tap(() => Effect.sync(() => {
      for (const row of rows) lanes.table.mayHave(row)
      lanes.countRevived(rows.length)
      lanes.resume()
    })),
    Effect.onError(() => Effect.sync(() => {
      for (const row of rows) lanes.table.removeStored(row)
    }))
  )

/** Whatever kept it from trying holds no more. */
export const retryNow = (core: Core, lanes: EndpointLanes): void => {
  lanes.attempts.gate.configure(lanes.endpoint, core.now())
  lanes.requestAll()
}

/**
 * Nothing of the endpoint is in memory while `write` runs: its events go to segments, its lanes are empty, its writes are
 * durable. What is left then is read again.
 */
export const erase = <A, E>(options: LiveOptions, lanes: EndpointLanes, write: Effect.Effect<A, E>): Effect.Effect<A, E> =>
  Effect.acquireUseRelease(
    Effect.sync(() => {
      lanes.erasing = true
      lanes.giveWay("an operator erases deliveries")
    }),
    () => Effect.gen(function*() {
      yield* options.segments.flushed
      while (!lanes.isQuiet && !options.core.closed) yield* Effect.sleep(LOOK_MS)
      return yield* Effect.ensuring(write, Effect.ignore(readAgain(options, lanes)))
    }),
    () => Effect.sync(() => {
      lanes.erasing = false
      lanes.resume()
    })
  )

const readAgain = Effect.fnUntraced(function*({ core, store }: LiveOptions, lanes: EndpointLanes) {
  const rows: Array<LoadedKeys> = []
  let after = { endpointId: lanes.id, cursor: { commitLsn: 0, ordinal: Number.MIN_SAFE_INTEGER } }
  for (;;) {
    const page = yield* untilDone(store.loadKeys(core.stream, after, PAGE_ROWS, Number.MAX_SAFE_INTEGER))
    const own = page.filter((row) => row.endpointId === lanes.id)
    rows.push(...own.filter((row) => row.state === "waiting"))
    const last = own.at(-1)
    if (last === undefined || own.length < page.length) break
    after = { endpointId: lanes.id, cursor: { commitLsn: last.commitLsn, ordinal: last.ordinal } }
  }
  lanes.table.replace(rows)
  lanes.budget.setRows(rows.reduce((sum, { bytes }) => sum + bytes, 0))
})
