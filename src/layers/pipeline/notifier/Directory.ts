/**
 * The endpoints of one open Notifier: opened when the first event or parked row of one comes, opened anew when one
 * changes, withdrawn when one goes. Connections live in scopes of their own, below the Notifier's.
 */
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import { createHash } from "node:crypto"
import { type Endpoint, type EndpointId, sendsAlike } from "../../../domain/Subscription.ts"
import type { EndpointCount } from "../../../services/Checkpoint.ts"
import type { Endpoints } from "../../../services/Endpoints.ts"
import { NotifierError } from "../../../services/Notifier.ts"
import type { WebhookTransport } from "../../../services/WebhookTransport.ts"
import type { NumberRange } from "../../../domain/Segment.ts"
import type { ParkedDeliveries, ParkedDeliveriesError } from "../../../services/ParkedDeliveries.ts"
import type { Segments, SegmentsError } from "../../../services/Segments.ts"
import type { Directory } from "./Dispatcher.ts"
import { EndpointLanes } from "./EndpointLanes.ts"
import type { LanesParts } from "./LanesState.ts"
import { LanesLink } from "./LanesLink.ts"
import { untilDone } from "./ParkWriter.ts"

export interface DirectoryOptions {
  readonly parts: LanesParts
  readonly store: ParkedDeliveries["Service"]
  readonly log: Segments["Service"]
  readonly endpoints: Endpoints["Service"]
  readonly transport: WebhookTransport["Service"]
  readonly counts: ReadonlyMap<EndpointId, EndpointCount>
  readonly epochSeed: string | undefined
  readonly scope: Scope.Scope
}

/** The same after each start from one checkpoint: a kill before the next one is stored changes no epoch. */
const firstEpoch = (seed: string | undefined, id: EndpointId): string | undefined =>
  seed === undefined ? undefined : createHash("sha256").update(`${seed} ${id}`).digest("hex").slice(0, 16)

type StoreError = ParkedDeliveriesError | SegmentsError

/** Stands for an endpoint that is gone: nothing is sent to it. */
const nobody = (id: EndpointId): Endpoint => ({
  id, url: "", order: "none", concurrency: 1, paused: false, pausedReason: undefined
})

export interface OpenDirectory extends Directory {
  /** Takes over what changes at the endpoints. Never ends by itself. */
  readonly follow: Effect.Effect<void, NotifierError>
}

export const make = (options: DirectoryOptions): OpenDirectory => {
  const { parts, store, log, endpoints, transport, counts, epochSeed, scope } = options
  const { core } = parts
  const lanes = new Map<EndpointId, EndpointLanes>()

  const link = Effect.fnUntraced(function*(endpoint: Endpoint) {
    const own = yield* Scope.fork(scope)
    const connection = yield* Effect.provideService(transport.open(endpoint), Scope.Scope, own)
    return new LanesLink(connection, () => core.fork(Scope.close(own, Exit.void)))
  })

  const open = Effect.fnUntraced(function*(id: EndpointId) {
    const there = lanes.get(id)
    if (there !== undefined) return there
    const found = endpoints.get(id) ?? (yield* Effect.mapError(
      endpoints.fetch(id),
      (cause) => new NotifierError({ operation: `read endpoint ${id}`, cause })
    ))
    const endpoint = found ?? nobody(id)
    const opened = new EndpointLanes(
      parts, endpoint, yield* link(endpoint),
      counts.get(id) ?? { count: 0, epoch: firstEpoch(epochSeed, id) ?? core.grips.newEpoch() }
    )
    lanes.set(id, opened)
    if (found === undefined) yield* end(opened)
    // What changed meanwhile was told to nobody.
    const now = endpoints.get(id)
    if (now !== undefined) yield* changed(id, now)
    return opened
  })

  /** Of the store: the numbers of what it has are kept, then all of that goes. Returns how many there were. */
  const forget = Effect.fnUntraced(function*({ id, epoch }: EndpointLanes) {
    yield* parts.segments.flushed
    core.cursors.forget(id)
    for (const part of [store, log]) {
      yield* parts.ranges.add(id, "withdrawn", yield* untilDone<ReadonlyArray<NumberRange>, StoreError>(part.numbers(core.stream, id)), epoch)
    }
    return (yield* untilDone(store.end(core.stream, id))) + (yield* untilDone(log.end(core.stream, id)))
  })

  const end = Effect.fnUntraced(function*(gone: EndpointLanes) {
    gone.end()
    const parked = yield* Effect.mapError(forget(gone), (cause) => new NotifierError({ operation: `end endpoint ${gone.id}`, cause }))
    if (gone.gone) gone.table.cleared()
    gone.tellWithdrawn()
    yield* Effect.logInfo("An endpoint has no subscription any more: it ended.").pipe(
      Effect.annotateLogs({ endpointId: gone.id, parked })
    )
  })

  const changed = Effect.fnUntraced(function*(id: EndpointId, endpoint: Endpoint | undefined) {
    const there = lanes.get(id)
    if (there === undefined) return
    if (endpoint === undefined) return yield* end(there)
    if (!there.gone && sendsAlike(there.endpoint, endpoint)) return
    there.configure(endpoint, yield* link(endpoint))
    yield* Effect.logInfo(endpoint.paused ? "Endpoint paused: its events wait in the store." : "Endpoint settings changed.").pipe(
      Effect.annotateLogs({ endpointId: id })
    )
  })

  const follow = endpoints.changes.pipe(
    Stream.runForEach(({ id, endpoint }) => changed(id, endpoint)),
    Effect.mapError((cause) => new NotifierError({ operation: "follow endpoints", cause }))
  )

  return { lanes, withFuture: new Set(), open, follow }
}
