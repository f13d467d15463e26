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
import type { Item } from "../../src/domain/Chunk.ts"
import type { Rules } from "../../src/domain/Rules.ts"
import type { Endpoint } from "../../src/domain/Subscription.ts"
import { NotifierGrips } from "../../src/layers/pipeline/notifier/Core.ts"
import * as NotifierLayer from "../../src/layers/pipeline/Notifier.ts"
import type { CheckpointState, EndpointCount } from "../../src/services/Checkpoint.ts"
import { Endpoints } from "../../src/services/Endpoints.ts"
import { Notifier, type NotifierError, type Notifying, type Settled } from "../../src/services/Notifier.ts"
import { ParkedDeliveries } from "../../src/services/ParkedDeliveries.ts"
import { Segments } from "../../src/services/Segments.ts"
import { notifierDefaults, NotifierSettings } from "../../src/services/Settings.ts"
import { SubscriptionCache } from "../../src/services/SubscriptionCache.ts"
import { WebhookTransport } from "../../src/services/WebhookTransport.ts"
import { type Answer, type Play, type Received, service as scripted } from "../support/ScriptedTransport.ts"
import { SimulatedSegments } from "../support/SimulatedSegments.ts"
import { SimulatedStore, type StoreTiming } from "../support/SimulatedStore.ts"
import { makeStream, type SimulatedStream } from "./Events.ts"
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

const inWindow = (windows: ReadonlyArray<readonly [number, number]>, now: number): boolean =>
  windows.some(([from, to]) => now >= START_MS + from && now < START_MS + to)

const endpointAt = (plan: EndpointPlan, now: number): Endpoint => ({
  id: plan.id, url: "http://receiver", order: plan.mode, concurrency: plan.concurrency,
  paused: inWindow(plan.paused, now), pausedReason: undefined
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

const transportOf = (world: World, time: VirtualTime) => {
  const { plan, random, oracle } = world
  const play = ({ request }: Received): Play => ({
    answer: answerOf(world, plan.endpoints.find((each) => each.id === request.endpointId)!, request.id, time.now),
    arriveMs: random.int(0, plan.latencyMs),
    replyMs: random.int(0, plan.latencyMs)
  })
  return scripted({
    later: (ms, run) => time.later(ms, run),
    play,
    started: ({ request }) => oracle.started(request.endpointId, request.id, request.sequence, request.epoch),
    arrived: ({ request }, accepted) => oracle.arrived(request.endpointId, request.id, accepted),
    ended: ({ request }, result) => oracle.ended(request.endpointId, request.id, result._tag === "Accepted")
  })
}

const cacheOf = (plan: Plan): SubscriptionCache["Service"] => {
  const answers = new Map<string, ReadonlyArray<{ readonly endpointId: string; readonly selectedBy: ReadonlyArray<string> }>>()
  return {
    open: () =>
      Effect.succeed({
        consume: () => false,
        commit: () => {},
        has: () => true,
        current: () => [],
        select: (change) => {
          const table = change.relation?.table ?? ""
          let found = answers.get(table)
          if (found === undefined) {
            found = plan.endpoints.filter((endpoint) => selects(endpoint, table))
              .map((endpoint) => ({ endpointId: endpoint.id, selectedBy: ["s"] }))
            answers.set(table, found)
          }
          return found
        }
      })
  }
}

/** Made by a fiber of the process: a queue wakes its takers through the scheduler of its maker. */
const endpointsOf = Effect.fnUntraced(function*(plan: Plan, time: VirtualTime) {
  const find = (id: string) => {
    const found = plan.endpoints.find((each) => each.id === id)
    return found === undefined ? undefined : endpointAt(found, time.now)
  }
  const queue = yield* Queue.unbounded<{ readonly id: string; readonly endpoint: Endpoint | undefined }>()
  for (const endpoint of plan.endpoints) {
    for (const at of endpoint.paused.flat()) {
      const ms = START_MS + at - time.now
      if (ms >= 0) time.later(ms, () => Queue.offerUnsafe(queue, { id: endpoint.id, endpoint: endpointAt(endpoint, time.now) }))
    }
  }
  return Endpoints.of({ get: find, fetch: (id) => Effect.succeed(find(id)), changes: Stream.fromQueue(queue) })
})

const layerOf = (world: World, time: VirtualTime) => {
  const { plan, random } = world
  const pauses = (ms: number) => () => [random.int(0, ms), random.int(0, ms)] as const
  const timing: StoreTiming = {
    write: pauses(plan.writeMs / 2),
    scan: pauses(plan.scanMs / 2),
    fails: () => (random.chance(plan.storeFails) ? random.pick(["before", "after"] as const) : "no"),
    page: () => random.int(1, plan.pageRows)
  }
  return NotifierLayer.layer.pipe(Layer.provide(Layer.mergeAll(
    Layer.succeed(WebhookTransport, transportOf(world, time)),
    Layer.succeed(SubscriptionCache, cacheOf(plan)),
    Layer.effect(Endpoints, endpointsOf(plan, time)),
    Layer.succeed(ParkedDeliveries, world.store.service(time.sleep, timing)),
    Layer.succeed(Segments, world.segments.service(time.sleep, timing)),
    Layer.succeed(NotifierSettings, {
      ...notifierDefaults,
      parkAfterMs: 200, retryInitialMs: 20, retryMaxMs: 80, graceMs: 500,
      parkedScheduleMs: [50, 200, 500, 1_000], refusedScheduleMs: [50, 200, 500],
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
  const grips = { rules: world.rules, random: world.random.next, newEpoch: () => `${world.now}-${epochs++}` }
  const program = Effect.gen(function*() {
    const scope = yield* Scope.make()
    const context = yield* Layer.buildWithScope(layerOf(world, life.time), scope)
    const notifying = yield* Effect.provideService(Context.get(context, Notifier).open(checkpoint), Scope.Scope, scope)
    life.notifying = notifying
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
  const oracle = new Oracle(store, segments)
  const events = makeStream(random, plan.stream)
  const poison = new Map<string, number>()
  for (const endpoint of plan.endpoints) {
    const selected = events.events.filter((event) => selects(endpoint, event.table))
    oracle.addEndpoint(endpoint.id, endpoint.mode, selected)
    for (const event of selected) {
      if (random.chance(plan.poison)) poison.set(`${endpoint.id} ${event.id}`, random.int(1, plan.poisonAttempts))
    }
  }
  const world: World = { plan, rules, random, stream: events, store, segments, oracle, poison, position: 0, counts: new Map(), now: START_MS }
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
