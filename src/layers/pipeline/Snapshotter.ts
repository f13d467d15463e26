/**
 * Copies while the stream runs: follows the requests, one fiber each, and keeps how far they are. The stream passes
 * through `SnapshotterStage`; `SnapshotterCopy` and `SnapshotterRun` read, at their own pace.
 *
 * A copy that a process before this one has begun is watched from the first event on, so that nothing of what happened
 * to its tables meanwhile is missed.
 */
import * as Cause from "effect/Cause"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import type { CopyId } from "../../domain/copy/Copy.ts"
import * as CopyRules from "../../domain/copy/CopyRules.ts"
import { MAX_REMEMBERED } from "../../domain/copy/Delivered.ts"
import type { Lsn } from "../../domain/Lsn.ts"
import { CopyRequests } from "../../services/CopyRequests.ts"
import { CopySettings } from "../../services/CopySettings.ts"
import { type EndpointPace, SnapshotError, Snapshotter } from "../../services/Snapshotter.ts"
import { SubscriptionStore } from "../../services/SubscriptionStore.ts"
import { TableReader } from "../../services/TableReader.ts"
import type { ShapesInForce } from "../../services/TableShapes.ts"
import { SnapshotterCopy } from "./SnapshotterCopy.ts"
import { persist } from "./SnapshotterPersist.ts"
import { SnapshotterStage } from "./SnapshotterStage.ts"
import { subscriptions } from "./SnapshotterTarget.ts"

/** What a test may set. Production provides nothing. */
export const SnapshotterGrips = Context.Reference<{ readonly rules: CopyRules.CopyRules }>(
  "pgstream/layers/pipeline/SnapshotterGrips",
  { defaultValue: () => ({ rules: CopyRules.all }) }
)

interface Working {
  readonly job: SnapshotterCopy
  fiber: Fiber.Fiber<unknown, unknown> | undefined
  /** It has ended, and that is kept; what was read of the requests may be older. */
  over: boolean
}

const failing = (operation: string) => Effect.mapError((cause: unknown) => new SnapshotError({ operation, cause }))

const openCopies = Effect.fnUntraced(function*(shapes: ShapesInForce, endpoints: EndpointPace) {
  const requests = yield* CopyRequests
  const reader = yield* TableReader
  const settings = yield* CopySettings
  const { rules } = yield* SnapshotterGrips
  const rowsNow = yield* subscriptions
  const scope = yield* Effect.scope
  const stage = new SnapshotterStage(shapes)
  const context = { stage, settings, rules, endpoints }
  const working = new Map<CopyId, Working>()

  const takeOn = Effect.gen(function*() {
    const rows = yield* rowsNow
    const open = yield* requests.open
    for (const each of open) {
      const known = working.get(each.copy.id)
      if (known === undefined) working.set(each.copy.id, { job: new SnapshotterCopy(each, rows, context), fiber: undefined, over: false })
      else known.job.rows = rows
    }
    return new Map(open.map(({ copy }) => [copy.id, copy.state]))
  })

  const stop = (each: Working) =>
    Effect.suspend(() => {
      const { fiber } = each
      each.fiber = undefined
      return fiber === undefined ? Effect.void : Fiber.interrupt(fiber)
    })

  const start = Effect.fnUntraced(function*(each: Working) {
    const run = each.job.run.pipe(
      Effect.tap(() => Effect.sync(() => void (each.over = true))),
      Effect.tapCause((cause) => Cause.hasInterruptsOnly(cause) ? Effect.void : Effect.logWarning("A copy was interrupted; it goes on.", cause)),
      Effect.ensuring(Effect.sync(() => void (each.fiber = undefined)))
    )
    each.fiber = yield* Effect.forkIn(run, scope)
  })

  /** Forgets which transactions every snapshot sees, while nobody else asks for one. */
  const forget = Effect.suspend(() =>
    stage.delivered.size <= MAX_REMEMBERED ? Effect.void : Effect.map(reader.snapshot, (now) => void stage.delivered.unseen(now, 0)))

  const follow = Effect.gen(function*() {
    const states = yield* takeOn
    for (const [id, each] of working) {
      const state = states.get(id)
      if (state === undefined) {
        yield* stop(each)
        each.job.end()
        working.delete(id)
      } else if (state === "paused") yield* stop(each)
      else if (each.job.isOrphaned) {
        yield* stop(each)
        yield* requests.setState(id, "failed", "the subscription is gone")
      }
      else if (each.fiber === undefined && !each.over) yield* start(each)
      yield* each.job.save
    }
    yield* forget
  })

  const loop = Effect.gen(function*() {
    stage.delivered.addBefore(yield* persist(reader.committing))
    let failedBefore = false
    for (;;) {
      const failed = yield* Effect.result(follow)
      if (failed._tag === "Failure" && !failedBefore) {
        yield* Effect.logWarning("Cannot follow what is to be copied; trying again.").pipe(Effect.annotateLogs({ reason: failed.failure.message }))
      }
      failedBefore = failed._tag === "Failure"
      yield* Effect.sleep(settings.pollMs)
    }
  })

  yield* takeOn
  yield* Effect.forkIn(loop.pipe(Effect.tapCause((cause) => Cause.hasInterruptsOnly(cause) ? Effect.void : Effect.logError("Copies cannot go on.", cause))), scope)

  const settled = Effect.fnUntraced(function*(position: Lsn) {
    for (const { job } of working.values()) {
      for (const table of job.tables.values()) yield* requests.addPending(table.takeAdded())
    }
    stage.settle(position)
    // Before the position is stored: what is settled is never read again then.
    for (const { job } of working.values()) yield* job.save
  })
  return { advance: stage.advance, settled: (position: Lsn) => settled(position).pipe(Effect.provideService(CopyRequests, requests), failing("keep how far copies are")) }
})

export const layer: Layer.Layer<Snapshotter, never, CopyRequests | TableReader | SubscriptionStore> = Layer.effect(
  Snapshotter,
  Effect.gen(function*() {
    const requests = yield* CopyRequests
    const reader = yield* TableReader
    const store = yield* SubscriptionStore
    return Snapshotter.of({
      open: (shapes, endpoints) =>
        openCopies(shapes, endpoints).pipe(
          Effect.provideService(CopyRequests, requests),
          Effect.provideService(TableReader, reader),
          Effect.provideService(SubscriptionStore, store),
          failing("go on with copies")
        )
    })
  })
)
