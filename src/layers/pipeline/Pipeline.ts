/**
 * READ FIRST: the whole data flow.
 *
 * ```
 * Listener ─chunks→ Snapshotter + TableShapes → Filter → Injector → Transformer → Notifier
 *     tables ─rows──────┘                                                            │ settled
 * Listener.acknowledge ←───────────────── Checkpoint.save ←──────────────────────────┘
 * ```
 *
 * Chunks are pulled: a stage that is busy slows the ones before it, down to the socket. The only thing that flows
 * back is one position: everything at or below it is delivered or parked, for every endpoint.
 */
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import * as Lsn from "../../domain/Lsn.ts"
import type { StreamId } from "../../domain/StreamId.ts"
import { Checkpoint } from "../../services/Checkpoint.ts"
import { Filter } from "../../services/Filter.ts"
import { Injector } from "../../services/Injector.ts"
import { Listener } from "../../services/Listener.ts"
import { Notifier } from "../../services/Notifier.ts"
import { Snapshotter } from "../../services/Snapshotter.ts"
import { TableShapes } from "../../services/TableShapes.ts"
import { Transformer } from "../../services/Transformer.ts"
import * as Settling from "./Settling.ts"

/**
 * The slot first: it has one reader, so who has it may take the stream over. Nothing is loaded or changed before; what
 * an earlier process stored until then counts.
 */
const takeOver = Effect.fnUntraced(function*(stream: StreamId, versions: string) {
  const listener = yield* Listener
  const checkpoint = yield* Checkpoint
  const parent = yield* Effect.scope
  let from = yield* checkpoint.position(stream)
  for (;;) {
    const scope = yield* Scope.fork(parent)
    const listening = yield* Scope.provide(listener.open(from), scope)
    const start = yield* checkpoint.load(stream, versions)
    if (start.position === from || start.position <= listening.startedAt) return { listening, start }
    yield* Scope.close(scope, Exit.void)
    from = start.position
  }
})

/**
 * Runs until it fails or is interrupted. Interrupted, it stops reading, lets requests in flight end (at most the
 * grace period), stores and acknowledges what is settled, and only then closes the connections.
 */
export const run = Effect.gen(function*() {
  const listener = yield* Listener
  const snapshotter = yield* Snapshotter
  const filter = yield* Filter
  const injector = yield* Injector
  const transformer = yield* Transformer

  const stream = yield* listener.identify
  const versions = [filter.version, injector.version, transformer.version].join(" ")
  const { listening, start } = yield* takeOver(stream, versions)

  const shapes = yield* (yield* TableShapes).open(start.shapes)
  const notifying = yield* (yield* Notifier).open(start)
  const copying = yield* snapshotter.open(shapes, { isBehind: (id) => notifying.isBehind?.(id) ?? false })
  const settling = yield* Settling.make(stream, notifying, listening, copying.settled)

  const deliver = listening.chunks.pipe(
    Stream.mapEffect(copying.advance),
    Stream.mapEffect(filter.apply),
    Stream.mapEffect((chunk) => injector.inject(chunk, shapes)),
    Stream.mapEffect(transformer.transform),
    Stream.runForEach(notifying.offer)
  )

  yield* Effect.logInfo("Following the slot.").pipe(
    Effect.annotateLogs({ slot: stream.slotName, lsn: Lsn.format(listening.startedAt) })
  )
  yield* Effect.raceFirst(deliver, settling.loop).pipe(
    Effect.ensuring(Effect.andThen(notifying.drain, settling.finish))
  )
}).pipe(Effect.scoped)
