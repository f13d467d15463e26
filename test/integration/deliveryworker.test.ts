/** What an operator orders, on memory layers: each kind, a kill in the middle, a receiver that fails, a cancelled one. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import { randomUUID } from "node:crypto"
import type { AttemptResult } from "../../src/domain/Delivery.ts"
import { conflicts } from "../../src/domain/Key.ts"
import type { Endpoint } from "../../src/domain/Subscription.ts"
import * as DeliveryAdminMemory from "../../src/layers/memory/DeliveryAdminMemory.ts"
import * as DeliveryCommandsMemory from "../../src/layers/memory/DeliveryCommandsMemory.ts"
import * as DeliveryLogMemory from "../../src/layers/memory/DeliveryLogMemory.ts"
import * as ParkedDeliveriesMemory from "../../src/layers/memory/ParkedDeliveriesMemory.ts"
import * as SegmentsMemory from "../../src/layers/memory/SegmentsMemory.ts"
import * as SequenceRangesMemory from "../../src/layers/memory/SequenceRangesMemory.ts"
import * as WebhookTransportMemory from "../../src/layers/memory/WebhookTransportMemory.ts"
import { waves } from "../../src/layers/pipeline/commands/Sending.ts"
import * as DeliveryWorker from "../../src/layers/pipeline/DeliveryWorker.ts"
import { DeliveryCommands, type CommandRequest } from "../../src/services/DeliveryCommands.ts"
import { DeliveryLog } from "../../src/services/DeliveryLog.ts"
import { DeliveryLogSettings, deliveryLogDefaults } from "../../src/services/DeliverySettings.ts"
import { Endpoints } from "../../src/services/Endpoints.ts"
import { EndpointStore } from "../../src/services/EndpointStore.ts"
import { LiveDeliveries } from "../../src/services/LiveDeliveries.ts"
import { ParkedDeliveries, type ParkedDelivery } from "../../src/services/ParkedDeliveries.ts"
import { Segments } from "../../src/services/Segments.ts"
import { SequenceRanges } from "../../src/services/SequenceRanges.ts"
import { eventually } from "../support/eventually.ts"

const stream = { systemIdentifier: "1", slotName: "s" }
const endpoint = randomUUID()
const row = (n: number, more: Partial<ParkedDelivery> = {}): ParkedDelivery => ({
  endpointId: endpoint, id: `${n.toString(16).padStart(16, "0")}-${(n * 1e6).toString(16)}-0`, sequence: n, epoch: "e", commitLsn: n, ordinal: 1, table: "public.t", kind: "I",
  body: Buffer.from(`{"Data":{"columns":[{"name":"id","value":${n}}]}}`), keys: [{ leaf: 1, root: 1, definition: 1, value: n }], selectedBy: [],
  attempts: 4, state: "dead", dueAtMs: 0, retries: 3, lastError: "HTTP 500", ...more
})

interface Setting {
  readonly sent: Array<{ readonly url: string; readonly id: string }>
  /** Keys that the Notifier was told to hold, and endpoints that it was asked to be quiet for. */
  readonly revived: Array<string>
  readonly purged: Array<string>
}

/** Everything in memory; `answer`: what another URL says. */
const world = (answer: (id: string) => AttemptResult, setting: Setting) => {
  const known: Endpoint = { id: endpoint, url: "http://own.example/", order: "key", concurrency: 4, paused: false, pausedReason: undefined }
  return Layer.mergeAll(
    DeliveryAdminMemory.layer, DeliveryCommandsMemory.layer, DeliveryLogMemory.layer, ParkedDeliveriesMemory.layer, SequenceRangesMemory.layer,
    WebhookTransportMemory.layer((target, request, done) => {
      setting.sent.push({ url: target.url, id: request.id })
      done(answer(request.id))
    }),
    Layer.mock(Endpoints, { get: (id) => (id === endpoint ? known : undefined) }),
    Layer.mock(EndpointStore, { list: Effect.succeed([known]) }),
    Layer.succeed(LiveDeliveries, {
      revive: (_endpoint, rows, write) => Effect.tap(write, () => Effect.sync(() => setting.revived.push(...rows.map(({ id }) => id)))),
      retryNow: () => Effect.void,
      purge: (id, write) => Effect.tap(write, () => Effect.sync(() => setting.purged.push(id)))
    })
  ).pipe(
    Layer.provideMerge(SegmentsMemory.layer),
    Layer.provide(Layer.succeed(DeliveryLogSettings, { ...deliveryLogDefaults, bodies: true }))
  )
}

