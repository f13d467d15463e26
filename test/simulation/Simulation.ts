/**
 * One run: the real Notifier over a simulated transport, table and checkpoint, killed and started again as the plan
 * says, watched by the oracle. `run` returns what went wrong first, or `undefined`.
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Queue from "effect/Queue"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import type { Change } from "../../src/domain/Change.ts"
import type { Item } from "../../src/domain/Chunk.ts"
import type { Rules } from "../../src/domain/Rules.ts"
import type { Endpoint, Selection, Subscription } from "../../src/domain/Subscription.ts"
import { NotifierGrips } from "../../src/layers/pipeline/notifier/Core.ts"
import * as NotifierLayer from "../../src/layers/pipeline/Notifier.ts"
import type { CheckpointState, EndpointCount } from "../../src/services/Checkpoint.ts"
import { OpenNotifiers } from "../../src/layers/pipeline/WithdrawalsLive.ts"
import { Endpoints } from "../../src/services/Endpoints.ts"
import { EndpointStates } from "../../src/services/EndpointStates.ts"
import { Notifier, type NotifierError, type Notifying, type Settled } from "../../src/services/Notifier.ts"
import { ParkedDeliveries } from "../../src/services/ParkedDeliveries.ts"
import { Segments } from "../../src/services/Segments.ts"
import { RemovedRows } from "../../src/services/RemovedRows.ts"
import { SequenceRanges } from "../../src/services/SequenceRanges.ts"
import { notifierDefaults, NotifierSettings } from "../../src/services/Settings.ts"
import { SubscriptionCache } from "../../src/services/SubscriptionCache.ts"
import { WebhookTransport } from "../../src/services/WebhookTransport.ts"
import { type Answer, type Play, type Received, service as scripted } from "../support/ScriptedTransport.ts"
import { SimulatedRanges } from "../support/SimulatedRanges.ts"
import { SimulatedSegments } from "../support/SimulatedSegments.ts"
import { SimulatedStore, type StoreTiming } from "../support/SimulatedStore.ts"
import { makeStream, type SimulatedEvent, type SimulatedStream } from "./Events.ts"
import { Oracle } from "./Oracle.ts"
import type { EndpointPlan, Plan } from "./Plan.ts"
import { Random } from "./Random.ts"
import { VirtualTime } from "./VirtualTime.ts"

const START_MS = 1_000_000
const LIMIT_MS = START_MS + 3_600_000
const stream = { systemIdentifier: "1", slotName: "simulated" }

interface World {
  readonly plan: Plan
  readonly rules: Rules
  readonly random: Random
  readonly stream: SimulatedStream
  readonly store: SimulatedStore
  readonly segments: SimulatedSegments
  readonly ranges: SimulatedRanges
  /** Endpoints that answered 410, until they are resumed. */
  readonly disabled: Set<string>
  /** The transaction that removes the second subscriptions. */
  readonly removedLsn: number
  readonly oracle: Oracle
  /** Attempts of each poisonous event by endpoint. */
  readonly poison: Map<string, number>
  position: number
  readonly counts: Map<string, EndpointCount>
  now: number
}

/** The process: what ends with a kill. */
interface Life {
  readonly time: VirtualTime
  notifying: Notifying | undefined
  failure: string | undefined
  /** It stops gracefully. */
  stopping: boolean
}

const selects = (endpoint: EndpointPlan, table: string): boolean =>
  endpoint.tables.length === 0 || endpoint.tables.includes(table)

/** The first subscription has inserts and the like, the second, if there is one, has the rest. */
const rowFor = (endpoint: EndpointPlan, change: Change): "s" | "x" =>
  endpoint.second && (change.kind === "U" || change.kind === "D") ? "x" : "s"

const SECOND: Subscription = { id: "x", endpointId: "e1", url: "x", schema: "", table: "", eventTypes: [], createdAtUs: 0 }

const isWithdrawn = ({ plan }: World, now: number): boolean => now > START_MS + plan.withdrawnMs

/** The commit of one of the transactions removes the second subscriptions. */
const withRemoval = (stream: SimulatedStream, plan: Plan): { readonly events: SimulatedStream; readonly removedLsn: number } => {
  const removedLsn = stream.events[Math.floor(plan.removedAt * stream.events.length)]!.commitLsn
  const items = stream.items.map((item): Item =>
    item._tag === "Commit" && item.transaction.commitLsn === removedLsn ? { ...item, definitions: { upserted: [], removed: ["x"] } } : item)
  return { events: { ...stream, items }, removedLsn }
}

