/**
 * A Notifier on virtual time, with a scripted receiver and a table in memory: a test offers items, lets time pass, and
 * looks at what was sent, parked and settled.
 */
import * as Cause from "effect/Cause"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Queue from "effect/Queue"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import type { Change, Column, Relation, Row, Transaction } from "../../../src/domain/Change.ts"
import type { Commit, Item, Undecodable } from "../../../src/domain/Chunk.ts"
import * as EventId from "../../../src/domain/EventId.ts"
import type { DefinitionsDelta, Endpoint, Subscription } from "../../../src/domain/Subscription.ts"
import { NotifierGrips } from "../../../src/layers/pipeline/notifier/Core.ts"
import * as NotifierLayer from "../../../src/layers/pipeline/Notifier.ts"
import * as WithdrawalsLive from "../../../src/layers/pipeline/WithdrawalsLive.ts"
import * as Rules from "../../../src/domain/Rules.ts"
import type { CheckpointUpdate, EndpointCount } from "../../../src/services/Checkpoint.ts"
import { Endpoints } from "../../../src/services/Endpoints.ts"
import { EndpointStates } from "../../../src/services/EndpointStates.ts"
import { type FailPoint, FailPoints } from "../../../src/services/FailPoints.ts"
import { Notifier, type Notifying } from "../../../src/services/Notifier.ts"
import { ParkedDeliveries } from "../../../src/services/ParkedDeliveries.ts"
import { type SequenceRange, SequenceRanges } from "../../../src/services/SequenceRanges.ts"
import { Segments } from "../../../src/services/Segments.ts"
import { Notices } from "../../../src/services/Notices.ts"
import { WalHeld } from "../../../src/services/WalHeld.ts"
import { LiveDeliveries, type LiveDeliveriesShape } from "../../../src/services/LiveDeliveries.ts"
import { RemovedRows } from "../../../src/services/RemovedRows.ts"
import { notifierDefaults, NotifierSettings, type NotifierSettingsShape } from "../../../src/services/Settings.ts"
import { type DefinitionsInForce, type Selection, SubscriptionCache } from "../../../src/services/SubscriptionCache.ts"
import { WebhookTransport } from "../../../src/services/WebhookTransport.ts"
import { Withdrawals } from "../../../src/services/Withdrawals.ts"
import { type Answer, service as scripted } from "../../support/ScriptedTransport.ts"
import { SimulatedRanges } from "../../support/SimulatedRanges.ts"
import { SimulatedSegments } from "../../support/SimulatedSegments.ts"
import { SimulatedStore, type StoreTiming } from "../../support/SimulatedStore.ts"
import { VirtualTime } from "../../simulation/VirtualTime.ts"

const column = (name: string, key: boolean): Column => ({ name, typeOid: 25, typmod: -1, typeName: "text", valueClass: 0, key })
const relation: Relation = { oid: 100, schema: "public", table: "orders", replicaIdentity: "d", columns: [column("id", true), column("note", false)] }

const transactionAt = (n: number): Transaction => ({
  commitLsn: n * 100, commitTimeUs: n, timestamp: "2026-11-24 00:00:00+00", xid: n, idPrefix: EventId.prefixOf(n * 100, n)
})

/** Insert of the row `id` in transaction `n`. `bytes`: size of its other column. */
export const insert = (n: number, ordinal: number, id: string, bytes = 4): Change => {
  const text = Buffer.from(id + "x".repeat(bytes))
  const row: Row = { columns: relation.columns, bytes: text, spans: Int32Array.of(0, id.length, id.length, text.length) }
  return {
    _tag: "Change", kind: "I", transaction: transactionAt(n), ordinal, sub: -1, lsn: n * 100, relation, oldKind: "",
    newRow: () => row, oldRow: () => undefined, message: undefined, byteLength: text.length, shape: undefined,
    metadata: undefined, affects: undefined
  }
}
export const commit = (n: number, definitions?: DefinitionsDelta): Commit => ({
  _tag: "Commit", transaction: transactionAt(n), endLsn: n * 100 + 50, shapes: undefined, definitions
})
export const undecodable = (n: number, table: string | undefined): Undecodable => ({
  _tag: "Undecodable", transaction: transactionAt(n), ordinal: 0, lsn: n * 100, reason: "frame over the limit", table
})
/** One transaction a row. */
export const rows = (from: number, ...ids: ReadonlyArray<string>): ReadonlyArray<Item> =>
  ids.flatMap((id, i) => [insert(from + i, 0, id), commit(from + i)])
