/**
 * What a start loads before the stream: keys of all that waits in the table, and the ids above the start position,
 * which the stream will bring again.
 */
import * as Effect from "effect/Effect"
import { type ParkedDeliveries, type ParkedCursor } from "../../../services/ParkedDeliveries.ts"
import type { EndpointId } from "../../../domain/Subscription.ts"
import type { Lsn } from "../../../domain/Lsn.ts"
import { NotifierError } from "../../../services/Notifier.ts"
import type { Core } from "./Core.ts"
import type { Directory } from "./Dispatcher.ts"

/** Rows of one page; without bodies. */
const PAGE_ROWS = 5_000

export const loadParked = Effect.fnUntraced(function*(
  core: Core,
  store: ParkedDeliveries["Service"],
  directory: Directory,
  from: Lsn
) {
  let after: { readonly endpointId: EndpointId; readonly cursor: ParkedCursor } | undefined
  for (;;) {
    const page = yield* Effect.mapError(
      store.loadKeys(core.stream, after, PAGE_ROWS),
      (cause) => new NotifierError({ operation: "load parked keys", cause })
    )
    const last = page.at(-1)
    if (last === undefined) break
    for (const row of page) {
      const lanes = yield* directory.open(row.endpointId)
      if (lanes.gone) continue
      if (row.commitLsn >= from) {
        lanes.table.future.add(row)
        directory.withFuture.add(lanes)
        // Too many to remember: the table itself keeps what is written twice as it was.
        if (lanes.table.future.size > core.settings.maxParkedKeys) {
          lanes.table.future.forget()
          lanes.table.parkEverything()
        }
      } else if (row.state === "waiting") lanes.table.addStored(row.keys)
    }
    after = { endpointId: last.endpointId, cursor: { commitLsn: last.commitLsn, ordinal: last.ordinal } }
  }
  for (const lanes of directory.lanes.values()) if (lanes.table.unloaded > 0) lanes.request(core.now())
})
