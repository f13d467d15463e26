import { assert, it } from "@effect/vitest"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import type { Subscription } from "../../../src/domain/Subscription.ts"
import * as SubscriptionStoreCached from "../../../src/layers/pipeline/SubscriptionStoreCached.ts"
import { StoreSettings } from "../../../src/services/Settings.ts"
import { SubscriptionStore } from "../../../src/services/SubscriptionStore.ts"

it.effect("an answer that was asked for before a write does not undo what the write has shown", () =>
  Effect.gen(function*() {
    const rows: Array<Subscription> = []
    const slow = yield* Deferred.make<void>()
    let lists = 0
    const store = SubscriptionStore.of({
      list: Effect.suspend(() => {
        const read = [...rows]
        return lists++ === 0 ? Effect.as(Deferred.await(slow), read) : Effect.succeed(read)
      }),
      subscribe: (key, eventTypes) => Effect.sync(() => {
        const row: Subscription = { ...key, id: "id", endpointId: "e", eventTypes, createdAtUs: 0 }
        rows.push(row)
        return row
      }),
      update: () => Effect.die("not asked"), remove: () => Effect.die("not asked"), unsubscribe: () => Effect.die("not asked")
    })
    const cached = yield* SubscriptionStoreCached.make.pipe(
      Effect.provideService(SubscriptionStore, store),
      Effect.provideService(StoreSettings, { url: Redacted.make(""), inSource: true, refreshIntervalMs: 60_000 })
    )
    const first = yield* Effect.forkChild(cached.list)
    for (let turn = 0; turn < 50; turn++) yield* Effect.yieldNow
    yield* cached.subscribe({ url: "http://a", schema: "", table: "" }, [])
    yield* Deferred.succeed(slow, undefined)
    for (let turn = 0; turn < 50; turn++) yield* Effect.yieldNow
    assert.strictEqual((yield* cached.list).length, 1)
    first.interruptUnsafe()
  }).pipe(Effect.scoped))
