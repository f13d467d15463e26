/** The API on a real store: what it writes, and that a store which is down is 503. */
import { assert, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Result from "effect/Result"
import * as Lsn from "../../src/domain/Lsn.ts"
import { SourceSql, StoreSql } from "../../src/layers/postgres/Sql.ts"
import * as StreamBehindPg from "../../src/layers/postgres/StreamBehindPg.ts"
import * as ApiTokensPg from "../../src/layers/postgres/store/ApiTokensPg.ts"
import * as StoreProbePg from "../../src/layers/postgres/store/StoreProbePg.ts"
import * as SubscriptionStorePg from "../../src/layers/postgres/store/SubscriptionStorePg.ts"
import { Endpoints } from "../../src/services/Endpoints.ts"
import { EndpointStore } from "../../src/services/EndpointStore.ts"
import { Listener } from "../../src/services/Listener.ts"
import { StoreProbe } from "../../src/services/StoreProbe.ts"
import { copiesInMemory, deliveriesInMemory, guardNothing, settingsLayer, startApi, testsAccepted } from "../support/api.ts"
import { testDatabase } from "../support/database.ts"
import { eventually } from "../support/eventually.ts"
import { startServer } from "../support/PostgresServer.ts"
import { migratedStore } from "../support/store.ts"

const database = testDatabase("api")
const on = (url: string) =>
  Layer.mergeAll(StoreProbePg.layer, ApiTokensPg.layer, copiesInMemory).pipe(
    Layer.provideMerge(SubscriptionStorePg.layer),
    Layer.provide(migratedStore(url)),
    Layer.merge(settingsLayer()),
    Layer.merge(Layer.mergeAll(guardNothing, testsAccepted, deliveriesInMemory)),
    Layer.merge(Layer.mock(Endpoints, { get: () => undefined, fetch: () => Effect.never })),
    Layer.merge(Layer.mock(EndpointStore, {}))
  )

const TARGET = "http://localhost:9910/webhook"

it.live("writes the tutorial's rows, replaces event types, removes", () =>
  Effect.gen(function*() {
    const { get, post } = yield* startApi
    const rows = () => database.psql("SELECT url, schema_name, table_name, event_types FROM pgstream.webhook_subscriptions ORDER BY 2, 3").trim()
    yield* post("/webhooks/subscribe", { url: TARGET, event_types: ["I"] })
    const table = yield* post("/webhooks/subscribe", { url: TARGET, schema: "public", table: "test" })
    assert.strictEqual(rows(), `${TARGET}|||{I}\n${TARGET}|public|test|`)
    const ids = database.psql("SELECT id, endpoint_id FROM pgstream.webhook_subscriptions WHERE table_name = 'test'").trim()
    assert.strictEqual(`${String(table.json["id"])}|${String(table.json["endpoint_id"])}`, ids)
    // What only adds to the answer is left out when it does not come.
    assert.notProperty(table.json, "paused")
    yield* post("/webhooks/subscribe", { url: TARGET, event_types: ["I", "U", "D"] })
    assert.strictEqual((yield* post("/webhooks/unsubscribe", { url: TARGET, schema: "public", table: "test" })).status, 200)
    assert.strictEqual(rows(), `${TARGET}|||{I,U,D}`)
    const { subscriptions } = (yield* get("/webhooks/subscriptions")).json as { readonly subscriptions: ReadonlyArray<unknown> }
    assert.strictEqual(subscriptions.length, 1)
  }).pipe(Effect.scoped, Effect.provide(on(database.url))))

it.live("a store that is down is 503 and not ready; it is used again when it is back", () =>
  Effect.gen(function*() {
    const server = yield* Effect.acquireRelease(Effect.promise(() => startServer()), (it) => Effect.promise(() => it.stop()))
    yield* Effect.gen(function*() {
      const { get, post } = yield* startApi
      const probe = yield* StoreProbe
      assert.strictEqual((yield* post("/webhooks/subscribe", { url: TARGET })).status, 201)
      yield* probe.reach
      yield* Effect.promise(() => server.crash())
      for (const answer of [
        yield* get("/webhooks/subscriptions"),
        yield* post("/webhooks/subscribe", { url: TARGET, table: "t" }),
        yield* post("/webhooks/unsubscribe", { url: TARGET })
      ]) {
        assert.strictEqual(answer.status, 503, answer.text)
        assert.deepInclude(answer.json, { code: "StoreUnavailable" })
      }
      assert.strictEqual((yield* Effect.flip(probe.reach))._tag, "StoreUnreachable")
      yield* Effect.promise(() => server.start())
      yield* eventually("the API works", Effect.map(get("/webhooks/subscriptions"), ({ status }) => status === 200))
      yield* eventually("the store is reached", Effect.isSuccess(probe.reach))
    }).pipe(Effect.scoped, Effect.provide(on(server.url())))
  }).pipe(Effect.scoped))

it.live("says how much WAL the stream has not read yet, once it reads", () =>
  Effect.gen(function*() {
    let receivedLsn = Lsn.zero
    const listener = Layer.mock(Listener, {
      state: Effect.sync(() => ({ connected: true, sinceMs: 0, lastError: undefined, receivedLsn, acknowledgedLsn: Lsn.zero }))
    })
    const source = Layer.effect(SourceSql, StoreSql).pipe(Layer.provide(migratedStore(database.url)))
    const context = yield* Layer.build(StreamBehindPg.layer.pipe(Layer.provide([listener, source])))
    const { post } = yield* startApi.pipe(Effect.provideContext(context))
    const behind = Effect.map(post("/webhooks/subscribe", { url: "http://behind/" }), ({ json }) => json["behind_bytes"])
    assert.isUndefined(yield* behind)
    receivedLsn = Result.getOrThrow(Lsn.parse(database.psql("SELECT pg_current_wal_lsn()").trim()))
    database.psql("SELECT pg_logical_emit_message(true, 'x', repeat('x', 100000))")
    assert.isAtLeast(Number(yield* behind), 100_000)
    receivedLsn = Number.MAX_SAFE_INTEGER
    assert.strictEqual(yield* behind, 0)
  }).pipe(Effect.scoped, Effect.provide(on(database.url))))
