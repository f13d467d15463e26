/** A position is acknowledged when the stream has passed what was written to settle it, if a gate asks for that. */
import { assert, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Queue from "effect/Queue"
import * as Stream from "effect/Stream"
import type { Lsn } from "../../../src/domain/Lsn.ts"
import * as CheckpointMemory from "../../../src/layers/memory/CheckpointMemory.ts"
import * as SchemaLogMemory from "../../../src/layers/memory/SchemaLogMemory.ts"
import * as WebhookTables from "../../../src/layers/memory/WebhookTables.ts"
import * as Settling from "../../../src/layers/pipeline/Settling.ts"
import { AcknowledgeGate } from "../../../src/services/AcknowledgeGate.ts"
import type { Settled } from "../../../src/services/Notifier.ts"
import { settle, STREAM } from "./MemoryPipeline.ts"

const settledAt = (position: Lsn): Settled => ({
  update: { position, counts: new Map(), upserted: [], removed: [], shapes: { tables: new Map(), versions: new Map(), entries: [], newIds: [] } }
})

const run = (gate: { position: Lsn } | undefined, use: (say: (position: Lsn) => Effect.Effect<void>, acknowledged: ReadonlyArray<Lsn>) => Effect.Effect<void>) =>
  Effect.gen(function*() {
    const acknowledged: Array<Lsn> = []
    const positions = yield* Queue.unbounded<Settled>()
    const settling = yield* Settling.make(
      STREAM,
      { offer: () => Effect.void, settled: Queue.take(positions), drain: Effect.void, rest: Effect.undefined },
      { stream: STREAM, startedAt: 0, chunks: Stream.empty, acknowledge: (position) => Effect.sync(() => void acknowledged.push(position)) }
    )
    yield* Effect.forkScoped(settling.loop)
    yield* use((position) => Effect.andThen(Queue.offer(positions, settledAt(position)), settle), acknowledged)
  }).pipe(
    Effect.scoped,
    Effect.provide(Layer.mergeAll(
      CheckpointMemory.layer, SchemaLogMemory.layer,
      gate === undefined ? Layer.empty : Layer.succeed(AcknowledgeGate, { position: Effect.sync(() => gate.position) })
    ).pipe(Layer.provide(WebhookTables.layer())))
  )

it.effect("acknowledges at once without a gate", () =>
  run(undefined, (say, acknowledged) =>
    Effect.gen(function*() {
      yield* say(10)
      yield* say(20)
      assert.deepStrictEqual(acknowledged, [10, 20])
    })))

it.effect("holds a position until the stream is where the gate was, and then acknowledges the highest that it may", () => {
  const gate = { position: 15 }
  return run(gate, (say, acknowledged) =>
    Effect.gen(function*() {
      yield* say(10)
      yield* say(14)
      assert.deepStrictEqual(acknowledged, [])
      gate.position = 30
      yield* say(15)
      assert.deepStrictEqual(acknowledged, [10])
      yield* say(29)
      assert.deepStrictEqual(acknowledged, [10])
      yield* say(30)
      assert.deepStrictEqual(acknowledged, [10, 30])
      gate.position = Number.MAX_SAFE_INTEGER
      for (const position of [31, 32, 33]) yield* say(position)
      gate.position = 34
      yield* say(34)
      assert.deepStrictEqual(acknowledged, [10, 30, 34])
    }))
})
