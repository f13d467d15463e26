/** `/health` and `/ready` over HTTP, and what makes the running service ready. */
import { assert, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as TestClock from "effect/testing/TestClock"
import { type AddressInfo, connect, createServer } from "node:net"
import * as Health from "../../src/layers/http/Health.ts"
import { MAX_CONNECTIONS } from "../../src/layers/http/listening.ts"
import * as HealthChecksLive from "../../src/layers/http/HealthChecksLive.ts"
import { type HealthCheck, HealthChecks } from "../../src/services/HealthChecks.ts"
import { Listener, type ListenerState } from "../../src/services/Listener.ts"
import { StoreProbe, StoreUnreachable } from "../../src/services/StoreProbe.ts"
import { ask, settingsLayer } from "../support/api.ts"
import { eventually } from "../support/database.ts"

/** A port that was free a moment ago. */
const freePort = Effect.callback<number>((resume) => {
  const server = createServer().listen(0, "127.0.0.1", () => {
    const { port } = server.address() as AddressInfo
    server.close(() => resume(Effect.succeed(port)))
  })
})

const started = Effect.fnUntraced(function*(checks: ReadonlyArray<HealthCheck>) {
  const healthPort = yield* freePort
  yield* Layer.build(Health.layer.pipe(
    Layer.provide(Layer.succeed(HealthChecks, { checks })),
    Layer.provide(settingsLayer({ healthPort }))
  ))
  return { port: healthPort, get: ask(healthPort) }
})

it.live("health answers while the process lives; ready names what is not well", () =>
  Effect.gen(function*() {
    let problem: string | undefined
    const { get } = yield* started([
      { name: "source", problem: Effect.sync(() => problem) },
      { name: "store", problem: Effect.succeed(undefined) }
    ])
    const ready = yield* get("/ready?x=1")
    assert.deepStrictEqual([ready.status, ready.json], [200, { ready: true, problems: {} }])
    problem = "not connected"
    const red = yield* get("/ready")
    assert.deepStrictEqual([red.status, red.json], [503, { ready: false, problems: { source: "not connected" } }])
    assert.deepStrictEqual([(yield* get("/health")).status, (yield* get("/health")).json], [200, { alive: true }])
    assert.strictEqual((yield* get("/ready", { method: "HEAD" })).status, 503)
    const post = yield* get("/health", { method: "POST" })
    assert.deepStrictEqual([post.status, post.headers["allow"]], [405, "GET, HEAD"])
    assert.strictEqual((yield* get("/")).status, 404)
  }).pipe(Effect.scoped))

it.live("a check that does not answer is not well, and holds nobody up for ever", () =>
  Effect.gen(function*() {
    const { get } = yield* started([{ name: "store", problem: Effect.never }, { name: "broken", problem: Effect.die(new Error("s3cret")) }])
    const ready = yield* get("/ready")
    assert.strictEqual(ready.status, 503)
    assert.notInclude(ready.text, "s3cret")
    const { get: other } = yield* started([{ name: "store", problem: Effect.never }])
    assert.deepStrictEqual((yield* other("/ready")).json, { ready: false, problems: { store: "no answer within 2 s" } })
  }).pipe(Effect.scoped))

it.live("holds a bounded number of connections, and answers again when they have ended", () =>
  Effect.gen(function*() {
    const { get, port } = yield* started([])
    const sockets = Array.from({ length: MAX_CONNECTIONS + 20 }, () => connect(port, "127.0.0.1").on("error", () => {}).resume())
    const refused = () => sockets.filter((socket) => socket.closed).length
    yield* Effect.promise(() => eventually("the last ones are closed", () => refused() === 20))
    // They send nothing: the server ends them by itself.
    yield* Effect.promise(() => eventually("all are closed", () => refused() === sockets.length))
    assert.strictEqual((yield* get("/health")).status, 200)
  }).pipe(Effect.scoped), 30_000)

it.live("a port that is taken is an error that names the setting; not enabled, nothing listens", () =>
  Effect.gen(function*() {
    const { port } = yield* started([])
    const again = (healthEnabled: boolean) =>
      Layer.build(Health.layer.pipe(
        Layer.provide(Layer.succeed(HealthChecks, { checks: [] })),
        Layer.provide(settingsLayer({ healthPort: port, healthEnabled }))
      ))
    const error = yield* Effect.flip(again(true))
    assert.deepStrictEqual([error.code, error.exitCode], ["AddressInUse", 4])
    assert.include(error.message, "PGSTREAM_HEALTH_CHECK_ADDRESS")
    yield* again(false)
  }).pipe(Effect.scoped))

const stateOf = (state: Partial<ListenerState>): ListenerState => ({
  connected: true, sinceMs: 0, lastError: undefined, receivedLsn: 100, acknowledgedLsn: 100, ...state
})

it.effect("ready needs a connected source, progress, and a store", () =>
  Effect.gen(function*() {
    let state = stateOf({})
    let store = true
    const context = yield* Layer.build(HealthChecksLive.layer.pipe(
      Layer.provide(Layer.mock(Listener, { state: Effect.sync(() => state) })),
      Layer.provide(Layer.succeed(StoreProbe, {
        reach: Effect.suspend(() => store ? Effect.void : Effect.fail(new StoreUnreachable({ cause: new Error("s3cret") })))
      }))
    ))
    const { checks } = yield* Effect.provideContext(HealthChecks, context)
    const found = Effect.map(
      Effect.forEach(checks, ({ name, problem }) => Effect.map(problem, (text) => [name, text] as const)),
      (all) => Object.fromEntries(all)
    )
    const well = { source: undefined, standby: undefined, progress: undefined, store: undefined }
    assert.deepStrictEqual(yield* found, well)

    state = stateOf({ connected: false, sinceMs: 1_000 })
    assert.deepStrictEqual(yield* found, { ...well, source: "not connected to the source since 1970-01-01T00:00:01.000Z" })
    store = false
    assert.strictEqual((yield* found)["store"], "the store does not answer")
    store = true

    // Behind, but moving: each look finds that what was there at the look before is settled.
    for (let n = 1; n <= 100; n++) {
      state = stateOf({ receivedLsn: 100 + n * 10, acknowledgedLsn: 95 + n * 10 })
      yield* TestClock.adjust(HealthChecksLive.LOOK_MS)
      assert.deepStrictEqual(yield* found, well)
    }
    // Reads on, settles nothing.
    const stuckAt = { acknowledgedLsn: 1_095 }
    state = stateOf({ ...stuckAt, receivedLsn: 1_200 })
    yield* TestClock.adjust(HealthChecksLive.STUCK_MS - HealthChecksLive.LOOK_MS)
    assert.deepStrictEqual(yield* found, well)
    state = stateOf({ ...stuckAt, receivedLsn: 1_300 })
    yield* TestClock.adjust(2 * HealthChecksLive.LOOK_MS)
    assert.match(String((yield* found)["progress"]), /^nothing is settled since 1970-/)
    state = stateOf({ acknowledgedLsn: 1_300, receivedLsn: 1_300 })
    assert.deepStrictEqual(yield* found, well)
    // Idle for as long as one likes.
    yield* TestClock.adjust(10 * HealthChecksLive.STUCK_MS)
    assert.deepStrictEqual(yield* found, well)
    // Also found by the first who asks.
    state = stateOf({ acknowledgedLsn: 1_300, receivedLsn: 1_400 })
    yield* TestClock.adjust(HealthChecksLive.STUCK_MS + 2 * HealthChecksLive.LOOK_MS)
    assert.isString((yield* found)["progress"])
  }).pipe(Effect.scoped))
