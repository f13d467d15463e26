/**
 * The Notifier: Dispatcher → lanes of each endpoint → HTTP, and the way back: Settlement. What fails for too long
 * goes through a write buffer to the table of parked deliveries, and a feeder brings it back into the lanes. What is
 * for an endpoint that is behind goes through another to segments, and a reader brings it back.
 *
 * Background fibers: one for alarms, a writer each of rows, segments, cursors and ranges, one that follows the endpoints, and
 * one per round of a feeder or read of a segment.
 */
import * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Scope from "effect/Scope"
import * as Semaphore from "effect/Semaphore"
import { BodyWriter } from "../../domain/Body.ts"
import type { EndpointId, SubscriptionId } from "../../domain/Subscription.ts"
import type { CheckpointState } from "../../services/Checkpoint.ts"
import { DeliveryLog } from "../../services/DeliveryLog.ts"
import { EndpointStates } from "../../services/EndpointStates.ts"
import { Notices } from "../../services/Notices.ts"
import { Endpoints } from "../../services/Endpoints.ts"
import { RemovedRows } from "../../services/RemovedRows.ts"
import { FailPoints } from "../../services/FailPoints.ts"
import { Notifier, NotifierError, type Notifying, type Settled } from "../../services/Notifier.ts"
import { ParkedDeliveries } from "../../services/ParkedDeliveries.ts"
import { Segments } from "../../services/Segments.ts"
import { SequenceRanges } from "../../services/SequenceRanges.ts"
import { NotifierSettings } from "../../services/Settings.ts"
import { WalHeld } from "../../services/WalHeld.ts"
import { type DefinitionsInForce, SubscriptionCache } from "../../services/SubscriptionCache.ts"
import type { SubscriptionKey } from "../../services/SubscriptionStore.ts"
import { WebhookTransport } from "../../services/WebhookTransport.ts"
import { Core, NotifierGrips } from "./notifier/Core.ts"
import * as Directory from "./notifier/Directory.ts"
import { Dispatcher } from "./notifier/Dispatcher.ts"
import * as EndpointFates from "./notifier/EndpointFates.ts"
import * as GateLive from "./notifier/GateLive.ts"
import type { LanesWork } from "./notifier/LanesState.ts"
import * as LiveControl from "./notifier/LiveControl.ts"
import * as Feeder from "./notifier/Feeder.ts"
import { loadWaiting } from "./notifier/LoadWaiting.ts"
import { ParkWriter } from "./notifier/ParkWriter.ts"
import { Pressure } from "./notifier/Pressure.ts"
import { RangeWriter } from "./notifier/RangeWriter.ts"
import * as SegmentReader from "./notifier/SegmentReader.ts"
import { SegmentWriter } from "./notifier/SegmentWriter.ts"
import { steadyClock } from "./notifier/steadyClock.ts"
import * as Watch from "./notifier/Watch.ts"
import { Withdrawn } from "./notifier/Withdrawn.ts"
import { OpenNotifiers } from "./WithdrawalsLive.ts"

/** Pages of parked rows in memory at a time, over all endpoints. */
const CONCURRENT_SCANS = 4

/** A failure of a background fiber is the Notifier's; a defect there is one here. */
const failedOf = (core: Core): Effect.Effect<never, NotifierError> => {
  const cause = core.failure === undefined ? undefined : Cause.squash(core.failure)
  if (core.failure !== undefined && Cause.hasDies(core.failure)) return Effect.die(cause)
  return Effect.fail(cause instanceof NotifierError ? cause : new NotifierError({ operation: "deliver", cause }))
}

const rowsOf = (definitions: DefinitionsInForce, key: SubscriptionKey): ReadonlyArray<SubscriptionId> =>
  definitions.current()
    .filter((row) => row.url === key.url && row.schema === key.schema && row.table === key.table)
    .map((row) => row.id)

interface Stores {
  readonly parked: ParkWriter
  readonly segments: SegmentWriter
  readonly ranges: RangeWriter
  /** Stores how far endpoints are with their segments. */
  readonly pass: Effect.Effect<void>
}

const notifying = (core: Core, dispatcher: Dispatcher, { parked, segments, ranges, pass }: Stores): Notifying => {
  let handedOut = 0
  const settled: Effect.Effect<Settled, NotifierError> = Effect.suspend(() => {
    if (core.failure !== undefined) return failedOf(core)
    // Who asks again has stored what there was before.
    core.stored(handedOut)
    const update = core.settlement.next()
    if (update !== undefined) {
      handedOut = update.position
      return Effect.succeed({ update })
    }
    core.settled.closeUnsafe()
    return Effect.andThen(core.settled.await, settled)
  })
  const isIdle = () => core.failure !== undefined || (core.inFlight === 0 && parked.size === 0 && segments.size === 0 && ranges.size === 0)
  const idle: Effect.Effect<void> = Effect.suspend(() => {
    if (isIdle()) return Effect.void
    core.idle.closeUnsafe()
    return Effect.andThen(core.idle.await, idle)
  })
  return {
    offer: (chunk) =>
      Effect.andThen(dispatcher.offer(chunk), Effect.suspend(() => core.failure === undefined ? Effect.void : failedOf(core))),
    settled,
    drain: Effect.suspend(() => {
      core.stopping = true
      return Effect.raceFirst(Effect.andThen(idle, pass), Effect.sleep(core.settings.graceMs))
    }),
    rest: Effect.sync(() => {
      const update = core.settlement.rest()
      return update === undefined ? undefined : { update }
    })
  }
}

