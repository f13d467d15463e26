import { assert, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import * as Stream from "effect/Stream"
import * as Fiber from "effect/Fiber"
import * as SubscriptionStoreCached from "../../src/layers/pipeline/SubscriptionStoreCached.ts"
import * as SubscriptionStorePg from "../../src/layers/postgres/store/SubscriptionStorePg.ts"
import { StoreSettings, SubscriptionSettings } from "../../src/services/Settings.ts"
import { SubscriptionStore, type SubscriptionStoreError, type TooManySubscriptions } from "../../src/services/SubscriptionStore.ts"
import { limitSuite, suite } from "../suites/SubscriptionStoreSuite.ts"
import { eventually, testDatabase } from "../support/database.ts"
import { startServer } from "../support/PostgresServer.ts"
import { migratedStore } from "../support/store.ts"

const database = testDatabase("subscriptions")
const cachedDatabase = testDatabase("subscriptions_cached")
const limited = testDatabase("subscriptions_limited")
const quick = testDatabase("subscriptions_quick")
const settings = (refreshIntervalMs: number) =>
  Layer.succeed(StoreSettings, { url: Redacted.make(""), inSource: true, refreshIntervalMs })
const on = (url: string) => SubscriptionStorePg.layer.pipe(Layer.provide(migratedStore(url)))

suite("postgres", on(database.url))
suite("cached postgres", SubscriptionStoreCached.layer.pipe(Layer.provide([on(cachedDatabase.url), settings(60_000)])))
limitSuite("postgres", on(limited.url).pipe(Layer.provide(Layer.succeed(SubscriptionSettings, { max: 5 }))))

it.live("remove counts what only that row selects, and all of an endpoint that ends", () =>
  Effect.gen(function*() {
    const store = yield* SubscriptionStore
    const url = "http://withdrawn/"
    const [a, b] = [
      yield* store.subscribe({ url, schema: "", table: "a" }, []), yield* store.subscribe({ url, schema: "", table: "b" }, [])
    ]
    const park = (n: number, selectedBy: string) => `('s', '${a!.endpointId}', 'e${n}', '0/${n}', 1, 'waiting', now(), 1, 1, ${n}, 'public.t', 'I', '${selectedBy}', '', '')`
    quick.psql(`INSERT INTO pgstream.checkpoint (stream) VALUES ('s') ON CONFLICT DO NOTHING;
      INSERT INTO pgstream.webhook_deliveries (stream, endpoint_id, event_id, commit_lsn, ordinal, state, due_at, attempts, retries, sequence, table_name, kind, selected_by, keys, body)
      VALUES ${[park(1, a!.id), park(2, `${a!.id},${b!.id}`), park(3, b!.id)].join(", ")}`)
    assert.deepInclude(yield* store.remove(a!.id), { endpointEnded: false, withdrawn: 1 })
    assert.deepInclude(yield* store.remove(b!.id), { endpointEnded: true, withdrawn: 3 })
    quick.psql("DELETE FROM pgstream.webhook_deliveries; DELETE FROM pgstream.checkpoint")
  }).pipe(Effect.provide(on(quick.url))))

it.live("reads what plain SQL wrote, event types of every form", () =>
  Effect.gen(function*() {
    const store = yield* SubscriptionStore
    quick.psql(`INSERT INTO pgstream.webhook_subscriptions VALUES ('http://null/', '', '', NULL), ('http://empty/', '', '', '{}'),
      ('http://some/', '', '', '{I,U}'), ('http://nulls/', '', '', '{NULL}')`)
    const types = new Map((yield* store.list).map((row) => [row.url, row.eventTypes as ReadonlyArray<string>]))
    assert.deepStrictEqual(types, new Map([["http://null/", []], ["http://empty/", []], ["http://some/", ["I", "U"]], ["http://nulls/", [""]]]))
    yield* store.subscribe({ url: "http://all/", schema: "", table: "" }, [])
    assert.strictEqual(quick.psql(`SELECT event_types IS NULL FROM pgstream.webhook_subscriptions WHERE url = 'http://all/'`).trim(), "t")
  }).pipe(Effect.provide(on(quick.url))))

it.live("a cached list follows plain SQL within the interval", () =>
  Effect.gen(function*() {
    const store = yield* SubscriptionStore
    yield* store.list
    quick.psql(`INSERT INTO pgstream.webhook_subscriptions (url) VALUES ('http://late/')`)
    yield* Effect.promise(() => eventually("the row is listed", async () =>
      (await Effect.runPromise(store.list)).some((row) => row.url === "http://late/")))
  }).pipe(Effect.provide(SubscriptionStoreCached.layer.pipe(Layer.provide([on(quick.url), settings(100)])))))

it.live("hints come after a write", () =>
  Effect.gen(function*() {
    const store = yield* SubscriptionStore
    const hint = yield* Effect.forkChild(Stream.runHead(Stream.drop(store.hints!, 1)))
    yield* Effect.promise(() => eventually("a hint came", async () => {
      await Effect.runPromise(store.subscribe({ url: "http://hint/", schema: "", table: "" }, []))
      return hint.pollUnsafe() !== undefined
    }))
    yield* Fiber.join(hint)
  }).pipe(Effect.provide(on(quick.url))))

it.live("a store that is down is an error that says so; it is used again when it is back", () =>
  Effect.promise(async () => {
    const server = await startServer()
    try {
      await Effect.runPromise(Effect.gen(function*() {
        const store = yield* SubscriptionStore
        const key = { url: "http://a/", schema: "", table: "" }
        yield* store.subscribe(key, [])
        yield* Effect.promise(() => server.crash())
        for (const operation of [store.list, store.subscribe(key, []), store.unsubscribe(key)]) {
          const error = yield* Effect.flip(Effect.asVoid<unknown, SubscriptionStoreError | TooManySubscriptions, never>(operation))
          assert.isTrue("unavailable" in error && error.unavailable)
        }
        yield* Effect.promise(() => server.start())
        yield* Effect.promise(() => eventually("the store answers", async () => Exit.isSuccess(await Effect.runPromiseExit(store.list))))
        assert.strictEqual((yield* store.list).length, 1)
      }).pipe(Effect.provide(on(server.url()))))
    } finally {
      await server.stop()
    }
  }))

it.live("what is refused is not called unavailable", () =>
  Effect.gen(function*() {
    const store = yield* SubscriptionStore
    quick.psql(`ALTER TABLE pgstream.webhook_subscriptions RENAME TO elsewhere`)
    const error = yield* Effect.flip(store.list).pipe(
      Effect.ensuring(Effect.sync(() => quick.psql(`ALTER TABLE pgstream.elsewhere RENAME TO webhook_subscriptions`)))
    )
    assert.isFalse(error.unavailable)
    assert.include(String(error.cause), "42P01")
  }).pipe(Effect.provide(on(quick.url))))
