/**
 * What is looked at once a second for all endpoints: budgets of what waits for them, barriers that have waited for long,
 * and whether anything is left of those that ended.
 */
import * as Effect from "effect/Effect"
import type { Endpoints } from "../../../services/Endpoints.ts"
import type { EndpointStates, EndpointStatesError } from "../../../services/EndpointStates.ts"
import type { Core } from "./Core.ts"
import type { OpenDirectory } from "./Directory.ts"
import type { EndpointLanes } from "./EndpointLanes.ts"
import { untilDone } from "./ParkWriter.ts"

const PAUSE_MS = 1_000
/** A barrier that has waited for so long is told of, ms. */
const BARRIER_MS = 3_600_000
/** This process must have seen it for so long, ms: it may have been stopped for hours, and what is due goes first. */
const SEEN_MS = 60_000
/** It has none. */
const NONE = Infinity

export interface WatchOptions {
  readonly core: Core
  readonly directory: Pick<OpenDirectory, "lanes" | "retire">
  readonly states: EndpointStates["Service"]
  readonly endpoints: Endpoints["Service"]
}

/** Never ends by itself; fails when the stream was taken over. */
export const loop = (options: WatchOptions): Effect.Effect<never, EndpointStatesError> => {
  const barriers: Barriers = new WeakMap()
  return Effect.gen(function*() {
    yield* Effect.sleep(PAUSE_MS)
    const { core, directory } = options
    core.holdStream("store budget", core.settings.storeBudgetBytes > 0 && core.waitingBytes > core.settings.storeBudgetBytes)
    for (const each of directory.lanes.values()) {
      lookAtBarriers(core, each, barriers)
      const suspended = lookAtBudget(options, each)
      if (suspended !== undefined) yield* suspended
    }
    directory.retire()
  }).pipe(Effect.forever)
}

const lookAtBudget = (options: WatchOptions, lanes: EndpointLanes): Effect.Effect<void, EndpointStatesError> | undefined => {
  const { core } = options
  const { budget } = lanes
  const over = lanes.gone ? undefined : budget.over
  const { budgetAction } = core.settings
  if (budgetAction === "pause-slot") core.holdStream(`budget of ${lanes.id}`, over !== undefined)
  else if (budgetAction === "dead-letter") budget.deadLetters = over !== undefined
  else if (over !== undefined && !budget.suspending && lanes.endpoint.suspended !== true) return suspend(options, lanes, over)
  return undefined
}

const suspend = ({ core, endpoints, states }: WatchOptions, lanes: EndpointLanes, reason: string) => {
  const { id, budget } = lanes
  budget.suspending = true
  return Effect.map(untilDone(states.suspend(core.stream, id, `its budget is used up: ${reason}`)), () => {
    endpoints.refreshSoon?.()
    const mend = `pgstream subscriptions resume ${id}`
    core.warn("An endpoint is suspended: its events are counted, not kept, until it is resumed.", { endpointId: id, reason, mend })
    core.notices.tell({
      kind: "endpoint_suspended", endpointId: id, facts: { reason, bytes: budget.bytes },
      message: `Endpoint ${id} is suspended: ${reason}. Further events are counted, not kept. Resume it:   ${mend}`
    })
  })
}

/** When it is to be told that a barrier of the endpoint has waited for long, ms; `NONE`: it has no barrier. */
type Barriers = WeakMap<EndpointLanes, number>

/** The reader waits until some of the rows are gone, whatever the keys of what comes next. */
const isStuck = ({ segments, table }: EndpointLanes): boolean => table.isOverfull && segments.hasUnread

/** In total order each row holds up all others. */
const barriersOf = ({ mode, table }: EndpointLanes): number => (mode === "total" ? Number(table.hasRows) : table.barriers)

const isHeldUp = (lanes: EndpointLanes): boolean => !lanes.gone && (barriersOf(lanes) > 0 || isStuck(lanes))

/** Of an endpoint that had a barrier, and has none in the table: it may be in hand, and comes back. */
const isOver = (lanes: EndpointLanes): boolean => lanes.gone || (!isHeldUp(lanes) && !lanes.table.hasBarrierInHand)

const blockedOf = (lanes: EndpointLanes): string => {
  const { id, mode } = lanes
  if (mode === "total") return `The first event of endpoint ${id}, whose order is total, has waited for an hour, and holds up all that come after it.`
  return barriersOf(lanes) === 0 && isStuck(lanes)
    ? `So many rows wait for endpoint ${id} that, for an hour, nothing that came after them was tried.`
    : `Something that holds a whole table (a TRUNCATE, a schema event, a row without a key) has waited for an hour for endpoint ${id}, and holds up what comes after it.`
}

/** Those that a start found in the table have waited since they were parked. */
const tellAtMs = ({ mode, table }: EndpointLanes, now: number): number => {
  const sinceMs = Math.min(now, mode === "total" ? table.foundSince.any : table.foundSince.barrier)
  return Math.max(sinceMs + BARRIER_MS, now + SEEN_MS)
}

const lookAtBarriers = (core: Core, lanes: EndpointLanes, barriers: Barriers): void => {
  const now = core.now()
  const known = barriers.get(lanes)
  if (known === NONE ? !isHeldUp(lanes) : isOver(lanes)) {
    const { table } = lanes
    if (known !== NONE || (table.foundSince.any < Infinity && !table.hasBarrierInHand)) table.forgetFound()
    if (known === NONE) return
    // At the first look, too: a process before may have told of one.
    core.notices.over("barrier_waiting", lanes.id)
    barriers.set(lanes, NONE)
  } else if (known === undefined || known === NONE) barriers.set(lanes, tellAtMs(lanes, now))
  else if (now >= known) {
    core.notices.tell({
      kind: "barrier_waiting", endpointId: lanes.id, facts: { waiting: Math.max(1, barriersOf(lanes)) },
      message: `${blockedOf(lanes)} See what it is, and what it waits for, with   pgstream deliveries list --blocking --endpoint ${lanes.id}`
    })
  }
}
