/** Endpoints that ended: nothing of them is kept, once nothing of them is under way. */
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Latch from "effect/Latch"
import * as Queue from "effect/Queue"
import * as References from "effect/References"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import { assert, describe, it } from "vitest"
import * as Rules from "../../../src/domain/Rules.ts"
import type { Endpoint } from "../../../src/domain/Subscription.ts"
import { Core } from "../../../src/layers/pipeline/notifier/Core.ts"
import * as Directory from "../../../src/layers/pipeline/notifier/Directory.ts"
import * as GateLive from "../../../src/layers/pipeline/notifier/GateLive.ts"
import { ParkWriter } from "../../../src/layers/pipeline/notifier/ParkWriter.ts"
import { RangeWriter } from "../../../src/layers/pipeline/notifier/RangeWriter.ts"
import { SegmentWriter } from "../../../src/layers/pipeline/notifier/SegmentWriter.ts"
import { Withdrawn } from "../../../src/layers/pipeline/notifier/Withdrawn.ts"
import { Endpoints } from "../../../src/services/Endpoints.ts"
import { notifierDefaults } from "../../../src/services/Settings.ts"
import { service as scripted } from "../../support/ScriptedTransport.ts"
import { SimulatedRanges } from "../../support/SimulatedRanges.ts"
import { SimulatedSegments } from "../../support/SimulatedSegments.ts"
import { SimulatedStore, type StoreTiming } from "../../support/SimulatedStore.ts"
import { commit, endpoint, Harness, idOf, row, rows } from "./Harness.ts"

const timing: StoreTiming = { write: () => [0, 0], scan: () => [0, 0], fails: () => "no", page: () => 100, now: () => 0 }
const noSleep = () => Effect.void

/** A Directory alone, with stores in memory. */
const directoryOf = Effect.fnUntraced(function*(known: Map<string, Endpoint>, beforeEnd: Effect.Effect<void> = Effect.void) {
  const scope = yield* Effect.scope
  const changed = yield* Queue.unbounded<{ readonly id: string; readonly endpoint: Endpoint | undefined }>()
  const context = yield* Effect.context<never>()
  let epochs = 0
  const settings = notifierDefaults
  const core = new Core({
    settings, stream: { systemIdentifier: "1", slotName: "s" }, from: 0, now: Date.now, hit: undefined,
    grips: { rules: Rules.all, random: () => 1, newEpoch: () => `epoch ${epochs++}`, slabBytes: 1_024 },
    withdrawn: new Withdrawn({ has: () => true }), makeGate: (each) => GateLive.make({ settings, endpoint: each, random: () => 1 }),
    log: { attempted: () => {} }, notices: { tell: () => {}, over: () => {} }, fates: { answered: () => {} },
    fork: (effect) => void Effect.runForkWith(context)(effect)
  })
  core.loading = false
  const [stored, log, ranges] = [
    new SimulatedStore().service(noSleep, timing), new SimulatedSegments().service(noSleep, timing), new SimulatedRanges().service(noSleep, timing)
  ]
  const store: typeof stored = { ...stored, end: (stream, id) => Effect.andThen(beforeEnd, stored.end(stream, id)) }
  const named = new Set<string>()
  const directory = Directory.make({
    parts: {
      core, parked: new ParkWriter(core, store), segments: new SegmentWriter(core, log), ranges: new RangeWriter(core, ranges),
      work: { feed: () => {}, read: () => {} }
    },
    store, log, scope, counts: new Map(), epochSeed: undefined,
    definitions: { current: () => [...named].map((id) => row(`${id}-row`, id)) },
    endpoints: Endpoints.of({
      get: (id) => known.get(id), fetch: (id) => Effect.succeed(known.get(id)), changes: Stream.fromQueue(changed)
    }),
    transport: scripted({ beforeCommit: 0, later: () => {}, play: () => ({ answer: "Ok", arriveMs: 0, replyMs: 0 }) })
  })
  yield* Effect.forkScoped(directory.follow)
  const settled = Effect.forEach(Array.from({ length: 20 }), () => Effect.yieldNow, { discard: true })
  const tell = (id: string) => Effect.andThen(Queue.offer(changed, { id, endpoint: known.get(id) }), settled)
  return { directory, named, tell }
})

