/**
 * What ends an endpoint: 410, or failing for too long without one accepted delivery. Since when it fails is kept in
 * the store, so that a restart does not begin the days anew.
 *
 * `answered` is plain and called for each answer; everything else runs in the background (`loop`). A failure that
 * follows a day without any attempt begins a new stretch: one event a week that fails is no outage.
 */
import * as Effect from "effect/Effect"
import * as Latch from "effect/Latch"
import * as Stream from "effect/Stream"
import type { AttemptResult } from "../../../domain/Delivery.ts"
import { endsEndpoint } from "../../../domain/RetryPolicy.ts"
import type { StreamId } from "../../../domain/StreamId.ts"
import type { Endpoint, EndpointId } from "../../../domain/Subscription.ts"
import * as WebhookUrl from "../../../domain/WebhookUrl.ts"
import type { Endpoints } from "../../../services/Endpoints.ts"
import type { EndpointStates } from "../../../services/EndpointStates.ts"
import { NotifierError } from "../../../services/Notifier.ts"
import type { NoticesShape } from "../../../services/Notices.ts"

/** Between two writes of who fails since when. */
const FLUSH_INTERVAL = "10 seconds"
/** Without an attempt for so long, a stretch of failures is over, ms. The longest wait of the schedule is shorter. */
const GAP_MS = 86_400_000
/** For so long this process must have seen it fail, ms: it may have been stopped for days itself. */
const SEEN_MS = 600_000

export interface FatesOptions {
  readonly stream: StreamId
  /** ms; 0: an endpoint may fail for ever. */
  readonly disableAfterMs: number
  readonly states: EndpointStates["Service"]
  readonly endpoints: Endpoints["Service"]
  readonly notices: NoticesShape
  readonly now: () => number
}

interface Failing {
  readonly sinceMs: number
  /** The first failure in this process. */
  seenMs: number
  lastMs: number
}

const failed = (operation: string) => (cause: unknown) => new NotifierError({ operation, cause })

/** Such as `5 days`, `36 hours`, `90 s`. */
const inWords = (ms: number): string => {
  const [unit, name] = ms % 86_400_000 === 0
    ? [86_400_000, "days"] as const
    : ms % 3_600_000 === 0 ? [3_600_000, "hours"] as const : [1_000, "s"] as const
  return `${ms / unit} ${name}`
}

export class EndpointFates {
  private readonly options: FatesOptions
  private readonly failing = new Map<EndpointId, Failing>()
  /** What the store has. */
  private readonly stored: Map<EndpointId, number>
  /** Those of which the two may differ. */
  private readonly touched = new Set<EndpointId>()
  /** To be disabled, and why. */
  private readonly ending = new Map<EndpointId, string>()
  /** Disabled here, and not resumed since. */
  private readonly ended = new Set<EndpointId>()
  private readonly toFlush = Latch.makeUnsafe(false)
  private readonly toEnd = Latch.makeUnsafe(false)

  constructor(options: FatesOptions, stored: ReadonlyMap<EndpointId, number>) {
    this.options = options
    this.stored = new Map(stored)
    const lastMs = options.now()
    for (const [id, sinceMs] of stored) this.failing.set(id, { sinceMs, seenMs: Infinity, lastMs })
  }

  answered(id: EndpointId, result: AttemptResult, nowMs: number): void {
    if (result._tag === "Accepted") {
      if (this.failing.size > 0 && this.failing.delete(id)) this.touch(id)
      return
    }
    // The last request of one that ended.
    if (this.options.endpoints.get(id) === undefined) return
    if (endsEndpoint(result)) return this.end(id, "its receiver answered 410 Gone")
    const { disableAfterMs } = this.options
    const run = this.failing.get(id)
    if (run === undefined || nowMs - run.lastMs > GAP_MS) {
      this.failing.set(id, { sinceMs: nowMs, seenMs: nowMs, lastMs: nowMs })
      return this.touch(id)
    }
    run.lastMs = nowMs
    run.seenMs = Math.min(run.seenMs, nowMs)
    if (disableAfterMs > 0 && nowMs - run.sinceMs >= disableAfterMs && nowMs - run.seenMs >= Math.min(SEEN_MS, disableAfterMs)) {
      this.end(id, `it has accepted nothing for ${inWords(disableAfterMs)}`)
    }
  }

