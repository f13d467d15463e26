/**
 * Definitions of a store in another database: they have no place in the stream. They are read at every refresh
 * interval and whenever the store hints that they changed, and take effect when they are seen, at the next
 * transaction that the stream reaches; docs/guarantees.md says what that does not promise.
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Queue from "effect/Queue"
import * as Schedule from "effect/Schedule"
import * as Stream from "effect/Stream"
import { DefinitionIndex } from "../../domain/DefinitionIndex.ts"
import type { Transaction } from "../../domain/Change.ts"
import { apply, deltaOf, difference, type PendingRows } from "../../domain/Definitions.ts"
import type { Subscription } from "../../domain/Subscription.ts"
import * as SubscriptionRow from "../../domain/SubscriptionRow.ts"
import { StoreSettings } from "../../services/Settings.ts"
import { type DefinitionsInForce, SubscriptionCache } from "../../services/SubscriptionCache.ts"
import { SubscriptionStore } from "../../services/SubscriptionStore.ts"

/** Between two reads that failed: exponential, at most this. */
const RETRY_MAX = Duration.seconds(5)

const retries = Schedule.min([Schedule.exponential("250 millis"), Schedule.spaced(RETRY_MAX)]).pipe(Schedule.jittered)

/** The rows as they were read last; a new array for each read. */
interface Latest {
  rows: ReadonlyArray<Subscription>
}

/** `latest.rows` replaces the definitions when the next transaction begins, never inside one. */
export const make = (from: ReadonlyArray<Subscription>, latest: Latest): DefinitionsInForce => {
  const index = new DefinitionIndex(from)
  /** Applied and not yet on a Commit. */
  const unsaved: PendingRows = new Map()
  let applied: ReadonlyArray<Subscription> | undefined
  let transaction: Transaction | undefined

  const catchUp = (): void => {
    applied = latest.rows
    const rows = difference(index, applied)
    apply(index, rows)
    for (const [id, row] of rows) unsaved.set(id, row)
  }
  catchUp()

  return {
    select: (change) => {
      if (change.transaction !== transaction) {
        transaction = change.transaction
        if (applied !== latest.rows) catchUp()
      }
      return index.select(change)
    },
    consume: SubscriptionRow.isSubscriptionsTable,
    commit: (commit) => {
      if (unsaved.size === 0) return
      commit.definitions = deltaOf(unsaved)
      unsaved.clear()
    },
    has: (id) => index.get(id) !== undefined,
    current: () => index.current()
  }
}

export const layer: Layer.Layer<SubscriptionCache, never, SubscriptionStore | StoreSettings> = Layer.effect(
  SubscriptionCache,
  Effect.gen(function*() {
    const store = yield* SubscriptionStore
    const { refreshIntervalMs } = yield* StoreSettings
    const scope = yield* Effect.scope
    const latest: Latest = { rows: [] }
    let polling = false

    /** Waits while the store is down: events wait with it at the start, and keep their definitions later. */
    const read = store.list.pipe(
      Effect.tapError(() => Effect.logWarning("Cannot read the subscriptions; trying again.")),
      Effect.retry(retries),
      Effect.map((rows) => {
        latest.rows = rows
      })
    )
    /** At each interval, counted from the read before, or at once on a hint. */
    const hints = yield* Queue.sliding<void>(1)
    const poll = Effect.forever(Effect.andThen(Effect.timeoutOption(Queue.take(hints), refreshIntervalMs), read))
    const follow = Stream.runForEach(store.hints ?? Stream.empty, () => Queue.offer(hints, undefined))

    return SubscriptionCache.of({
      open: Effect.fn("SubscriptionCache.open")(function*(from) {
        yield* Effect.orDie(read)
        if (!polling) {
          polling = true
          yield* Effect.forkIn(poll, scope, { startImmediately: true })
          yield* Effect.forkIn(follow, scope, { startImmediately: true })
        }
        return make(from, latest)
      })
    })
  })
)