export const idOf = (n: number, ordinal = 0): string => `${transactionAt(n).idPrefix}${ordinal}`

export const endpoint = (id: string, more: Partial<Endpoint> = {}): Endpoint => ({
  id, url: `http://${id}`, order: "key", concurrency: 4, paused: false, pausedReason: undefined, ...more
})

export interface HarnessOptions {
  readonly endpoints?: ReadonlyArray<Endpoint>
  readonly settings?: Partial<NotifierSettingsShape>
  /** Answers in order, by event id; then `otherwise`. */
  readonly script?: { readonly [id: string]: ReadonlyArray<Answer> }
  readonly otherwise?: () => Answer
  readonly latencyMs?: number
  /** By endpoint. */
  readonly latencyOf?: (endpoint: string) => number
  readonly walHeld?: () => number
  readonly walKept?: number
  readonly store?: SimulatedStore
  readonly segments?: SimulatedSegments
  readonly writeMs?: number
  readonly storeFails?: () => boolean
  readonly hit?: (name: FailPoint) => void
  readonly position?: number
  readonly counts?: ReadonlyMap<string, EndpointCount>
  /** Rows that select every event, by endpoint; one for each if not given. */
  readonly rows?: { readonly [endpoint: string]: ReadonlyArray<string> }
  /** Whether its rows select that change; if not given, all. */
  readonly selects?: (endpoint: string, change: Change) => boolean
  /** Of the memory that bodies are written to; small, so that it is used again and again. */
  readonly slabBytes?: number
  /** Rows that the store does not have any more. */
  readonly gone?: ReadonlyArray<string>
  /** Recorded before it started. */
  readonly ranges?: ReadonlyArray<SequenceRange>
  /** When it starts; 1,000,000 if not given. */
  readonly startMs?: number
  /** Notices that a process before has told: kind and endpoint. */
  readonly told?: ReadonlyArray<string>
}

/** A row that selects everything: its URL is its name. */
export const row = (id: string, endpointId: string): Subscription => ({
  id, endpointId, url: id, schema: "public", table: "orders", eventTypes: [], createdAtUs: 0
})

export interface Sent {
  readonly endpoint: string
  readonly url: string
  readonly id: string
  readonly sequence: number
  readonly epoch: string
  readonly atMs: number
}

interface Changed {
  readonly id: string
  readonly endpoint: Endpoint | undefined
}

export class Harness {
  readonly time: VirtualTime
  readonly store: SimulatedStore
  readonly segments: SimulatedSegments
  readonly ranges = new SimulatedRanges()
  /** Endpoints that events were appended to segments for, one by one. */
  readonly appended: Array<string> = []
  readonly notices: Array<string> = []
  /** States that were told and are not over, those of a process before, too. */
  private readonly told: Set<string>
  /** What the Notifier decided about endpoints. */
  readonly states: Array<string> = []
  readonly sent: Array<Sent> = []
  /** As they go out: a batch is one. */
  readonly requests: Array<{ readonly id: string; readonly items: ReadonlyArray<string>; readonly atMs: number }> = []
  readonly updates: Array<CheckpointUpdate> = []
  flying = 0
  mostFlying = 0
  /** Connections that are open, by endpoint: one for each that the Notifier knows. */
  readonly connections: Array<string> = []
  failure: Cause.Cause<unknown> | undefined
  private notifying: Notifying | undefined
  private readonly watchers: Array<Queue.Queue<Changed>> = []
  private readonly endpoints: Map<string, Endpoint>
  private readonly scope = Effect.runSync(Scope.make())
  private readonly options: HarnessOptions
  private readonly plays = new Map<string, number>()
  private readonly inForce = new Map<string, Subscription>()
  private readonly gone: Set<string>
  private withdrawals: typeof Withdrawals["Service"] | undefined
  private live: LiveDeliveriesShape | undefined

  constructor(options: HarnessOptions = {}) {
    this.ranges.ranges.push(...options.ranges ?? [])
    this.options = options
    this.time = new VirtualTime(options.startMs ?? 1_000_000)
    this.gone = new Set(options.gone)
    this.told = new Set(options.told)
    this.store = options.store ?? new SimulatedStore()
    this.segments = options.segments ?? new SimulatedSegments()
    this.endpoints = new Map((options.endpoints ?? [endpoint("e")]).map((each) => [each.id, each]))
    for (const id of this.endpoints.keys()) {
      for (const name of options.rows?.[id] ?? [`${id}-row`]) this.inForce.set(name, row(name, id))
    }
    this.fork(this.boot())
    this.pass(100)
  }

