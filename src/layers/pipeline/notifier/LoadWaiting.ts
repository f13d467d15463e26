/**
 * What a start loads before the stream: who has a backlog in segments, the keys of all that waits in the table, and the
 * ids of rows whose events come once more: from the stream above its position, or from segments behind a stored cursor.
 */
import * as Effect from "effect/Effect"
import type { Lsn } from "../../../domain/Lsn.ts"
import * as Ranges from "../../../domain/Ranges.ts"
import type { EndpointId } from "../../../domain/Subscription.ts"
import type { EndpointCount } from "../../../services/Checkpoint.ts"
import type { Endpoints } from "../../../services/Endpoints.ts"
import { NotifierError } from "../../../services/Notifier.ts"
import type { ParkedCursor, ParkedDeliveries } from "../../../services/ParkedDeliveries.ts"
import type { Segments, SegmentsError } from "../../../services/Segments.ts"
import type { SequenceRanges, SequenceRangesError } from "../../../services/SequenceRanges.ts"
import type { Core } from "./Core.ts"
import type { Directory } from "./Dispatcher.ts"
import { untilDone } from "./ParkWriter.ts"

/** Rows of one page; without bodies. */
const PAGE_ROWS = 5_000

export interface LoadOptions {
  readonly core: Core
  readonly store: ParkedDeliveries["Service"]
  readonly log: Segments["Service"]
  readonly directory: Directory
  readonly ranges: SequenceRanges["Service"]
  readonly endpoints: Endpoints["Service"]
  /** Of the checkpoint. */
  readonly counts: ReadonlyMap<EndpointId, EndpointCount>
  readonly from: Lsn
}

const failed = (operation: string) => (cause: unknown) => new NotifierError({ operation, cause })

/** Returns for each endpoint a position at or below the first that its reader brings again. */
const loadBacklogs = Effect.fnUntraced(function*({ core, log, directory, from }: LoadOptions) {
  const backlogs = yield* log.open(core.stream, core.rules.cutAtStart ? from : Infinity)
  const firsts = new Map<EndpointId, Lsn>()
  for (const backlog of backlogs) {
    const lanes = yield* directory.open(backlog.endpointId)
    if (!lanes.gone) lanes.startBehind(backlog)
    firsts.set(backlog.endpointId, lanes.gone ? from : backlog.lowestLsn)
  }
  return firsts
}, (effect) => Effect.mapError(effect, (error: SegmentsError | NotifierError) =>
  error instanceof NotifierError ? error : failed("open segments")(error)))

/**
 * What an operator erased above the checkpoint: the stream brings it again, under the same numbers. Of endpoints that
 * ended nothing is looked at.
 */
const loadErased = Effect.fnUntraced(function*({ core, counts, directory, endpoints, ranges }: LoadOptions) {
  const all = yield* untilDone(ranges.list(core.stream, undefined, "purged"))
  const erased = new Map<EndpointId, Array<Ranges.Range>>()
  for (const { endpointId, epoch, first, last } of all) {
    const known = counts.get(endpointId)
    if (endpoints.get(endpointId) === undefined || (known !== undefined && (known.epoch !== epoch || last <= known.count))) continue
    const lanes = yield* directory.open(endpointId)
    if (lanes.gone || lanes.epoch !== epoch) continue
    const found = erased.get(endpointId) ?? []
    erased.set(endpointId, found)
    found.push({ first, last })
  }
  for (const [id, found] of erased) (yield* directory.open(id)).erased = Ranges.fromRanges(found)
}, (effect) => Effect.mapError(effect, (error: SequenceRangesError | NotifierError) =>
  error instanceof NotifierError ? error : failed("read what was erased")(error)))

export const loadWaiting = Effect.fnUntraced(function*(options: LoadOptions) {
  const { core, store, directory, from } = options
  yield* loadErased(options)
  const firsts = yield* loadBacklogs(options)
  const idsFrom = [...firsts.values()].reduce((lowest, first) => Math.min(lowest, first), from)
  let after: { readonly endpointId: EndpointId; readonly cursor: ParkedCursor } | undefined
  for (;;) {
    const page = yield* Effect.mapError(store.loadKeys(core.stream, after, PAGE_ROWS, idsFrom), failed("load parked keys"))
    const last = page.at(-1)
    if (last === undefined) break
    for (const row of page) {
      const lanes = yield* directory.open(row.endpointId)
      if (lanes.gone) continue
      if (row.commitLsn >= from) {
        lanes.addFuture(row)
        directory.withFuture.add(lanes)
      } else lanes.addStored(row, firsts.get(row.endpointId) ?? from)
    }
    after = { endpointId: last.endpointId, cursor: { commitLsn: last.commitLsn, ordinal: last.ordinal } }
  }
  core.loading = false
  for (const lanes of directory.lanes.values()) {
    // It is over its budget and not suspended: it was resumed before the start.
    if (core.settings.budgetAction === "suspend" && lanes.endpoint.suspended !== true) lanes.budget.forgive()
    lanes.resume()
  }
})