const inWindow = (windows: ReadonlyArray<readonly [number, number]>, now: number): boolean =>
  windows.some(([from, to]) => now >= START_MS + from && now < START_MS + to)

const endpointAt = (plan: EndpointPlan, now: number, isDisabled: boolean): Endpoint => ({
  id: plan.id, url: "http://receiver", concurrency: plan.concurrency,
  order: plan.mode === "key" && inWindow(plan.total, now) ? "total" : plan.mode,
  paused: inWindow(plan.paused, now) || inWindow(plan.suspended, now) || isDisabled, pausedReason: undefined,
  suspended: inWindow(plan.suspended, now),
  ...(plan.batch === undefined ? {} : { batch: plan.batch })
})

const answerOf = (world: World, endpoint: EndpointPlan, id: string, now: number): Answer => {
  const { plan, random } = world
  const key = `${endpoint.id} ${id}`
  const refusals = world.poison.get(key) ?? 0
  if (refusals > 0) {
    world.poison.set(key, refusals - 1)
    return { status: random.pick([400, 302, 410]) }
  }
  if (now > START_MS + plan.calmMs) return "Ok"
  if (inWindow(endpoint.down, now)) return random.pick<Answer>(["NoAnswer", { status: 500 }, { status: 503, retryAfterMs: 100 }])
  if (!random.chance(plan.failing)) return "Ok"
  return random.pick<Answer>(["NoAnswer", "LostReply", { status: 503 }, { status: 429, retryAfterMs: 300 }])
}

/** A batch is refused if one of its events is. */
const answerTo = (world: World, endpoint: EndpointPlan, ids: ReadonlyArray<string>, now: number): Answer => {
  const poisonous = ids.find((id) => (world.poison.get(`${endpoint.id} ${id}`) ?? 0) > 0)
  return answerOf(world, endpoint, poisonous ?? ids[0]!, now)
}

const transportOf = (world: World, time: VirtualTime) => {
  const { plan, random, oracle } = world
  const play = ({ request, items }: Received): Play => ({
    answer: answerTo(world, plan.endpoints.find((each) => each.id === request.endpointId)!, items.map(({ id }) => id), time.now),
    arriveMs: random.int(0, plan.latencyMs),
    replyMs: random.int(0, plan.latencyMs)
  })
  return scripted({
    beforeCommit: 10,
    later: (ms, run) => time.later(ms, run),
    play,
    started: ({ request, items }) => oracle.started(request.endpointId, items, request.epoch),
    arrived: ({ request, items }, accepted) => {
      for (const { id } of items) oracle.arrived(request.endpointId, id, accepted)
    },
    ended: ({ request, items }, result) => {
      for (const { id } of items) oracle.ended(request.endpointId, id, result._tag === "Accepted")
    }
  })
}

const cacheOf = (world: World): SubscriptionCache["Service"] => {
  const { plan, removedLsn } = world
  const answers = new Map<string, ReadonlyArray<Selection>>()
  return {
    open: () =>
      Effect.sync(() => {
        let removed = world.position > removedLsn
        return {
          consume: () => false,
          commit: ({ definitions }) => {
            if (definitions === undefined) return
            removed = true
            world.oracle.removed = true
          },
          has: (id) => id === "s" || !removed,
          current: () => (removed ? [] : [SECOND]),
          select: (change) => {
            const table = change.relation?.table ?? ""
            const key = `${table} ${change.kind} ${removed}`
            let found = answers.get(key)
            if (found === undefined) {
              found = plan.endpoints
                .filter((endpoint) => selects(endpoint, table) && !(removed && rowFor(endpoint, change) === "x"))
                .map((endpoint) => ({ endpointId: endpoint.id, selectedBy: [rowFor(endpoint, change)] }))
              answers.set(key, found)
            }
            return found
          }
        }
      })
  }
}

/** How long an endpoint stays disabled, ms. */
const DISABLED_MS = 300