  /** Lets that much time pass. */
  pass(ms: number): void {
    const until = this.time.now + ms
    this.time.runUntil(() => false, until)
    this.time.now = until
    if (this.failure !== undefined) throw Cause.squash(this.failure)
  }

  /** Offers a chunk; `admitted` says whether `offer` has returned. */
  offer(items: ReadonlyArray<Item>): { readonly admitted: boolean } {
    const state = { admitted: false }
    this.fork(Effect.andThen(this.notifying!.offer({ items, bytes: 1 }), Effect.sync(() => {
      state.admitted = true
    })))
    this.pass(0)
    return state
  }

  drain(): { readonly drained: boolean } {
    const state = { drained: false }
    this.fork(Effect.andThen(this.notifying!.drain, Effect.sync(() => {
      state.drained = true
    })))
    this.pass(0)
    return state
  }

  change(id: string, changed: Endpoint | undefined): void {
    this.tell(id, changed)
    this.pass(0)
  }

  private tell(id: string, changed: Endpoint | undefined): void {
    if (changed === undefined) this.endpoints.delete(id)
    else this.endpoints.set(id, changed)
    for (const queue of this.watchers) Queue.offerUnsafe(queue, { id, endpoint: changed })
  }

  /** Removes the row from the store and asks for its withdrawal, as the API does. */
  unsubscribe(id: string): { readonly answered: boolean } {
    const state = { answered: false }
    this.gone.add(id)
    this.fork(Effect.andThen(this.withdrawals!.withdraw({ url: id, schema: "public", table: "orders" }), Effect.sync(() => {
      state.answered = true
    })))
    this.pass(0)
    return state
  }

  /** Asks as a tool does. */
  ask<A, E>(what: (live: LiveDeliveriesShape) => Effect.Effect<A, E>): { readonly answered: boolean } {
    const state = { answered: false }
    this.fork(Effect.andThen(Effect.suspend(() => what(this.live!)), Effect.sync(() => {
      state.answered = true
    })))
    this.pass(0)
    return state
  }

  close(): void {
    this.fork(Scope.close(this.scope, Exit.void))
    this.pass(1)
  }

  get position(): number {
    return this.updates.at(-1)?.position ?? 0
  }

  get ids(): ReadonlyArray<string> {
    return this.sent.map(({ id }) => id)
  }

  private fork(effect: Effect.Effect<unknown, unknown>): void {
    const grips = { rules: Rules.all, random: () => 1, newEpoch: () => "00112233aabbccdd", slabBytes: this.options.slabBytes ?? 1_024 }
    const context = this.time.context.pipe(Context.add(NotifierGrips, grips), Context.add(FailPoints, { hit: this.options.hit }))
    Effect.runForkWith(context)(
      Effect.catchCause(effect, (cause) => Effect.sync(() => {
        this.failure ??= cause
      }))
    )
  }

  private boot() {
    return Effect.gen({ self: this }, function*() {
      const removedRows = Layer.succeed(RemovedRows, {
        gone: (ids) => Effect.sync(() => ids.filter((id) => this.gone.has(id)))
      })
      const context = yield* Layer.buildWithScope(NotifierLayer.layer.pipe(
        Layer.provide(this.dependencies()),
        Layer.provideMerge(WithdrawalsLive.layer.pipe(Layer.provideMerge(removedRows)))
      ), this.scope)
      this.withdrawals = Context.get(context, Withdrawals)
      this.live = Context.get(context, LiveDeliveries)
      this.notifying = yield* Effect.provideService(Context.get(context, Notifier).open({
        stream: { systemIdentifier: "1", slotName: "s" }, position: this.options.position ?? 0,
        counts: this.options.counts ?? new Map(), definitions: [], shapes: { tables: [], versions: [] }, versions: ""
      }), Scope.Scope, this.scope)
      yield* Effect.forever(Effect.map(this.notifying.settled, ({ update }) => this.updates.push(update)))
    })
  }

