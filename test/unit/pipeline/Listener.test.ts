import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import * as Ref from "effect/Ref"
import * as Stream from "effect/Stream"
import * as TestClock from "effect/testing/TestClock"
import type { Chunk, Item } from "../../../src/domain/Chunk.ts"
import type { Lsn } from "../../../src/domain/Lsn.ts"
import * as ChangeSourceMemory from "../../../src/layers/memory/ChangeSourceMemory.ts"
import * as HeartbeatNone from "../../../src/layers/pipeline/HeartbeatNone.ts"
import * as ListenerLive from "../../../src/layers/pipeline/Listener.ts"
import { backoffMs } from "../../../src/layers/pipeline/ListenerAttempts.ts"
import { SourceError } from "../../../src/services/ChangeSource.ts"
import { Heartbeat } from "../../../src/services/Heartbeat.ts"
import { Listener } from "../../../src/services/Listener.ts"
import { SourceSettings } from "../../../src/services/Settings.ts"
import * as bytes from "../../support/pgoutputBytes.ts"

const settings = Layer.succeed(SourceSettings, {
  url: Redacted.make("postgres://"), slotName: "memory", driver: "socket" as const, maxFrameBytes: 1_000_000, readAheadBytes: 1_000_000,
  backoffInitialMs: 500, backoffMaxMs: 30_000, silenceMs: 30_000
})
const layerWith = <E>(heartbeat: Layer.Layer<Heartbeat, E>) =>
  ListenerLive.layer.pipe(Layer.provideMerge(Layer.mergeAll(ChangeSourceMemory.layer(), settings, heartbeat)))
const layer = layerWith(HeartbeatNone.layer)

const OID = 16_385
/** A transaction of these rows; its commit record lies at `at` and ends at `at + 8`. */
const transaction = (at: Lsn, rows: ReadonlyArray<string>): ChangeSourceMemory.MemoryTransaction => ({
  endLsn: at + 8,
  frames: [
    bytes.begin(at, 1_000_000, 7), bytes.relation(OID), ...rows.map((row) => bytes.insert(OID, row)), bytes.commit(at, at + 8, 1_000_000)
  ].map((payload, index) => ({ lsn: at - 100 + index, payload }))
})
const cut = (whole: ChangeSourceMemory.MemoryTransaction, frames: number): ChangeSourceMemory.MemoryTransaction => ({ ...whole, frames: whole.frames.slice(0, frames) })

const lost = new SourceError({ code: "ConnectionLost", permanent: false, summary: "The line is dead.", mend: "" })
const gone = new SourceError({ code: "SlotMissing", permanent: true, summary: "There is no such slot.", mend: "pgstream init" })

const say = (item: Item): string => {
  switch (item._tag) {
    case "Change": {
      const row = item.newRow()
      return row === undefined ? item.kind : `${item.transaction.commitLsn}:${item.ordinal}:${row.bytes.toString("utf8", row.spans[0], row.spans[1])}`
    }
    case "Commit": return `commit ${item.endLsn}`
    case "Keepalive": return `keepalive ${item.walEnd}`
    default: return item._tag
  }
}
const flat = (chunks: ReadonlyArray<Chunk>) => chunks.flatMap(({ items }) => items.map(say))

/** Starts to collect what the Listener hands on. */
const listen = Effect.fnUntraced(function*(from: Lsn) {
  const listening = yield* (yield* Listener).open(from)
  const seen: Array<Chunk> = []
  const fiber = yield* Effect.forkScoped(Stream.runForEach(listening.chunks, (chunk) => Effect.sync(() => void seen.push(chunk))))
  return { listening, fiber, seen: Effect.map(TestClock.adjust("1 minute"), () => flat(seen)) }
})

