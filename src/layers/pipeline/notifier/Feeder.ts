/**
 * Loads parked rows of one endpoint into its lanes: one round goes through the table in stream order, page by page,
 * and ends at its end, or where it may not go on. What is due enters the lanes; what is not due, or comes behind
 * such a one, is passed over. A row that failed before goes first and alone: what is behind it stays until it is
 * decided. What only removed subscriptions selected is dropped from the table, due or not.
 */
import * as Effect from "effect/Effect"
import type * as Semaphore from "effect/Semaphore"
import type { ParkedDeliveries, ParkedDeliveriesError, ParkedDelivery } from "../../../services/ParkedDeliveries.ts"
import { rangesOf } from "../../../domain/Segment.ts"
import type { SequenceRangesError } from "../../../services/SequenceRanges.ts"
import type { Core } from "./Core.ts"
import type { EndpointLanes } from "./EndpointLanes.ts"
import { type Entry, fromRow } from "./Entry.ts"
import type { FeedRound } from "./FeedRound.ts"
import { untilDone } from "./ParkWriter.ts"
import { compare, later, type Placed } from "./Position.ts"
import type { RangeWriter } from "./RangeWriter.ts"

/** Rows and bytes of bodies in one page. */
const PAGE_ROWS = 256
const PAGE_BYTES = 1024 * 1024
/** Share of an endpoint's bytes that fed rows may take, so that the stream has room beside them. */
const FED_SHARE = 0.5
/** Pause after a failed scan, ms. */
const RETRY_MS = 1_000

/** end: the table has no more · cut: rows stay behind that the write buffer has to make visible · stop: elsewhere. */
type Outcome = "end" | "cut" | "stop" | "more"

export interface FeederOptions {
  readonly core: Core
  readonly store: ParkedDeliveries["Service"]
  readonly ranges: RangeWriter
  /** Bounds the pages of all endpoints that are in memory at a time. */
  readonly scans: Semaphore.Semaphore
}

export const run = (options: FeederOptions, lanes: EndpointLanes, round: FeedRound): Effect.Effect<void, ParkedDeliveriesError | SequenceRangesError> =>
  Effect.gen(function*() {
    const { core, store, scans } = options
    const startedAt = core.now()
    const { dueFrom } = lanes
    lanes.dueFrom = undefined
    let outcome: Outcome = "more"
    let scanMs = 0
    while (outcome === "more") {
      while (!hasRoom(core, lanes) && lanes.mayFeed) {
        round.room.closeUnsafe()
        yield* round.room.await
      }
      if (!lanes.mayFeed) {
        outcome = "stop"
        break
      }
      const from = core.now()
      const dropped: Array<Entry> = []
      outcome = yield* scans.withPermits(1)(Effect.suspend(() => {
        round.beginScan(lanes.table.pending)
        return Effect.map(
          store.scan(core.stream, lanes.id, round.cursor, core.bytes < core.settings.maxQueueBytes && !lanes.isProbing ? PAGE_ROWS : 1, PAGE_BYTES),
          (page) => takePage(core, lanes, round, page, dueFrom, dropped)
        )
      })).pipe(
        Effect.catch((error) =>
          Effect.logWarning("Parked deliveries cannot be read; trying again.", error).pipe(
            Effect.annotateLogs({ endpointId: lanes.id }),
            Effect.andThen(Effect.sleep(RETRY_MS)),
            Effect.as<Outcome>("more")
          ))
      )
      if (dropped.length > 0) yield* withdraw(options, lanes, dropped)
      scanMs += core.now() - from
    }
    // Each row is due before its time once: those that it did not come to, in the next round.
    if (dueFrom !== undefined && outcome !== "end") lanes.dueFrom ??= round.cursor === undefined ? dueFrom : later(dueFrom, round.cursor)
    finish(lanes, round, outcome)
    lanes.roundEnded(round, outcome === "end", Math.min(scanMs, core.now() - startedAt))
  }).pipe(Effect.onInterrupt(() => Effect.sync(() => lanes.roundEnded(round, false, 0))))

/** Each endpoint may have one row in its lanes, however full the others are; and no more while it is probed. */
const hasRoom = (core: Core, lanes: EndpointLanes): boolean =>
  lanes.fedBytes === 0 ||
  (!lanes.isProbing && lanes.fedBytes < core.settings.maxEndpointBytes * FED_SHARE && core.bytes < core.settings.maxQueueBytes)

const takePage = (
  core: Core,
  lanes: EndpointLanes,
  round: FeedRound,
  page: ReadonlyArray<ParkedDelivery>,
  dueFrom: Placed | undefined,
  dropped: Array<Entry>
): Outcome => {
  const { rules } = core
  if (!lanes.mayFeed) return "stop"
  if (page.length === 0) return "end"
  const now = core.now()
  const limit = lanes.feedLimit
  for (const row of page) {
    if (rules.feedBelowBuffer && !round.isBelowBuffer(row)) return "cut"
    if (compare(row, limit) > 0) {
      lanes.table.limited = true
      return "stop"
    }
    round.cursor = row
    if (lanes.table.known.has(row.id)) {
      if (lanes.table.isProbe(row.id)) round.probes.add(row.keys)
      else if (!rules.rememberDecided) lanes.load(fromRow(row, lanes.epoch))
      continue
    }
    if (rules.rememberDecided && round.isStale(row)) continue
    if (!round.isBack(row) && core.withdrawn.isGone(row.selectedBy)) {
      const entry = fromRow(row, lanes.epoch)
      lanes.table.load(entry)
      lanes.budget.rowsChanged(-entry.body.byteLength)
      dropped.push(entry)
    } else if (round.isBack(row) || (rules.heldRowsHold && round.blocks(row))) round.pass(row)
    else if (row.dueAtMs > now && (dueFrom === undefined || compare(row, dueFrom) <= 0)) {
      round.pass(row)
      round.nextDueMs = Math.min(round.nextDueMs, row.dueAtMs)
    } else {
      const entry = fromRow(row, lanes.epoch)
      lanes.load(entry)
      if (entry.attempts > 0) round.probes.add(row.keys)
    }
  }
  // What is held is kept in memory: with more keys than may be kept, the rest waits until some are decided.
  return round.held.size > 2 * core.settings.maxParkedKeys ? "stop" : "more"
}

/** Dropped rows leave the table before the next page is read, so that they never pile up in memory; their numbers are kept. */
const withdraw = ({ core, store, ranges }: FeederOptions, lanes: EndpointLanes, dropped: ReadonlyArray<Entry>) =>
  ranges.add(lanes.id, "withdrawn", rangesOf(dropped), lanes.epoch).pipe(
    Effect.andThen(untilDone(store.remove(core.stream, lanes.id, dropped.map((entry) => entry.id)))),
    Effect.map(() => {
      for (const entry of dropped) lanes.removed(entry.id)
      lanes.withdrawn += dropped.length
      lanes.tellWithdrawn()
    })
  )

/** The write buffer has something that no row which was passed over holds up: another round has to see it. */
const hasFree = (lanes: EndpointLanes, round: FeedRound): boolean => {
  for (const entry of lanes.table.pending) if (!round.blocks(entry)) return true
  return lanes.table.pending.size === 0
}

const finish = (lanes: EndpointLanes, round: FeedRound, outcome: Outcome): void => {
  if (round.nextDueMs < Infinity) lanes.request(round.nextDueMs)
  if (outcome === "cut") lanes.table.roundWasCut()
  if (outcome === "end" && !round.clean && hasFree(lanes, round)) lanes.table.roundWasCut()
}