  private dependencies() {
    const half = (this.options.writeMs ?? 2) / 2
    const timing: StoreTiming = {
      write: () => [half, half], scan: () => [half, half], page: () => 1_000, now: () => this.time.now,
      fails: () => (this.options.storeFails?.() === true ? "before" : "no")
    }
    return Layer.mergeAll(
      Layer.succeed(WebhookTransport, this.transport()),
      Layer.succeed(NotifierSettings, { ...notifierDefaults, ...this.options.settings }),
      Layer.succeed(ParkedDeliveries, this.store.service(this.time.sleep, timing)),
      Layer.succeed(EndpointStates, EndpointStates.of({
        failing: () => Effect.succeed(new Map()),
        setFailing: () => Effect.void,
        disable: (_stream, id) => Effect.sync(() => {
          this.states.push(`disabled ${id}`)
          this.tell(id, { ...this.endpoints.get(id)!, paused: true, disabled: true })
        }),
        suspend: (_stream, id) => Effect.sync(() => {
          this.states.push(`suspended ${id}`)
          this.tell(id, { ...this.endpoints.get(id)!, paused: true, suspended: true })
        })
      })),
      Layer.succeed(SequenceRanges, this.ranges.service(this.time.sleep, timing)),
      Layer.succeed(Segments, this.watched(this.segments.service(this.time.sleep, timing))),
      Layer.succeed(WalHeld, { bytes: () => this.options.walHeld?.() ?? 0, keepBytes: () => this.options.walKept ?? Infinity }),
      Layer.succeed(Notices, {
        tell: ({ kind, endpointId }) => {
          this.told.add(`${kind} ${endpointId}`)
          this.notices.push(`${kind} ${endpointId}`)
        },
        over: (kind, endpointId) => {
          if (this.told.delete(`${kind} ${endpointId}`)) this.notices.push(`${kind} ${endpointId} is over`)
        }
      }),
      Layer.succeed(Endpoints, Endpoints.of({
        get: (id) => this.endpoints.get(id), fetch: (id) => Effect.succeed(this.endpoints.get(id)), changes: this.changes
      })),
      Layer.succeed(SubscriptionCache, SubscriptionCache.of({
        open: () => Effect.succeed(this.definitions())
      }))
    )
  }

  private readonly changes = Stream.unwrap(Effect.gen({ self: this }, function*() {
    const queue = yield* Queue.unbounded<Changed>()
    this.watchers.push(queue)
    return Stream.fromQueue(queue)
  }))

  private watched(service: typeof Segments["Service"]): typeof Segments["Service"] {
    return {
      ...service,
      append: (stream, events) => {
        this.appended.push(...events.flatMap(({ targets }) => targets.map(({ endpointId }) => endpointId)))
        return service.append(stream, events)
      }
    }
  }

  private definitions(): DefinitionsInForce {
    let selections: ReadonlyArray<Selection> | undefined
    return {
      select: (change) => {
        selections ??= [...Map.groupBy(this.inForce.values(), (each) => each.endpointId)]
          .map(([endpointId, selecting]) => ({ endpointId, selectedBy: selecting.map(({ id }) => id) }))
        const { selects } = this.options
        return selects === undefined ? selections : selections.filter(({ endpointId }) => selects(endpointId, change))
      },
      consume: () => false,
      commit: ({ definitions }) => {
        if (definitions === undefined) return
        selections = undefined
        for (const id of definitions.removed) this.inForce.delete(id)
        for (const each of definitions.upserted) this.inForce.set(each.id, each)
      },
      has: (id) => this.inForce.has(id),
      current: () => [...this.inForce.values()]
    }
  }

  /** Counts what is opened and closed. */
  private transport(): WebhookTransport["Service"] {
    const { open } = this.scripted()
    return WebhookTransport.of({
      open: (endpoint) => Effect.acquireRelease(
        Effect.tap(open(endpoint), () => Effect.sync(() => this.connections.push(endpoint.id))),
        () => Effect.sync(() => this.connections.splice(this.connections.indexOf(endpoint.id), 1))
      )
    })
  }

  private scripted(): WebhookTransport["Service"] {
    return scripted({
      beforeCommit: 0,
      later: (ms, run) => this.time.later(ms, run),
      play: ({ request }) => {
        const played = this.plays.get(request.id) ?? 0
        this.plays.set(request.id, played + 1)
        const answer = this.options.script?.[request.id]?.[played] ?? this.options.otherwise?.() ?? "Ok"
        return { answer, arriveMs: 0, replyMs: this.options.latencyOf?.(request.endpointId) ?? this.options.latencyMs ?? 10 }
      },
      started: ({ endpoint, request, items }) => {
        this.requests.push({ id: request.id, items: items.map((item) => item.id), atMs: this.time.now - 1_000_100 })
        const { id, sequence, epoch, endpointId } = request
        this.sent.push({ endpoint: endpointId, url: endpoint.url, id, sequence, epoch, atMs: this.time.now - 1_000_100 })
        this.mostFlying = Math.max(this.mostFlying, ++this.flying)
      },
      ended: () => {
        this.flying--
      }
    })
  }
}