/** Made by a fiber of the process: a queue wakes its takers through the scheduler of its maker. */
const endpointsOf = Effect.fnUntraced(function*(world: World, time: VirtualTime) {
  const { plan, disabled } = world
  const find = (id: string) => {
    const found = plan.endpoints.find((each) => each.id === id)
    return found === undefined ? undefined : endpointAt(found, time.now, disabled.has(id))
  }
  const watchers: Array<Queue.Queue<{ readonly id: string; readonly endpoint: Endpoint | undefined }>> = []
  const tell = (id: string) => {
    for (const queue of watchers) Queue.offerUnsafe(queue, { id, endpoint: find(id) })
  }
  const resume = (id: string) => {
    time.later(DISABLED_MS, () => {
      disabled.delete(id)
      tell(id)
    })
  }
  for (const id of disabled) resume(id)
  for (const endpoint of plan.endpoints) {
    for (const at of [...endpoint.paused, ...endpoint.suspended, ...endpoint.total].flat()) {
      const ms = START_MS + at - time.now
      if (ms >= 0) time.later(ms, () => tell(endpoint.id))
    }
  }
  const states = EndpointStates.of({
    failing: () => Effect.succeed(new Map()),
    setFailing: () => Effect.void,
    disable: (_stream, id) => Effect.sync(() => {
      disabled.add(id)
      tell(id)
      resume(id)
    }),
    suspend: () => Effect.void
  })
  const changes = Stream.unwrap(Effect.gen(function*() {
    const queue = yield* Queue.unbounded<{ readonly id: string; readonly endpoint: Endpoint | undefined }>()
    watchers.push(queue)
    for (const { id } of plan.endpoints) Queue.offerUnsafe(queue, { id, endpoint: find(id) })
    return Stream.fromQueue(queue)
  }))
  return Context.make(Endpoints, Endpoints.of({ get: find, fetch: (id) => Effect.succeed(find(id)), changes })).pipe(
    Context.add(EndpointStates, states)
  )
})

const layerOf = (world: World, time: VirtualTime) => {
  const { plan, random } = world
  const pauses = (ms: number) => () => [random.int(0, ms), random.int(0, ms)] as const
  const timing: StoreTiming = {
    write: pauses(plan.writeMs / 2),
    scan: pauses(plan.scanMs / 2),
    fails: () => (random.chance(plan.storeFails) ? random.pick(["before", "after"] as const) : "no"),
    page: () => random.int(1, plan.pageRows),
    now: () => time.now
  }
  return NotifierLayer.layer.pipe(Layer.provide(Layer.mergeAll(
    Layer.succeed(WebhookTransport, transportOf(world, time)),
    Layer.succeed(SubscriptionCache, cacheOf(world)),
    Layer.effectContext(endpointsOf(world, time)),
    Layer.succeed(ParkedDeliveries, world.store.service(time.sleep, timing)),
    Layer.succeed(Segments, world.segments.service(time.sleep, timing)),
    Layer.succeed(SequenceRanges, world.ranges.service(time.sleep, timing)),
    Layer.succeed(RemovedRows, {
      gone: (ids) => Effect.sync(() => {
        if (!isWithdrawn(world, time.now)) return []
        world.oracle.removed = true
        return ids.filter((id) => id === "x")
      })
    }),
    Layer.succeed(OpenNotifiers, {
      add: (notifier) => Effect.sync(() => {
        const ms = START_MS + plan.withdrawnMs - time.now
        if (ms < 0) return
        time.later(ms, () => {
          world.oracle.removed = true
          notifier.withdraw(["x"])
          world.oracle.withdrawn = true
        })
      })
    }),
    Layer.succeed(NotifierSettings, {
      ...notifierDefaults,
      parkAfterMs: 200, retryInitialMs: 20, retryMaxMs: 80, graceMs: 500,
      parkedScheduleMs: [50, 200, 500, 1_000], refusedScheduleMs: [50, 200, 500],
      breakerFailures: plan.breakerFailures, breakerWindow: 20, breakerPauseMs: 100, breakerPauseMaxMs: 400,
      maxParkedKeys: plan.maxParkedKeys,
      maxEndpointBytes: plan.maxEndpointBytes,
      maxQueueBytes: 4 * plan.maxEndpointBytes
    })
  )))
}

/** The stream from the stored position on, cut into chunks. */
const feed = (world: World, life: Life, notifying: Notifying) =>
  Effect.gen(function*() {
    const { plan, random, position } = world
    const from = world.stream.items.findIndex((item) => startOf(item) >= position)
    let items = from < 0 ? [] : world.stream.items.slice(from)
    while (items.length > 0) {
      const size = random.int(1, plan.chunkItems)
      yield* notifying.offer({ items: items.slice(0, size), bytes: size * 50 })
      items = items.slice(size)
      yield* life.time.sleep(random.int(0, plan.chunkPauseMs))
    }
    yield* notifying.offer({ items: [{ _tag: "Keepalive", walEnd: world.stream.endLsn + 20 }], bytes: 0 })
  })

const startOf = (item: Item): number => (item._tag === "Keepalive" ? item.walEnd : item.transaction.commitLsn)