  /** Never ends by itself. Fails where the stream was taken over. */
  readonly loop: Effect.Effect<void, NotifierError> = Effect.suspend(() =>
    Effect.all([this.flushing, this.disabling, this.following], { concurrency: "unbounded", discard: true })
  )

  private touch(id: EndpointId): void {
    this.touched.add(id)
    this.toFlush.openUnsafe()
  }

  private end(id: EndpointId, reason: string): void {
    if (this.ended.has(id)) return
    this.ended.add(id)
    this.ending.set(id, reason)
    this.toEnd.openUnsafe()
  }

  private readonly flushing: Effect.Effect<never, NotifierError> = Effect.gen({ self: this }, function*() {
    yield* this.toFlush.await
    yield* Effect.sleep(FLUSH_INTERVAL)
    this.toFlush.closeUnsafe()
    const changes = new Map<EndpointId, number | undefined>()
    for (const id of this.touched) {
      const sinceMs = this.failing.get(id)?.sinceMs
      if (sinceMs !== this.stored.get(id)) changes.set(id, sinceMs)
    }
    this.touched.clear()
    if (changes.size === 0) return
    const { states, stream } = this.options
    yield* Effect.mapError(states.setFailing(stream, changes), failed("keep since when endpoints fail"))
    for (const [id, sinceMs] of changes) {
      if (sinceMs === undefined) this.stored.delete(id)
      else this.stored.set(id, sinceMs)
    }
  }).pipe(Effect.forever)

  private readonly disabling: Effect.Effect<never, NotifierError> = Effect.gen({ self: this }, function*() {
    yield* this.toEnd.await
    this.toEnd.closeUnsafe()
    for (const [id, reason] of this.ending) {
      this.ending.delete(id)
      yield* this.disable(id, reason)
    }
  }).pipe(Effect.forever)

  private disable(id: EndpointId, reason: string): Effect.Effect<void, NotifierError> {
    const { endpoints, notices, states, stream } = this.options
    return Effect.gen(function*() {
      yield* Effect.mapError(states.disable(stream, id, reason), failed(`disable endpoint ${id}`))
      endpoints.refreshSoon?.()
      const endpoint = endpoints.get(id)
      const url = endpoint === undefined ? "" : ` (${WebhookUrl.describe(endpoint.url)})`
      const mend = `pgstream subscriptions resume ${id}`
      yield* Effect.annotateLogs(
        Effect.logWarning("An endpoint is disabled: its events are kept, not sent, until it is resumed."),
        { endpointId: id, reason, mend }
      )
      notices.tell({
        kind: "endpoint_disabled", endpointId: id, facts: { reason },
        message: `Endpoint ${id}${url} is disabled: ${reason}. Its events are kept, not sent. Resume it:   ${mend}`
      })
    })
  }

  private readonly following: Effect.Effect<void, NotifierError> = Effect.suspend(() =>
    this.options.endpoints.changes.pipe(
      Stream.mapError(failed("follow endpoints")),
      Stream.runForEach(({ endpoint, id }) => this.changed(id, endpoint))
    )
  )

  private changed(id: EndpointId, endpoint: Endpoint | undefined): Effect.Effect<void, NotifierError> {
    if (endpoint === undefined) return Effect.sync(() => this.forget(id))
    if (endpoint.disabled === true) return Effect.void
    this.ended.delete(id)
    this.options.notices.over("endpoint_disabled", id)
    if (endpoint.paused || !this.stored.has(id)) return Effect.void
    // Whoever resumed it took back since when it fails; an edit leaves it.
    const { states, stream } = this.options
    return states.failing(stream).pipe(
      Effect.mapError(failed("read since when endpoints fail")),
      Effect.map((stored) => {
        if (!stored.has(id)) this.forget(id)
      })
    )
  }

  private forget(id: EndpointId): void {
    this.failing.delete(id)
    this.stored.delete(id)
    this.touched.delete(id)
    this.ended.delete(id)
    this.options.notices.over("endpoint_disabled", id)
  }
}

/** Reads who failed before the start. */
export const make = (options: FatesOptions): Effect.Effect<EndpointFates, NotifierError> =>
  options.states.failing(options.stream).pipe(
    Effect.mapError(failed("read since when endpoints fail")),
    Effect.map((stored) => new EndpointFates(options, stored))
  )
