/**
 * A store whose `list` is answered from memory: read at the start, at every refresh interval, on its hints and after
 * each write through it. Rows that others change with SQL are seen at most one interval late. While the store is
 * away, `list` answers with what was read last; writes fail as they do without it.
 *
 * Use: `SubscriptionStoreCached.layer.pipe(Layer.provide(SubscriptionStorePg.layer))`.
 */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Stream from "effect/Stream"
import type { Subscription } from "../../domain/Subscription.ts"
import { StoreSettings } from "../../services/Settings.ts"
import { SubscriptionStore } from "../../services/SubscriptionStore.ts"

export const make = Effect.gen(function*() {
  const store = yield* SubscriptionStore
  const { refreshIntervalMs } = yield* StoreSettings
  let rows: ReadonlyArray<Subscription> | undefined

  /** Reads by number: an answer that was asked for before one that is in force is out of date. */
  let [asked, inForce] = [0, 0]

  const refresh = Effect.suspend(() => {
    const number = ++asked
    return Effect.map(store.list, (read) => {
      if (number > inForce) [rows, inForce] = [read, number]
      return read
    })
  })
  /** A write is done whether or not the rows can be read again: then the next `list` asks the store. */
  const afterWrite = refresh.pipe(Effect.catch(() =>
    Effect.sync(() => {
      ;[rows, inForce] = [undefined, asked]
    })
  ))
  const follow = Stream.merge(Stream.tick(refreshIntervalMs), store.hints ?? Stream.empty).pipe(
    Stream.runForEach(() =>
      refresh.pipe(
        Effect.catch(() => Effect.logWarning("Cannot read the subscriptions; the list is the one that was read last."))
      )
    )
  )
  yield* Effect.forkScoped(follow)

  return SubscriptionStore.of({
    list: Effect.suspend(() => (rows === undefined ? refresh : Effect.succeed(rows))),
    subscribe: (key, eventTypes) => Effect.tap(store.subscribe(key, eventTypes), afterWrite),
    update: (id, eventTypes) => Effect.tap(store.update(id, eventTypes), afterWrite),
    remove: (id) => Effect.tap(store.remove(id), afterWrite),
    unsubscribe: (key) => Effect.tap(store.unsubscribe(key), afterWrite),
    ...(store.hints === undefined ? {} : { hints: store.hints })
  })
})

export const layer: Layer.Layer<SubscriptionStore, never, SubscriptionStore | StoreSettings> = Layer.effect(
  SubscriptionStore,
  make
)
