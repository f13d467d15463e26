/**
 * The endpoints of one open Notifier: opened when the first event or parked row of one comes, opened anew when one
 * changes, withdrawn when one goes, let go of when nothing of one is left. Connections live in scopes of their own,
 * below the Notifier's.
 */
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Scope from "effect/Scope"
import * as Semaphore from "effect/Semaphore"
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
import type { DefinitionsInForce } from "../../../services/SubscriptionCache.ts"
import type { Directory } from "./Dispatcher.ts"
import { EndpointLanes } from "./EndpointLanes.ts"
import type { LanesParts } from "./LanesState.ts"
import { LanesLink } from "./LanesLink.ts"
import { untilDone } from "./ParkWriter.ts"

/** Endpoints that ended whose counts are remembered: only SQL that names the id of one brings it back. */
const ENDED_COUNTS = 10_000

export interface DirectoryOptions {
  readonly parts: LanesParts
  readonly store: ParkedDeliveries["Service"]
  readonly log: Segments["Service"]
  readonly endpoints: Endpoints["Service"]
  readonly transport: WebhookTransport["Service"]
  readonly definitions: Pick<DefinitionsInForce, "current">
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
  /**
   * Lets go of those that ended: no definition where the stream is names them, nothing of them is in flight, in memory or
   * on its way to the store, and their last number is with the commit that gave it.
   */
  retire(): void
}

/** Of one that ended: everything that was begun is over. */
const isLeft = (lanes: EndpointLanes): boolean =>
  lanes.gone && !lanes.counted && !lanes.erasing && lanes.isQuiet && lanes.attempts.link.inFlight === 0

export const make = (options: DirectoryOptions): OpenDirectory => {
  const { parts, store, log, endpoints, transport, counts, definitions, epochSeed, scope } = options
  const { core } = parts
  const lanes = new Map<EndpointId, EndpointLanes>()
  const withFuture = new Set<EndpointLanes>()
  /** Ended, and gone from the store. */
  const ended = new Set<EndpointLanes>()
  /** What the store has of one goes by its id: none comes back, or is let go of, while that is under way. */
  const alone = Semaphore.makeUnsafe(1)
  let ends = 0
  /** The last numbers of those that were let go of. */
  const endedCounts = new Map<EndpointId, EndpointCount>()

  const countOf = (id: EndpointId): EndpointCount =>
    endedCounts.get(id) ?? counts.get(id) ?? { count: 0, epoch: firstEpoch(epochSeed, id) ?? core.grips.newEpoch() }

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
    const connection = yield* link(endpoint)
    const meanwhile = lanes.get(id)
    if (meanwhile !== undefined) {
      connection.retire()
      return meanwhile
    }
    const opened = new EndpointLanes(parts, endpoint, connection, countOf(id))
    endedCounts.delete(id)
    lanes.set(id, opened)
    if (found === undefined) yield* end(opened)
    // What changed meanwhile was told to nobody.
    const now = endpoints.get(id)
    if (now !== undefined) yield* changed(id, now)
    return opened
  })

  /** Of the store: the numbers of what it has are kept, then all of that goes. Returns how many there were. */
  const forget = Effect.fnUntraced(function*(gone: EndpointLanes) {
    const { epoch, id } = gone
    yield* parts.segments.flushed
    core.cursors.forget(id)
    for (const part of [store, log]) {
      yield* parts.ranges.add(id, "withdrawn", yield* untilDone<ReadonlyArray<NumberRange>, StoreError>(part.numbers(core.stream, id)), epoch)
    }
    const parked = (yield* untilDone(store.end(core.stream, id))) + (yield* untilDone(log.end(core.stream, id)))
    if (gone.gone) {
      gone.table.cleared()
      ended.add(gone)
    }
    return parked
  })

  const end = Effect.fnUntraced(function*(gone: EndpointLanes) {
    gone.end()
    const parked = yield* Effect.mapError(alone.withPermits(1)(forget(gone)), (cause) => new NotifierError({ operation: `end endpoint ${gone.id}`, cause }))
    gone.tellWithdrawn()
    yield* Effect.logInfo("An endpoint has no subscription any more: it ended.").pipe(
      Effect.annotateLogs({ endpointId: gone.id, parked })
    )
  }, (effect) => Effect.suspend(() => {
    ends++
    return Effect.ensuring(effect, Effect.sync(() => void ends--))
  }))

  const configure = Effect.fnUntraced(function*(there: EndpointLanes, endpoint: Endpoint) {
    if (lanes.get(there.id) !== there) return
    const connection = yield* link(endpoint)
    ended.delete(there)
    there.configure(endpoint, connection)
  })

  const changed = Effect.fnUntraced(function*(id: EndpointId, endpoint: Endpoint | undefined) {
    const there = lanes.get(id)
    if (there === undefined) return
    if (endpoint === undefined) return yield* end(there)
    if (!there.gone && sendsAlike(there.endpoint, endpoint)) return
    yield* alone.withPermits(1)(configure(there, endpoint))
    yield* Effect.logInfo(endpoint.paused ? "Endpoint paused: its events wait in the store." : "Endpoint settings changed.").pipe(
      Effect.annotateLogs({ endpointId: id })
    )
  })

  const follow = endpoints.changes.pipe(
    Stream.runForEach(({ id, endpoint }) => changed(id, endpoint)),
    Effect.mapError((cause) => new NotifierError({ operation: "follow endpoints", cause }))
  )

  const letGo = (gone: EndpointLanes): void => {
    lanes.delete(gone.id)
    ended.delete(gone)
    withFuture.delete(gone)
    gone.budget.clear()
    gone.attempts.link.retire()
    endedCounts.set(gone.id, { count: gone.count, epoch: gone.epoch })
    for (const id of endedCounts.keys()) {
      if (endedCounts.size <= ENDED_COUNTS) break
      endedCounts.delete(id)
    }
  }

  const retire = (): void => {
    if (ended.size === 0 || ends > 0 || core.loading) return
    const found = [...ended].filter(isLeft)
    if (found.length === 0) return
    const named = new Set(definitions.current().map(({ endpointId }) => endpointId))
    for (const gone of found) if (!named.has(gone.id)) letGo(gone)
  }

  return { lanes, withFuture, open, follow, retire }
}