describe("Listener", () => {
  it.effect("hands on decoded transactions and acknowledges what it is told", () =>
    Effect.gen(function*() {
      const control = yield* ChangeSourceMemory.ChangeSourceControl
      const { listening, seen } = yield* listen(0)
      yield* control.commit(transaction(1_000, ["1", "2"]))
      assert.deepStrictEqual(yield* seen, ["1000:0:1", "1000:1:2", "commit 1008"])
      yield* listening.acknowledge(1_008)
      yield* listening.acknowledge(1_000)
      assert.strictEqual(yield* control.acknowledged, 1_008)
      const state = yield* (yield* Listener).state
      assert.deepInclude(state, { connected: true, receivedLsn: 1_008, acknowledgedLsn: 1_008, lastError: undefined })
    }).pipe(Effect.scoped, Effect.provide(layer)))

  it.effect("opens again behind the last whole transaction, and drops what it handed on of the next", () =>
    Effect.gen(function*() {
      const control = yield* ChangeSourceMemory.ChangeSourceControl
      const { seen } = yield* listen(0)
      const second = transaction(2_000, ["3", "4", "5"])
      yield* control.commit(transaction(1_000, ["1", "2"]))
      yield* control.commit(cut(second, 4))
      assert.deepStrictEqual(yield* seen, ["1000:0:1", "1000:1:2", "commit 1008", "2000:0:3", "2000:1:4"])
      yield* control.disconnect(lost)
      yield* control.replaceLast(second)
      assert.deepStrictEqual(yield* seen, ["1000:0:1", "1000:1:2", "commit 1008", "2000:0:3", "2000:1:4", "2000:2:5", "commit 2008"])
      assert.deepStrictEqual(yield* control.opened, [0, 1_008])
      assert.strictEqual(yield* control.acknowledged, 0)
    }).pipe(Effect.scoped, Effect.provide(layer)))

  it.effect("tells a new connection what was settled while there was none", () =>
    Effect.gen(function*() {
      const control = yield* ChangeSourceMemory.ChangeSourceControl
      const { listening, seen } = yield* listen(0)
      yield* control.commit(transaction(1_000, ["1"]))
      yield* seen
      yield* control.refuse(lost)
      yield* control.disconnect(lost)
      yield* Effect.yieldNow
      yield* listening.acknowledge(1_008)
      assert.strictEqual(yield* control.acknowledged, 0)
      yield* seen
      assert.strictEqual(yield* control.acknowledged, 1_008)
    }).pipe(Effect.scoped, Effect.provide(layer)))

  it.effect("says what is wrong while it is not connected, and tries for as long as it takes", () =>
    Effect.gen(function*() {
      const control = yield* ChangeSourceMemory.ChangeSourceControl
      const listener = yield* Listener
      const { seen } = yield* listen(0)
      yield* control.refuseAll(lost)
      yield* control.disconnect(lost)
      yield* TestClock.adjust("3 hours")
      assert.deepInclude(yield* listener.state, { connected: false, lastError: lost.message })
      const tries = (yield* control.opened).length
      assert.isAbove(tries, 3 * 3_600 / 30)
      assert.isBelow(tries, 3 * 3_600 / 15 + 20)
      yield* control.refuseAll(undefined)
      yield* control.commit(transaction(1_000, ["1"]))
      assert.deepStrictEqual(yield* seen, ["1000:0:1", "commit 1008"])
      assert.deepInclude(yield* listener.state, { connected: true, lastError: undefined })
    }).pipe(Effect.scoped, Effect.provide(layer)))

  it.effect("waits at the start, too, and ends at once for a permanent fault", () =>
    Effect.gen(function*() {
      const control = yield* ChangeSourceMemory.ChangeSourceControl
      const listener = yield* Listener
      yield* control.refuse(lost)
      const opening = yield* Effect.forkChild(listener.open(0))
      yield* TestClock.adjust("1 second")
      yield* Fiber.join(opening)
      yield* control.refuse(gone)
      assert.strictEqual((yield* Effect.flip(listener.open(0))).reason.code, "SlotMissing")
    }).pipe(Effect.scoped, Effect.provide(layer)))

  for (const [what, act, code] of [
    ["a permanent fault", (control: ChangeSourceMemory.ChangeSourceControl["Service"]) => control.refuse(gone), "SlotMissing"],
    ["a new timeline", (control: ChangeSourceMemory.ChangeSourceControl["Service"]) => control.setTimeline(2), "TimelineChanged"]
  ] as const) {
    it.effect(`ends the stream for ${what} that a reconnect finds`, () =>
      Effect.gen(function*() {
        const control = yield* ChangeSourceMemory.ChangeSourceControl
        const { fiber } = yield* listen(0)
        yield* TestClock.adjust("1 second")
        yield* act(control)
        yield* control.disconnect(lost)
        yield* TestClock.adjust("1 minute")
        const error = yield* Effect.flip(Fiber.join(fiber))
        assert.strictEqual(error.reason.code, code)
      }).pipe(Effect.scoped, Effect.provide(layer)))
  }

  it.effect("hands on a keepalive only when it is news", () =>
    Effect.gen(function*() {
      const control = yield* ChangeSourceMemory.ChangeSourceControl
      const { seen } = yield* listen(0)
      yield* Effect.yieldNow
      for (const walEnd of [500, 500, 400, 600]) yield* control.keepalive(walEnd)
      assert.deepStrictEqual(yield* seen, ["keepalive 500", "keepalive 600"])
    }).pipe(Effect.scoped, Effect.provide(layer)))

  it.effect("keeps the delay between half the schedule and the whole, up to the limit", () =>
    Effect.sync(() => {
      const limits = { backoffInitialMs: 500, backoffMaxMs: 30_000 }
      assert.deepStrictEqual([0, 1, 2, 6, 1_000].map((n) => backoffMs(n, 0, limits)), [500, 1_000, 2_000, 30_000, 30_000])
      assert.strictEqual(backoffMs(1, 1, limits), 500)
    }))

  it.effect("beats at most every 30 s, only when the slot is behind and nothing is in flight", () =>
    Effect.gen(function*() {
      const beats = yield* Ref.make(0)
      const behind = yield* Ref.make(0)
      const heartbeat = Layer.succeed(Heartbeat, Heartbeat.of({ behindBytes: Ref.get(behind), beat: Ref.update(beats, (n) => n + 1) }))
      yield* Effect.gen(function*() {
        const control = yield* ChangeSourceMemory.ChangeSourceControl
        const { listening, seen } = yield* listen(0)
        yield* seen
        assert.strictEqual(yield* Ref.get(beats), 0)
        yield* Ref.set(behind, 1024 * 1024 + 1)
        yield* TestClock.adjust("5 minutes")
        assert.strictEqual(yield* Ref.get(beats), 10)
        yield* control.commit(transaction(1_000, ["1"]))
        yield* TestClock.adjust("5 minutes")
        assert.strictEqual(yield* Ref.get(beats), 10)
        yield* listening.acknowledge(1_008)
        yield* TestClock.adjust("1 minute")
        assert.strictEqual(yield* Ref.get(beats), 12)
      }).pipe(Effect.scoped, Effect.provide(layerWith(heartbeat)))
    }))
})