export const layer = Layer.effect(
  Notifier,
  Effect.gen(function*() {
    const settings = yield* NotifierSettings
    const cache = yield* SubscriptionCache
    const endpoints = yield* Endpoints
    const store = yield* ParkedDeliveries
    const log = yield* Segments
    const rangeStore = yield* SequenceRanges
    const states = yield* EndpointStates
    const transport = yield* WebhookTransport
    const removed = yield* RemovedRows
    const openNotifiers = yield* OpenNotifiers
    const walHeld = yield* WalHeld
    const notices = yield* Notices
    const deliveryLog = yield* DeliveryLog

    const open = Effect.fnUntraced(function*(from: CheckpointState) {
      const scope = yield* Effect.scope
      const clock = yield* Clock.Clock
      const grips = yield* NotifierGrips
      const { hit } = yield* FailPoints
      const context = yield* Effect.context<never>()
      const runFork = Effect.runForkWith(context)
      const fork = (effect: Effect.Effect<unknown, unknown>) => {
        runFork(Effect.forkIn(Effect.tapCause(effect, (cause) => Effect.sync(() => core.fail(cause))), scope))
      }
      const definitions = yield* Effect.mapError(
        cache.open(from.definitions),
        (cause) => new NotifierError({ operation: "read subscriptions", cause })
      )
      const withdrawn = new Withdrawn(definitions)
      const now = steadyClock(() => clock.currentTimeMillisUnsafe())
      const fates = yield* EndpointFates.make({
        stream: from.stream, disableAfterMs: settings.disableAfterMs, states, endpoints, notices, now
      })
      const core: Core = new Core({
        settings, grips, hit, fork, withdrawn, now, fates, notices,
        log: deliveryLog,
        makeGate: (endpoint) => GateLive.make({ settings, endpoint, random: grips.random }),
        stream: from.stream,
        from: from.position
      })
      const parked = new ParkWriter(core, store)
      const segments = new SegmentWriter(core, log)
      const ranges = new RangeWriter(core, rangeStore)
      const scans = yield* Semaphore.make(CONCURRENT_SCANS)
      const work: LanesWork = {
        feed: (lanes, round) => fork(Feeder.run({ core, store, ranges, scans }, lanes, round)),
        read: (lanes) => fork(SegmentReader.read({ core, store: log, scans }, lanes))
      }
      const directory = Directory.make({
        parts: { core, parked, segments, ranges, work }, store, log, endpoints, transport, scope, definitions,
        counts: from.counts, epochSeed: from.epochSeed
      })
      /** `undefined`: it has no subscription. */
      const known = (id: EndpointId) =>
        Effect.map(Effect.orDie(directory.open(id)), (lanes) => (lanes.gone ? undefined : lanes))
      const withdraw = (ids: ReadonlyArray<SubscriptionId>) => {
        if (ids.length === 0) return
        withdrawn.add(ids)
        for (const lanes of directory.lanes.values()) lanes.sweep()
      }
      const live = { core, store, segments }
      yield* openNotifiers.add({
        withdraw,
        rowsOf: (key) => rowsOf(definitions, key),
        revive: (id, rows, write) => Effect.flatMap(known(id), (lanes) =>
          lanes === undefined ? write : LiveControl.revive(lanes, rows, write)),
        retryNow: (id) => Effect.map(known(id), (lanes) => {
          if (lanes !== undefined) LiveControl.retryNow(core, lanes)
        }),
        erase: (id, write) => Effect.flatMap(known(id), (lanes) =>
          lanes === undefined ? write : LiveControl.erase(live, lanes, write))
      })
      withdraw(yield* removed.gone(definitions.current().map((row) => row.id), 0))
      const bodies = new BodyWriter(grips.slabBytes)
      const dispatcher = new Dispatcher({
        core, definitions, directory, segments,
        pressure: new Pressure({ core, lanes: directory.lanes, walHeld }),
        bodies,
        added: (rows, xid) => Effect.map(removed.gone(rows.map((row) => row.id), xid), withdraw)
      })
      const loading = loadWaiting({ core, store, log, directory, ranges: rangeStore, endpoints, counts: from.counts, from: from.position })
      if (core.rules.loadKeysFirst) yield* loading
      else fork(loading)
      fork(core.alarms.loop)
      fork(parked.loop)
      fork(segments.loop)
      fork(ranges.loop)
      fork(fates.loop)
      fork(Watch.loop({ core, directory, states, endpoints }))
      fork(core.cursors.loop(log, core.stream))
      fork(directory.follow)
      yield* Scope.addFinalizer(scope, Effect.sync(() => {
        core.stopping = true
        core.closed = true
      }))
      const open = notifying(core, dispatcher, { parked, segments, ranges, pass: Effect.ignore(core.cursors.pass(log, core.stream)) })
      return { ...open, isBehind: (id) => directory.lanes.get(id)?.behind === true } satisfies Notifying
    })

    return Notifier.of({ open })
  })
)