/** Of its lines there are thousands. */
const run = <A, E>(test: Effect.Effect<A, E, Scope.Scope>) =>
  Effect.runPromise(Effect.scoped(test).pipe(Effect.provideService(References.MinimumLogLevel, "None")))

const size = ({ lanes }: Directory.OpenDirectory): number => lanes.size

describe("Directory", () => {
  it("is at its former size after 1,000 endpoints that came and went", () =>
    run(Effect.gen(function*() {
      const known = new Map([["stays", endpoint("stays")]])
      const { directory, named, tell } = yield* directoryOf(known)
      yield* directory.open("stays")
      for (let n = 0; n < 1_000; n++) {
        const id = `e${n}`
        known.set(id, endpoint(id, { url: "http://the-same" }))
        named.add(id)
        yield* directory.open(id)
        known.delete(id)
        named.delete(id)
        yield* tell(id)
        directory.retire()
      }
      assert.deepStrictEqual([...directory.lanes.keys()], ["stays"])
    })))

  it("keeps one that a definition in force names, that has numbers to be counted, or something under way", () =>
    run(Effect.gen(function*() {
      const known = new Map<string, Endpoint>()
      const { directory, named, tell } = yield* directoryOf(known)
      named.add("e")
      const lanes = yield* directory.open("e")
      directory.retire()
      assert.strictEqual(size(directory), 1)
      named.clear()
      for (const hold of ["counted", "erasing"] as const) {
        lanes[hold] = true
        directory.retire()
        assert.strictEqual(size(directory), 1)
        lanes[hold] = false
      }
      lanes.segments.reading = true
      directory.retire()
      assert.strictEqual(size(directory), 1)
      lanes.segments.reading = false
      lanes.attempts.link.inFlight = 1
      directory.retire()
      assert.strictEqual(size(directory), 1)
      lanes.attempts.link.inFlight = 0
      lanes.count = 7
      directory.retire()
      assert.strictEqual(size(directory), 0)
      known.set("e", endpoint("e"))
      yield* tell("e")
      const again = yield* directory.open("e")
      assert.deepStrictEqual([again === lanes, again.count, again.epoch], [false, 7, lanes.epoch])
    })))

  it("keeps one while the store still ends it: what a later one of the same id has there is not ended with it", () =>
    run(Effect.gen(function*() {
      const known = new Map<string, Endpoint>()
      const stuck = yield* Latch.make(false)
      let ends = 0
      const { directory, tell } = yield* directoryOf(known, Effect.suspend(() => (++ends === 2 ? stuck.await : Effect.void)))
      // It ends because it is not there when it is opened, and once more since it went.
      yield* directory.open("e")
      yield* tell("e")
      directory.retire()
      assert.deepStrictEqual([ends, size(directory)], [2, 1])
      yield* stuck.open
      yield* tell("another")
      directory.retire()
      assert.strictEqual(size(directory), 0)
    })))

  it("takes one back only when the store has ended it", () =>
    run(Effect.gen(function*() {
      const known = new Map<string, Endpoint>()
      const stuck = yield* Latch.make(false)
      const { directory, tell } = yield* directoryOf(known, stuck.await)
      const opening = yield* Effect.forkChild(directory.open("e"))
      yield* tell("another")
      known.set("e", endpoint("e"))
      yield* tell("e")
      assert.isTrue(directory.lanes.get("e")?.gone)
      yield* stuck.open
      assert.isFalse((yield* Fiber.join(opening)).gone)
    })))

  it("keeps one that came back before it was let go of", () =>
    run(Effect.gen(function*() {
      const known = new Map([["e", endpoint("e")]])
      const { directory, tell } = yield* directoryOf(known)
      const lanes = yield* directory.open("e")
      known.delete("e")
      yield* tell("e")
      assert.isTrue(lanes.gone)
      known.set("e", endpoint("e"))
      yield* tell("e")
      directory.retire()
      assert.deepStrictEqual([lanes.gone, directory.lanes.get("e") === lanes], [false, true])
      // It ends again, and the store still has what it had.
      lanes.end()
      directory.retire()
      assert.strictEqual(size(directory), 1)
    })))
})