const accepted: AttemptResult = { _tag: "Accepted", status: 200 }
const order = (more: Partial<CommandRequest>): CommandRequest => ({ kind: "retry", selector: {}, target: undefined, rate: undefined, by: "x", ...more })
const target = Redacted.make("http://elsewhere.example/")

const scenario = (name: string, answer: (id: string) => AttemptResult, test: (setting: Setting) => Effect.Effect<void, unknown, Layer.Success<ReturnType<typeof world>>>) =>
  it.live(name, () => {
    const setting: Setting = { sent: [], revived: [], purged: [] }
    return Effect.orDie(test(setting).pipe(Effect.provide(world(answer, setting))))
  })

/** A worker until the command has ended. */
const carriedOut = Effect.fnUntraced(function*(request: CommandRequest) {
  const commands = yield* DeliveryCommands
  const id = yield* commands.add(stream, request)
  const worker = yield* Effect.forkChild(DeliveryWorker.loop(stream))
  yield* eventually("it ended", Effect.map(commands.get(stream, id), (view) => view?.endedAtMs !== undefined))
  yield* Fiber.interrupt(worker)
  return (yield* commands.get(stream, id))!
})

const waitingNumbers = Effect.flatMap(ParkedDeliveries, (parked) =>
  Effect.map(parked.scan(stream, endpoint, undefined, 1_000), (rows) => rows.map(({ sequence }) => sequence)))

