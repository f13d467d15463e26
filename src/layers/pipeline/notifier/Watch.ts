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
  const barriers = new WeakMap<EndpointLanes, number>()
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

/** In total order each row holds up all others. */
const barriersOf = ({ mode, table }: EndpointLanes): number => (mode === "total" ? Number(table.hasRows) : table.barriers)

/** Of an endpoint that had a barrier, and has none in the table: it may be in hand, and comes back. */
const isBarrierGone = (lanes: EndpointLanes, from: number | undefined): boolean =>
  lanes.gone || (barriersOf(lanes) === 0 && (from === undefined || !lanes.table.hasBarrierInHand))

const blockedOf = ({ id, mode }: EndpointLanes): string =>
  mode === "total"
    ? `The first event of endpoint ${id}, whose order is total, has waited for an hour, and holds up all that come after it.`
    : `Something that holds a whole table (a TRUNCATE, a schema event, a row without a key) has waited for an hour for endpoint ${id}, and holds up what comes after it.`

const lookAtBarriers = (core: Core, lanes: EndpointLanes, since: WeakMap<EndpointLanes, number>): void => {
  const now = core.now()
  const known = since.get(lanes)
  const from = known === NONE ? undefined : known
  if (isBarrierGone(lanes, from)) {
    // At the first look, too: a process before may have told of one.
    if (known !== NONE) core.notices.over("barrier_waiting", lanes.id)
    since.set(lanes, NONE)
  } else if (from === undefined) since.set(lanes, now)
  else if (now - from >= BARRIER_MS) {
    core.notices.tell({
      kind: "barrier_waiting", endpointId: lanes.id, facts: { waiting: Math.max(1, barriersOf(lanes)) },
      message: `${blockedOf(lanes)} See what it is, and what it waits for, with   pgstream deliveries list --blocking --endpoint ${lanes.id}`
    })
  }
}
