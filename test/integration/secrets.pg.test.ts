/** What the store keeps encrypted: endpoints' secrets and parked bodies, with and without a key, over a change of keys. */
import { assert, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import { inspect } from "node:util"
import * as EndpointsPg from "../../src/layers/postgres/store/EndpointsPg.ts"
import * as EndpointStatesPg from "../../src/layers/postgres/store/EndpointStatesPg.ts"
import * as EndpointStorePg from "../../src/layers/postgres/store/EndpointStorePg.ts"
import * as DeadDeliveriesPg from "../../src/layers/postgres/store/DeadDeliveriesPg.ts"
import * as ParkedDeliveriesPg from "../../src/layers/postgres/store/ParkedDeliveriesPg.ts"
import * as SubscriptionStorePg from "../../src/layers/postgres/store/SubscriptionStorePg.ts"
import { Endpoints } from "../../src/services/Endpoints.ts"
import { EndpointStore } from "../../src/services/EndpointStore.ts"
import { ParkedDeliveries, type ParkedDelivery } from "../../src/services/ParkedDeliveries.ts"
import { NotifierSettings, notifierDefaults, SecretSettings, StoreSettings } from "../../src/services/Settings.ts"
import { SubscriptionStore } from "../../src/services/SubscriptionStore.ts"
import { suite } from "../suites/EndpointStoreSuite.ts"
import { suite as parkedSuite } from "../suites/ParkedDeliveriesSuite.ts"
import { eventually, testDatabase } from "../support/database.ts"
import { migratedStore } from "../support/store.ts"

const database = testDatabase("secrets")
const parkedDatabase = testDatabase("secrets_parked")
const plainDatabase = testDatabase("secrets_plain")
const stream = { systemIdentifier: "1", slotName: "s" }

const keyOf = (n: number) => Redacted.make(new Uint8Array(32).fill(n))
const keys = (key: number | undefined, ...previous: ReadonlyArray<number>) =>
  Layer.succeed(SecretSettings, { key: key === undefined ? undefined : keyOf(key), previous: previous.map(keyOf) })

/** As one start of the program has it. */
const program = (url: string, secretKeys: Layer.Layer<never>) =>
  Layer.mergeAll(EndpointsPg.layerFor(stream), EndpointStorePg.layerFor(stream), EndpointStatesPg.layer, SubscriptionStorePg.layer, ParkedDeliveriesPg.layer).pipe(
    Layer.provide(Layer.mergeAll(
      migratedStore(url), secretKeys,
      Layer.succeed(StoreSettings, { url: Redacted.make(""), inSource: true, refreshIntervalMs: 600_000 }),
      Layer.succeed(NotifierSettings, { ...notifierDefaults, concurrency: 17 })
    ))
  )

suite("postgres, encrypted", program(database.url, keys(1)), 17)
parkedSuite("postgres, encrypted", Layer.mergeAll(ParkedDeliveriesPg.layer, DeadDeliveriesPg.layer).pipe(Layer.provide(Layer.mergeAll(migratedStore(parkedDatabase.url), keys(1)))))

const TOKEN = "t0ken-of-the-endpoint"
const BODY = "a secret value of a row"
const parked = (endpointId: string, id: string): ParkedDelivery => ({
  endpointId, id, body: Buffer.from(`{"v":"${BODY}"}`), keys: [], sequence: 1, epoch: "", selectedBy: [], commitLsn: 1, ordinal: 1, table: "public.t",
  kind: "I", attempts: 0, state: "waiting", dueAtMs: 0, retries: 0, lastError: undefined
})

const subscribed = (url: string) =>
  Effect.map(Effect.flatMap(SubscriptionStore, (store) => store.subscribe({ url, schema: "", table: "" }, [])), (row) => row.endpointId)

const stored = (of: { readonly psql: (sql: string) => string }) => {
  const text = of.psql("SELECT encode(content, 'escape') FROM pgstream.webhook_endpoint_secrets")
  return `${text}${of.psql("SELECT encode(body, 'escape') FROM pgstream.webhook_deliveries")}`
}

it.live("with a key nothing can be read in the tables, and it opens with that key alone", () =>
  Effect.gen(function*() {
    const clear = testClear()
    const id = yield* Effect.gen(function*() {
      const id = yield* subscribed("http://keyed/")
      const store = yield* EndpointStore
      yield* store.update(id, { sending: { headers: { "X-Secret": "h3ader" }, auth: { type: "bearer", token: TOKEN } } })
      const { secret } = (yield* store.rotateSecret(id, { secret: undefined, overlapSeconds: 0 }))!
      clear.push(Redacted.value(secret))
      yield* (yield* ParkedDeliveries).write(stream, [parked(id, "e-1")])
      return id
    }).pipe(Effect.provide(program(database.url, keys(1))))
    for (const text of clear) assert.notInclude(stored(database), text)

    const seen = (secretKeys: Layer.Layer<never>) =>
      Effect.gen(function*() {
        const endpoint = yield* (yield* Endpoints).fetch(id)
        const page = yield* Effect.result((yield* ParkedDeliveries).scan(stream, id, undefined, 10))
        return { endpoint, page }
      }).pipe(Effect.provide(program(database.url, secretKeys)))

    for (const lost of [keys(undefined), keys(2)]) {
      const { endpoint, page } = yield* seen(lost)
      assert.deepStrictEqual([endpoint?.paused, endpoint?.sending], [true, undefined])
      assert.include(endpoint?.pausedReason, "PGSTREAM_SECRET_KEY_PREVIOUS")
      assert.strictEqual(page._tag, "Failure")
      assert.include(inspect(page, { depth: 9 }), "SecretKeyUnknown")
    }
    const { endpoint, page } = yield* seen(keys(1))
    assert.isFalse(endpoint?.paused)
    assert.deepStrictEqual(page._tag === "Success" && Buffer.from(page.success[0]!.body).toString(), `{"v":"${BODY}"}`)
  }))

const testClear = () => [TOKEN, BODY, "h3ader", "whsec_", "bearer"]

it.live("a new key: what the old one encrypted opens, and the endpoints' are encrypted anew", () =>
  Effect.gen(function*() {
    const id = database.psql("SELECT id FROM pgstream.webhook_endpoints WHERE url = 'http://keyed/'").trim()
    const content = () => database.psql(`SELECT encode(content, 'hex') FROM pgstream.webhook_endpoint_secrets WHERE endpoint_id = '${id}'`).trim()
    const before = content()
    yield* Effect.gen(function*() {
      yield* Effect.promise(() => eventually("it is encrypted anew", () => content() !== before))
      assert.lengthOf(yield* (yield* ParkedDeliveries).scan(stream, id, undefined, 10), 1)
    }).pipe(Effect.provide(program(database.url, keys(3, 1))))
    const endpoint = yield* Effect.flatMap(Endpoints, ({ fetch }) => fetch(id)).pipe(Effect.provide(program(database.url, keys(3))))
    assert.isFalse(endpoint?.paused)
  }))

it.live("what is moved to another row does not open", () =>
  Effect.gen(function*() {
    const [id, other] = [yield* subscribed("http://one/"), yield* subscribed("http://two/")]
    const store = yield* EndpointStore
    yield* store.update(id, { sending: { auth: { type: "bearer", token: TOKEN } } })
    yield* (yield* ParkedDeliveries).write(stream, [parked(id, "e-2"), parked(other, "e-3")])
    database.psql(`INSERT INTO pgstream.webhook_endpoint_secrets SELECT '${other}', version, content FROM pgstream.webhook_endpoint_secrets WHERE endpoint_id = '${id}'`)
    database.psql(`UPDATE pgstream.webhook_deliveries SET body = (SELECT body FROM pgstream.webhook_deliveries WHERE event_id = 'e-2') WHERE event_id = 'e-3'`)
    const endpoint = (yield* store.list).find((found) => found.id === other)
    assert.deepStrictEqual([endpoint?.paused, endpoint?.sending], [true, undefined])
    assert.deepInclude(yield* Effect.flip(store.update(other, { sending: { headers: {} } })), { reason: "SecretKeyUnknown" })
    assert.isDefined(yield* store.update(other, { order: "none" }))
    assert.strictEqual((yield* Effect.result((yield* ParkedDeliveries).scan(stream, other, undefined, 10)))._tag, "Failure")
  }).pipe(Effect.provide(program(database.url, keys(3)))))

it.live("without a key, authorization and a client's key are refused and nothing is changed; the rest is in the clear", () =>
  Effect.gen(function*() {
    const id = yield* subscribed("http://plain/")
    const store = yield* EndpointStore
    for (const sending of [
      { auth: { type: "bearer", token: TOKEN } }, { auth: { type: "basic", username: "u", password: TOKEN } },
      { client: { certificate: "c", key: TOKEN } }
    ] as const) {
      const refused = yield* Effect.flip(store.update(id, { order: "none", sending }))
      assert.deepInclude(refused, { reason: "SecretKeyMissing" })
      assert.include(refused.message, "PGSTREAM_SECRET_KEY")
      assert.notInclude(inspect(refused, { depth: 9, showHidden: true }), TOKEN)
    }
    assert.strictEqual((yield* store.list)[0]?.order, "key")
    yield* store.update(id, { sending: { headers: { a: "b" }, auth: null, ca: "ca" } })
    yield* store.rotateSecret(id, { secret: undefined, overlapSeconds: 0 })
    yield* (yield* ParkedDeliveries).write(stream, [parked(id, "e-4")])
    assert.include(stored(plainDatabase), "whsec_")
    assert.include(stored(plainDatabase), BODY)
  }).pipe(Effect.provide(program(plainDatabase.url, keys(undefined)))))

it.live("a key that comes later encrypts the endpoints, and reads what was parked before it; both go with the endpoint", () =>
  Effect.gen(function*() {
    const id = plainDatabase.psql("SELECT id FROM pgstream.webhook_endpoints").trim()
    yield* Effect.promise(() => eventually("it is encrypted", () => !stored(plainDatabase).includes("whsec_")))
    const [page] = yield* (yield* ParkedDeliveries).scan(stream, id, undefined, 10)
    assert.include(Buffer.from(page!.body).toString(), BODY)
    const endpoint = yield* (yield* Endpoints).fetch(id)
    assert.deepStrictEqual(endpoint?.sending === undefined ? {} : Redacted.value(endpoint.sending.content).headers, { a: "b" })
    yield* (yield* SubscriptionStore).unsubscribe({ url: "http://plain/", schema: "", table: "" })
    assert.strictEqual(plainDatabase.psql("SELECT count(*) FROM pgstream.webhook_endpoint_secrets").trim(), "0")
  }).pipe(Effect.provide(program(plainDatabase.url, keys(1)))))

it.live("a pause gives an endpoint that was not counted yet the epoch that the Notifier would give it", () =>
  Effect.gen(function*() {
    plainDatabase.psql("INSERT INTO pgstream.checkpoint (stream, epoch_seed) VALUES ('1/s', 'seed')")
    const id = yield* subscribed("http://paused/")
    yield* (yield* EndpointStore).update(id, { paused: true })
    const { createHash } = yield* Effect.promise(() => import("node:crypto"))
    const expected = createHash("sha256").update(`seed ${id}`).digest("hex").slice(0, 16)
    assert.strictEqual(plainDatabase.psql(`SELECT epoch FROM pgstream.endpoint_streams WHERE endpoint_id = '${id}'`).trim(), expected)
  }).pipe(Effect.provide(program(plainDatabase.url, keys(undefined)))))