const removal = (n: number, id: string) => commit(n, { upserted: [], removed: [`${id}-row`] })
const addition = (n: number, id: string) => commit(n, { upserted: [row(`${id}-row`, id)], removed: [] })

describe("Notifier, endpoints that ended", () => {
  it("closes the connection of each, and numbers a new subscription to the same URL anew", () => {
    const harness = new Harness({ endpoints: [endpoint("stays")] })
    for (let n = 0; n < 50; n++) {
      const id = `e${n}`
      harness.change(id, endpoint(id, { url: "http://the-same" }))
      harness.offer([addition(10 * n + 1, id), ...rows(10 * n + 2, "a", "b")])
      harness.pass(100)
      harness.change(id, undefined)
      harness.offer([removal(10 * n + 5, id), ...rows(10 * n + 6, "c")])
      harness.pass(1_100)
    }
    assert.deepStrictEqual(harness.connections, ["stays"])
    const sent = harness.sent.filter((each) => each.url === "http://the-same")
    assert.deepStrictEqual(sent.map(({ sequence }) => sequence), Array.from({ length: 100 }, (_, i) => 1 + i % 2))
    assert.strictEqual(harness.position, 49 * 1_000 + 650)
  })

  it("lets what is in flight end, and keeps what its checkpoint has to say", () => {
    const harness = new Harness({ endpoints: [endpoint("stays"), endpoint("e", { concurrency: 1 })], latencyOf: (id) => (id === "e" ? 5_000 : 10) })
    harness.offer(rows(1, "a", "b"))
    harness.change("e", undefined)
    harness.offer([removal(3, "e")])
    harness.pass(4_000)
    assert.include(harness.connections, "e")
    assert.isBelow(harness.position, 150)
    harness.pass(3_000)
    assert.deepStrictEqual(harness.connections, ["stays"])
    assert.deepStrictEqual([harness.position, harness.updates.findLast(({ counts }) => counts.has("e"))?.counts.get("e")?.count], [350, 2])
    assert.deepStrictEqual(harness.ranges.ranges.map(({ endpointId, first, last, state }) => [endpointId, state, first, last]), [["e", "withdrawn", 2, 2]])
  })

  it("stays until the stream has come to its end, and numbers what is withdrawn until then", () => {
    const harness = new Harness({ endpoints: [endpoint("stays"), endpoint("e")] })
    harness.offer(rows(1, "a"))
    harness.change("e", undefined)
    harness.pass(10_000)
    harness.offer([...rows(2, "b"), removal(3, "e")])
    assert.include(harness.connections, "e")
    harness.pass(2_000)
    assert.deepStrictEqual(harness.connections, ["stays"])
    assert.strictEqual(harness.updates.at(-1)?.counts.get("e")?.count ?? harness.updates.at(-2)?.counts.get("e")?.count, 2)
    assert.deepStrictEqual(harness.sent.filter((each) => each.endpoint === "e").map(({ id }) => id), [idOf(1)])
  })

  it("holds the slot no longer when it was over its budget", () => {
    const harness = new Harness({
      endpoints: [endpoint("stays"), endpoint("e", { paused: true })], settings: { budgetAction: "pause-slot", budgetBytes: 1 }
    })
    harness.offer(rows(1, "a", "b"))
    harness.pass(3_000)
    const held = harness.offer([removal(3, "e")])
    harness.pass(1_000)
    assert.isFalse(held.admitted)
    harness.change("e", undefined)
    harness.pass(3_000)
    assert.isTrue(held.admitted)
    assert.deepStrictEqual(harness.connections, ["stays"])
    assert.isTrue(harness.offer(rows(4, "c")).admitted)
  })

  it("leaves no row that was on its way to the table while the store was slow", () => {
    const harness = new Harness({
      endpoints: [endpoint("stays"), endpoint("e")], writeMs: 1_500,
      settings: { refusedScheduleMs: [60_000] }, script: { [idOf(1)]: [{ status: 404 }, { status: 404 }] }
    })
    harness.pass(5_000)
    harness.offer(rows(1, "a"))
    harness.pass(100)
    harness.change("e", undefined)
    harness.offer([removal(2, "e")])
    harness.pass(20_000)
    assert.isEmpty(harness.store.ofEndpoint("e"))
    assert.deepStrictEqual(harness.connections, ["stays"])
  })
})
