import { assert, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import { randomUUID } from "node:crypto"
import * as EndpointsPg from "../../src/layers/postgres/store/EndpointsPg.ts"
import { mend } from "../../src/layers/postgres/store/EndpointsPgMend.ts"
import * as Sql from "../../src/layers/postgres/Sql.ts"
import * as StoreHints from "../../src/layers/postgres/store/StoreHints.ts"
import * as SubscriptionStorePg from "../../src/layers/postgres/store/SubscriptionStorePg.ts"
import { Endpoints } from "../../src/services/Endpoints.ts"
import { NotifierSettings, notifierDefaults, StoreSettings } from "../../src/services/Settings.ts"
import { SubscriptionStore } from "../../src/services/SubscriptionStore.ts"
import { Operator, suite } from "../suites/EndpointsSuite.ts"
import { eventually, testDatabase } from "../support/database.ts"
import { startServer } from "../support/PostgresServer.ts"
import { migratedStore } from "../support/store.ts"

const database = testDatabase("endpoints")
const plainDatabase = testDatabase("endpoints_plain")
const stream = { systemIdentifier: "1", slotName: "s" }

const settings = (refreshIntervalMs: number) => Layer.mergeAll(
  Layer.succeed(StoreSettings, { url: Redacted.make(""), inSource: true, refreshIntervalMs }),
  Layer.succeed(NotifierSettings, { ...notifierDefaults, concurrency: 17 })
)

const operator = Layer.effect(
  Operator,
  Effect.map(Sql.StoreSql, (sql) => ({
    edit: (id, change) =>
      Effect.gen(function*() {
        if (change.url !== undefined) yield* sql`UPDATE pgstream.webhook_endpoints SET url = ${change.url} WHERE id = ${id}`
        if (change.order !== undefined) yield* sql`UPDATE pgstream.webhook_endpoints SET order_mode = ${change.order} WHERE id = ${id}`
        if (change.concurrency !== undefined) yield* sql`UPDATE pgstream.webhook_endpoints SET concurrency = ${change.concurrency} WHERE id = ${id}`
        if (change.paused !== undefined) {
          yield* sql`INSERT INTO pgstream.endpoint_streams (stream, endpoint_id, paused, paused_reason)
            VALUES ('1/s', ${id}, ${change.paused}, ${change.pausedReason ?? null})
            ON CONFLICT (stream, endpoint_id) DO UPDATE SET paused = excluded.paused, paused_reason = excluded.paused_reason`
        }
        yield* StoreHints.notify(sql)
      }).pipe(Effect.orDie)
  }))
)

const endpoints = (refreshIntervalMs: number) => EndpointsPg.layerFor(stream).pipe(Layer.provide(settings(refreshIntervalMs)))

/** The interval is long: what the suite waits for comes by hints alone. */
suite("postgres", Layer.mergeAll(endpoints(600_000), SubscriptionStorePg.layer, operator).pipe(Layer.provide(migratedStore(database.url))), 17)

it.layer(endpoints(100).pipe(Layer.provideMerge(migratedStore(plainDatabase.url))), { excludeTestServices: true })("Endpoints in Postgres", (it) => {
  const idOf = (url: string) => plainDatabase.psql(`SELECT id FROM pgstream.webhook_endpoints WHERE url = '${url}'`).trim()

  it.effect("finds what plain SQL changed at the interval; another stream's pause is not ours", () =>
    Effect.gen(function*() {
      const known = yield* Endpoints
      plainDatabase.psql(`INSERT INTO pgstream.webhook_subscriptions (url) VALUES ('http://a/')`)
      const id = idOf("http://a/")
      plainDatabase.psql(`INSERT INTO pgstream.endpoint_streams (stream, endpoint_id, paused, paused_reason) VALUES ('2/s', '${id}', true, 'theirs')`)
      yield* Effect.promise(() => eventually("the endpoint is known", () => known.get(id)?.url === "http://a/"))
      assert.isFalse(known.get(id)?.paused)
      plainDatabase.psql(`UPDATE pgstream.webhook_subscriptions SET url = 'http://b/'`)
      yield* Effect.promise(() => eventually("the URL is the new one", () => known.get(id)?.url === "http://b/"))
      plainDatabase.psql(`DELETE FROM pgstream.webhook_subscriptions`)
      yield* Effect.promise(() => eventually("the endpoint went", () => known.get(id) === undefined))
    }))

  it.effect("ends an endpoint without rows, but not one that a session is giving a row", () =>
    Effect.gen(function*() {
      const known = yield* Endpoints
      plainDatabase.psql(`INSERT INTO pgstream.webhook_endpoints (url) VALUES ('http://empty/')`)
      yield* Effect.promise(() => eventually("it went", () => idOf("http://empty/") === ""))
      const sql = yield* Sql.StoreSql
      yield* sql.withTransaction(Effect.gen(function*() {
        yield* sql`INSERT INTO pgstream.webhook_subscriptions (url) VALUES ('http://used/')`
        yield* sql`DELETE FROM pgstream.webhook_subscriptions WHERE url = 'http://used/'`
        yield* sql`SET CONSTRAINTS ALL IMMEDIATE`
        yield* sql`INSERT INTO pgstream.webhook_subscriptions (url) VALUES ('http://used/')`
        yield* mend(sql)
      }))
      const id = idOf("http://used/")
      yield* Effect.promise(() => eventually("it is known", () => known.get(id) !== undefined))
    }))

  it.effect("gives a row whose endpoint is not there one", () =>
    Effect.gen(function*() {
      const known = yield* Endpoints
      const id = randomUUID()
      plainDatabase.psql(`INSERT INTO pgstream.webhook_subscriptions (url, endpoint_id) VALUES ('http://orphan/', '${id}')`)
      yield* Effect.promise(() => eventually("the endpoint is there", () => known.get(id)?.url === "http://orphan/"))
      plainDatabase.psql(`INSERT INTO pgstream.webhook_subscriptions (url, table_name, endpoint_id) VALUES ('http://orphan/', 't', '${randomUUID()}')`)
      yield* Effect.promise(() => eventually("it joined", () =>
        plainDatabase.psql(`SELECT count(*) FROM pgstream.webhook_subscriptions WHERE endpoint_id = '${id}'`).trim() === "2"))
    }))
})

const soonDatabase = testDatabase("endpoints_soon")
it.live("looks soon when the stream says that rows changed", () =>
  Effect.gen(function*() {
    const known = yield* Endpoints
    assert.isUndefined(yield* known.fetch(randomUUID()))
    soonDatabase.psql(`INSERT INTO pgstream.webhook_subscriptions (url) VALUES ('http://a/')`)
    const id = soonDatabase.psql(`SELECT id FROM pgstream.webhook_endpoints`).trim()
    known.refreshSoon?.()
    yield* Effect.promise(() => eventually("the endpoint is known", () => known.get(id) !== undefined))
  }).pipe(Effect.provide(endpoints(600_000).pipe(Layer.provide(migratedStore(soonDatabase.url))))))

it.live("a fetch waits while the server is away; changes are heard again when it is back", () =>
  Effect.promise(async () => {
    const server = await startServer()
    try {
      await Effect.runPromise(Effect.gen(function*() {
        const known = yield* Endpoints
        const row = yield* (yield* SubscriptionStore).subscribe({ url: "http://a/", schema: "", table: "" }, [])
        yield* Effect.promise(() => server.crash())
        const fetching = yield* Effect.forkChild(known.fetch(row.endpointId))
        yield* Effect.promise(() => server.start())
        assert.strictEqual((yield* Fiber.join(fetching))?.url, "http://a/")
        const { edit } = yield* Operator
        yield* Effect.promise(() => eventually("the pause is known", async () => {
          await Effect.runPromise(edit(row.endpointId, { paused: true }))
          return known.get(row.endpointId)?.paused === true
        }))
      }).pipe(Effect.provide(Layer.mergeAll(endpoints(600_000), SubscriptionStorePg.layer, operator).pipe(
        Layer.provide(migratedStore(server.url()))
      ))))
    } finally {
      await server.stop()
    }
  }))

/** It asks who waits for a standby only after its first looks; what it asked last is what a session shows. */
const looksAt = (psql: (sql: string) => string) => () =>
  psql(`SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%wait_event = ''SyncRep'' LIMIT 1%' AND pid <> pg_backend_pid()`).trim() === "1"

it.live("an endpoint whose commit waits for a synchronous standby is not taken for gone", () =>
  Effect.promise(async () => {
    const server = await startServer({ conf: ["synchronous_standby_names = 'nobody'"] })
    try {
      await Effect.runPromise(Effect.gen(function*() {
        const known = yield* Endpoints
        const sql = yield* Sql.StoreSql
        const id = randomUUID()
        assert.isUndefined(yield* known.fetch(id))
        const insert = yield* Effect.forkChild(sql.withTransaction(Effect.andThen(
          sql`SET LOCAL synchronous_commit = on`,
          sql`WITH made AS (INSERT INTO pgstream.webhook_endpoints (id, url) VALUES (${id}, 'http://a/'))
            INSERT INTO pgstream.webhook_subscriptions (url, endpoint_id) VALUES ('http://a/', ${id})`
        )))
        const waits = () => server.psql(`SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'SyncRep'`).trim() === "1"
        yield* Effect.promise(() => eventually("the commit waits", waits))
        const fetching = yield* Effect.forkChild(known.fetch(id))
        yield* Effect.promise(() => eventually("the fetch has looked more than a few times", looksAt(server.psql)))
        server.psql(`ALTER SYSTEM SET synchronous_standby_names = ''`)
        server.psql(`SELECT pg_reload_conf()`)
        assert.strictEqual((yield* Fiber.join(fetching))?.url, "http://a/")
        yield* Fiber.join(insert)
      }).pipe(Effect.provide(endpoints(600_000).pipe(Layer.provideMerge(migratedStore(server.url()))))))
    } finally {
      await server.stop()
    }
  }))

it.live("another session's open transaction does not hold up the answer that an endpoint is gone", () =>
  Effect.gen(function*() {
    const known = yield* Endpoints
    const sql = yield* Sql.StoreSql
    yield* sql.withTransaction(Effect.gen(function*() {
      yield* sql`SELECT pg_current_xact_id()::text`
      assert.isUndefined(yield* Effect.promise(() => Effect.runPromise(known.fetch(randomUUID()))))
    }))
  }).pipe(Effect.provide(endpoints(600_000).pipe(Layer.provideMerge(migratedStore(soonDatabase.url))))))