describe("a command", () => {
  scenario("retry: dead ones wait again, their keys told to the Notifier; waiting ones are due", () => accepted, (setting) =>
    Effect.gen(function*() {
      yield* (yield* ParkedDeliveries).write(stream, [row(1), row(2, { state: "waiting", dueAtMs: 9e15 }), row(3), row(4, { table: "public.other" })])
      const view = yield* carriedOut(order({ selector: { table: "public.t" } }))
      assert.deepStrictEqual([view.state, view.done, view.skipped], ["done", 3, 0])
      assert.deepStrictEqual(setting.revived, [row(1).id, row(3).id])
      const rows = yield* (yield* ParkedDeliveries).scan(stream, endpoint, undefined, 10)
      assert.deepStrictEqual(rows.map(({ retries, sequence }) => [sequence, retries]), [[1, 0], [2, 0], [3, 0]])
      for (const { dueAtMs } of rows) assert.isAtMost(dueAtMs, Date.now())
    }))

  scenario("replay: what the log has of delivered ones becomes rows in their place", () => accepted, (setting) =>
    Effect.gen(function*() {
      const log = yield* DeliveryLog
      for (const n of [5, 6]) log.attempted(stream, row(n), accepted, Date.now() - 1_000, 1)
      log.attempted(stream, row(7, { endpointId: randomUUID() }), accepted, Date.now() - 1_000, 1)
      yield* (yield* ParkedDeliveries).write(stream, [row(1)])
      const view = yield* carriedOut(order({ kind: "replay" }))
      assert.deepStrictEqual([view.state, view.done, view.skipped], ["done", 3, 1])
      assert.include(view.note, "pgstream snapshot")
      assert.deepStrictEqual(yield* waitingNumbers, [1, 5, 6])
      assert.deepStrictEqual(setting.revived, [row(1).id, row(5).id, row(6).id])
    }))

  scenario("replay to another URL: the originals stay as they are", () => accepted, (setting) =>
    Effect.gen(function*() {
      yield* (yield* ParkedDeliveries).write(stream, [1, 2, 3].map((n) => row(n)))
      const view = yield* carriedOut(order({ kind: "replay", selector: { state: "dead" }, target, rate: 1_000 }))
      assert.deepStrictEqual([view.state, view.done], ["done", 3])
      assert.deepStrictEqual(setting.sent, [1, 2, 3].map((n) => ({ url: "http://elsewhere.example/", id: row(n).id })))
      assert.deepStrictEqual([yield* waitingNumbers, setting.revived], [[], []])
    }))

  const behind = (n: number, more: Partial<ParkedDelivery> = {}) =>
    ({ ...row(n, more), targets: [{ endpointId: endpoint, epoch: "e", sequence: n, selectedBy: [], keys: row(n).keys }] })
  /** Two segments: 5, 6, 7 · 8, 9. */
  const twoSegments = Effect.gen(function*() {
    const segments = yield* Segments
    yield* segments.open(stream, 0)
    yield* segments.append(stream, [behind(5), behind(6, { table: "public.other" }), behind(7)])
    yield* segments.append(stream, [behind(8), behind(9)])
    return segments
  })
  const sentOf = (setting: Setting) => setting.sent.map(({ id }) => parseInt(id, 16))

  scenario("replay to another URL: what waits in segments comes after the rows, and stays", () => accepted, (setting) =>
    Effect.gen(function*() {
      yield* (yield* ParkedDeliveries).write(stream, [row(1), row(2, { state: "waiting" })])
      const segments = yield* twoSegments
      const ordered = order({ kind: "replay", selector: { state: "waiting", table: "public.t" }, target })
      assert.deepStrictEqual([(yield* carriedOut(ordered)).done, sentOf(setting)], [5, [2, 5, 7, 8, 9]])
      assert.deepStrictEqual(yield* segments.numbers(stream, endpoint), [{ epoch: "e", first: 5, last: 9 }])
      setting.sent.length = 0
      assert.strictEqual((yield* carriedOut({ ...ordered, selector: { ids: [row(8).id] } })).done, 1)
      assert.deepStrictEqual(sentOf(setting), [8])
      assert.strictEqual((yield* carriedOut({ ...ordered, selector: { state: "dead" } })).done, 1)
      assert.strictEqual((yield* carriedOut({ ...ordered, target: undefined, selector: { ids: [row(8).id] } })).done, 0)
    }))

  scenario("a kill in the middle of a segment goes on behind what was done", () => accepted, (setting) =>
    Effect.gen(function*() {
      const commands = yield* DeliveryCommands
      yield* twoSegments
      const id = yield* commands.add(stream, order({ kind: "replay", selector: { state: "waiting" }, target, rate: 2 }))
      const first = yield* Effect.forkChild(DeliveryWorker.loop(stream))
      yield* eventually("two are sent", Effect.map(commands.get(stream, id), (view) => view!.done === 2))
      yield* Fiber.interrupt(first)
      const second = yield* Effect.forkChild(DeliveryWorker.loop(stream))
      yield* eventually("it is done", Effect.map(commands.get(stream, id), (view) => view!.state === "done"))
      yield* Fiber.interrupt(second)
      assert.deepStrictEqual(sentOf(setting), [5, 6, 7, 8, 9])
    }))

  scenario("replay to a URL that fails ends there and says where", (id) => (id === row(2).id ? { _tag: "NoAnswer", reason: "connection refused" } : accepted), () =>
    Effect.gen(function*() {
      yield* (yield* ParkedDeliveries).write(stream, [1, 2, 3].map((n) => row(n, { keys: row(1).keys })))
      const view = yield* carriedOut(order({ kind: "replay", selector: { state: "dead" }, target }))
      assert.strictEqual(view.state, "failed")
      assert.include(view.note, `connection refused, 5 times, at ${row(2).id}`)
    }))

  scenario("purge: what was delivered, and stays in a segment since another endpoint is behind, is erased, too", () => accepted, () =>
    Effect.gen(function*() {
      const segments = yield* Segments
      const [other, third] = [randomUUID(), randomUUID()]
      const to = (n: number, ...ids: ReadonlyArray<string>) =>
        ({ ...row(n), targets: ids.map((endpointId) => ({ endpointId, epoch: "e", sequence: n, selectedBy: [], keys: [] })) })
      yield* segments.open(stream, 0)
      const first = yield* segments.append(stream, [to(1, endpoint), to(2, endpoint), to(3, endpoint, other), to(4, third)])
      yield* segments.pass(stream, new Map([[endpoint, { segment: first, index: 3 }]]))
      const key = [{ column: "id", value: "2" }]
      const view = yield* carriedOut(order({ kind: "purge", selector: { endpointId: endpoint, key } }))
      assert.deepStrictEqual([view.done, view.note], [0, "Of 1 events that nobody waits for, the bodies in segments were erased."])
      assert.strictEqual(yield* segments.erasePassed(stream, ({ commitLsn }) => commitLsn === 2), 0)
      assert.strictEqual(yield* segments.erasePassed(stream, () => true), 1)
    }))

  scenario("purge: rows and events of segments go, their numbers are recorded, the log forgets", () => accepted, (setting) =>
    Effect.gen(function*() {
      const [segments, ranges, log] = [yield* Segments, yield* SequenceRanges, yield* DeliveryLog]
      yield* (yield* ParkedDeliveries).write(stream, [row(1), row(2), row(3, { state: "waiting" })])
      yield* segments.open(stream, 0)
      const event = (n: number) => ({ ...row(n), targets: [{ endpointId: endpoint, epoch: "e", sequence: n, selectedBy: [], keys: [] }] })
      yield* segments.append(stream, [event(5), event(6)])
      log.attempted(stream, row(2), { _tag: "Refused", status: 500, retryAfterMs: undefined, bodyStart: "no" }, Date.now(), 1)
      const key = (n: number) => [{ column: "id", value: String(n) }]
      for (const n of [2, 3, 6]) assert.strictEqual((yield* carriedOut(order({ kind: "purge", selector: { key: key(n) } }))).done, 1)
      assert.deepStrictEqual(yield* waitingNumbers, [])
      assert.deepStrictEqual(yield* segments.numbers(stream, endpoint), [{ epoch: "e", first: 5, last: 5 }])
      assert.deepStrictEqual((yield* ranges.list(stream, endpoint)).map(({ first, last, state }) => [state, first, last]), [["purged", 2, 3], ["purged", 6, 6]])
      assert.deepStrictEqual(setting.purged, [endpoint, endpoint, endpoint])
      assert.strictEqual((yield* carriedOut(order({ kind: "purge", selector: { state: "dead" } }))).done, 1)
    }))

  scenario("a kill in the middle goes on where it was", () => accepted, (setting) =>
    Effect.gen(function*() {
      const commands = yield* DeliveryCommands
      yield* (yield* ParkedDeliveries).write(stream, Array.from({ length: 60 }, (_, i) => row(i + 1)))
      const id = yield* commands.add(stream, order({ kind: "replay", selector: { state: "dead" }, target, rate: 20 }))
      const first = yield* Effect.forkChild(DeliveryWorker.loop(stream))
      yield* eventually("a step is done", Effect.map(commands.get(stream, id), (view) => (view?.done ?? 0) > 0))
      yield* Fiber.interrupt(first)
      const before = setting.sent.length
      assert.isBelow(before, 60)
      const second = yield* Effect.forkChild(DeliveryWorker.loop(stream))
      yield* eventually("it is done", Effect.map(commands.get(stream, id), (view) => view?.state === "done"))
      yield* Fiber.interrupt(second)
      assert.strictEqual((yield* commands.get(stream, id))?.done, 60)
      // Nothing was left out; what was told as done was not sent again.
      assert.strictEqual(new Set(setting.sent.map((each) => each.id)).size, 60)
      assert.isAtMost(setting.sent.length, 60 + 20)
    }))

  scenario("a cancelled one stops at its next step", () => accepted, (setting) =>
    Effect.gen(function*() {
      const commands = yield* DeliveryCommands
      yield* (yield* ParkedDeliveries).write(stream, Array.from({ length: 30 }, (_, i) => row(i + 1)))
      const id = yield* commands.add(stream, order({ kind: "replay", selector: { state: "dead" }, target, rate: 10 }))
      const worker = yield* Effect.forkChild(DeliveryWorker.loop(stream))
      yield* eventually("a step is done", Effect.map(commands.get(stream, id), (view) => (view?.done ?? 0) > 0))
      yield* commands.cancel(stream, id)
      const view = yield* carriedOut(order({ selector: { ids: ["none"] } }))
      assert.strictEqual(view.state, "done")
      yield* Fiber.interrupt(worker)
      assert.isAtMost(setting.sent.length, 20)
      assert.strictEqual((yield* commands.get(stream, id))?.state, "cancelled")
    }))

  it("sends events of one key one after the other, others side by side", () => {
    const events = Array.from({ length: 100 }, (_, n) => ({ n, keys: row(n % 7 + 1).keys }))
    const all = waves(events)
    assert.deepStrictEqual(all.flat().map(({ n }) => n), events.map(({ n }) => n))
    for (const wave of all) {
      assert.isAtMost(wave.length, 16)
      for (const a of wave) for (const b of wave) if (a !== b) assert.isFalse(conflicts(a.keys[0]!, b.keys[0]!))
    }
    assert.isBelow(all.length, 20)
  })
})