/** A stop interrupts the save under way: then only the last word is stored. */
const save = (world: World, life: Life, settled: Effect.Effect<Settled | undefined, NotifierError>) =>
  Effect.gen(function*() {
    const result = yield* settled
    if (result === undefined) return
    const underWay = !life.stopping
    world.oracle.settled(result.update)
    yield* life.time.sleep(world.random.int(0, world.plan.saveMs))
    if (underWay && life.stopping) return
    world.position = result.update.position
    for (const [id, count] of result.update.counts) world.counts.set(id, count)
  })

const boot = (world: World): Life => {
  const life: Life = { time: new VirtualTime(world.now), notifying: undefined, failure: undefined, stopping: false }
  const checkpoint: CheckpointState = {
    stream, position: world.position, counts: new Map(world.counts), definitions: [], shapes: { tables: [], versions: [] }, versions: ""
  }
  let epochs = 0
  const grips = { rules: world.rules, random: world.random.next, newEpoch: () => `${world.now}-${epochs++}`, slabBytes: 512 }
  const program = Effect.gen(function*() {
    const scope = yield* Scope.make()
    const context = yield* Layer.buildWithScope(layerOf(world, life.time), scope)
    const notifying = yield* Effect.provideService(Context.get(context, Notifier).open(checkpoint), Scope.Scope, scope)
    life.notifying = notifying
    if (isWithdrawn(world, life.time.now)) world.oracle.withdrawn = true
    yield* Effect.all([
      feed(world, life, notifying),
      Effect.forever(save(world, life, Effect.suspend(() => (life.stopping ? Effect.never : notifying.settled))))
    ], { concurrency: "unbounded" })
  }).pipe(Effect.catchCause((cause) => Effect.sync(() => {
    life.failure ??= String(cause)
  })))
  Effect.runForkWith(Context.add(life.time.context, NotifierGrips, grips))(program)
  return life
}

/** Drains, stores what is settled, and ends. */
const stopGracefully = (world: World, life: Life): void => {
  const { notifying, time } = life
  if (notifying === undefined) return
  life.stopping = true
  let over = false
  const program = Effect.gen(function*() {
    yield* notifying.drain
    yield* save(world, life, notifying.rest)
    over = true
  })
  Effect.runForkWith(time.context)(program)
  time.runUntil(() => over, time.now + 60_000)
  if (!over) world.oracle.wrong("a graceful stop does not end")
}

export const run = (seed: number, plan: Plan, rules: Rules): string | undefined => {
  const random = new Random(seed)
  const store = new SimulatedStore()
  const segments = new SimulatedSegments()
  const ranges = new SimulatedRanges()
  const oracle = new Oracle(store, segments, ranges)
  const { removedLsn, events } = withRemoval(makeStream(random, plan.stream), plan)
  const poison = new Map<string, number>()
  for (const endpoint of plan.endpoints) {
    const isSecond = (event: SimulatedEvent) => rowFor(endpoint, event.change) === "x"
    const selected = events.events.filter((event) =>
      selects(endpoint, event.table) && !(isSecond(event) && event.commitLsn > removedLsn))
    oracle.addEndpoint(endpoint.id, endpoint.mode, selected, new Set(selected.filter(isSecond).map(({ id }) => id)), endpoint.suspended.length > 0)
    for (const event of selected) {
      if (random.chance(plan.poison)) poison.set(`${endpoint.id} ${event.id}`, random.int(1, plan.poisonAttempts))
    }
  }
  const world: World = { plan, rules, random, stream: events, removedLsn, store, segments, ranges, disabled: new Set(), oracle, poison, position: 0, counts: new Map(), now: START_MS }
  const wrong = (life: Life) => oracle.violation !== undefined || life.failure !== undefined
  for (const kill of [...plan.kills.map((at) => START_MS + at), undefined]) {
    const life = boot(world)
    const done = () => wrong(life) || (world.position === events.endLsn + 20 && oracle.isDone)
    const ended = life.time.runUntil(done, kill ?? LIMIT_MS)
    if (wrong(life)) return oracle.violation ?? life.failure
    if (kill === undefined) return ended ? undefined : `stuck at ${world.position} of ${events.endLsn}: ${oracle.missing}`
    world.now = Math.max(life.time.now, kill)
    life.time.now = world.now
    if (plan.graceful) stopGracefully(world, life)
    world.now = life.time.now + random.int(0, 50)
    life.time.kill()
    oracle.killed()
  }
  return undefined
}
