/**
 * Copies without a slot: rows of one snapshot, to the subscriptions as the store has them, and no event. The stages are
 * those of the pipeline; in place of the WAL there is a stream that holds the marks of the copies and nothing else.
 *
 * ```
 * TableSnapshot ─rows→ Snapshotter, TableShapes → Filter → Injector → Transformer → Notifier
 *       ↑ marks ───────────┘
 * ```
 *
 * No event can tell what changed since the snapshot, so a copy that was cut off reads each table that was not done from its
 * start, in a new one. The same version of a row has the same id then.
 */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Queue from "effect/Queue"
import * as Random from "effect/Random"
import * as Stream from "effect/Stream"
import type { Chunk } from "../../domain/Chunk.ts"
import type { CopyId } from "../../domain/copy/Copy.ts"
import { LocalStream } from "../../domain/copy/LocalStream.ts"
import { Checkpoint } from "../../services/Checkpoint.ts"
import { CopyRequests } from "../../services/CopyRequests.ts"
import { Filter } from "../../services/Filter.ts"
import { Injector } from "../../services/Injector.ts"
import { Notifier, type Notifying } from "../../services/Notifier.ts"
import { SchemaLog } from "../../services/SchemaLog.ts"
import { type Copying, Snapshotter } from "../../services/Snapshotter.ts"
import { SubscriptionStore } from "../../services/SubscriptionStore.ts"
import { TableReader } from "../../services/TableReader.ts"
import { TableShapes } from "../../services/TableShapes.ts"
import { type LocalWriter, TableSnapshot } from "../../services/TableSnapshot.ts"
import { Transformer } from "../../services/Transformer.ts"
import * as SnapshotterLive from "./Snapshotter.ts"
import { pauseMs } from "./Supervision.ts"

/** Of these copies, what an earlier life of them has done: whole tables. */
const afresh = (requests: CopyRequests["Service"], ids: ReadonlyArray<CopyId>): CopyRequests["Service"] => ({
  ...requests,
  open: Effect.map(requests.open, (open) =>
    open.filter(({ copy }) => ids.includes(copy.id)).map(({ copy, tables }) => ({
      copy, pending: [], tables: tables.filter(({ state }) => state === "done" || state === "failed")
    })))
})

/** The Snapshotter on this snapshot. */
const snapshotter = Effect.fnUntraced(function*(reader: TableReader["Service"], ids: ReadonlyArray<CopyId>) {
  const requests = afresh(yield* CopyRequests, ids)
  const store = yield* SubscriptionStore
  const below = Layer.mergeAll(Layer.succeed(TableReader, reader), Layer.succeed(CopyRequests, requests), Layer.succeed(SubscriptionStore, store))
  const context = yield* Layer.build(Layer.fresh(SnapshotterLive.layer.pipe(Layer.provide(below))))
  return yield* Snapshotter.pipe(Effect.provide(context))
})

/** Stores new entries of the schema log, then how far the copies are. There is no position to store. */
const settling = (notifying: Notifying, copying: Copying, makesEntries: boolean) =>
  Effect.gen(function*() {
    const log = yield* SchemaLog
    const { update } = yield* notifying.settled
    const { entries, newIds } = update.shapes
    if (makesEntries && entries.length + newIds.length > 0) yield* log.write(entries, newIds)
    yield* copying.settled(update.position)
  }).pipe(Effect.forever)

/** One snapshot, until it is lost. */
const once = Effect.fnUntraced(function*(ids: ReadonlyArray<CopyId>) {
  const source = yield* TableSnapshot
  const filter = yield* Filter
  const injector = yield* Injector
  const transformer = yield* Transformer

  const stream = yield* source.stream
  const requests = yield* CopyRequests
  const names = (yield* requests.open).filter(({ copy }) => ids.includes(copy.id)).flatMap(({ copy }) => copy.tables)
  // No bound of its own: a mark is in it for each range that is being read.
  const chunks = yield* Queue.unbounded<Chunk>()
  let local: LocalStream | undefined
  const put = (of: (local: LocalStream) => Chunk) =>
    Effect.suspend(() => (local === undefined ? Effect.void : Effect.asVoid(Queue.offer(chunks, of(local)))))
  const writer: LocalWriter = {
    mark: (id) => put((at) => at.mark(id)),
    refresh: (refresh) => put((at) => at.refresh(refresh)),
    entry: (entry) => put((at) => at.entry(entry))
  }
  const snapshot = yield* source.open(names, writer)
  local = new LocalStream(snapshot.place)

  const versions = [filter.version, injector.version, transformer.version].join(" ")
  const stored = yield* (yield* Checkpoint).load(stream, versions)
  const start = { ...stored, position: snapshot.place.lsn, definitions: [], shapes: snapshot.shapes }
  const shapes = yield* (yield* TableShapes).open(start.shapes)
  const notifying = yield* (yield* Notifier).open(start)
  const copier = yield* snapshotter(snapshot.reader, ids)
  const copying = yield* copier.open(shapes, { isBehind: (id) => notifying.isBehind?.(id) ?? false })

  const deliver = Stream.fromQueue(chunks).pipe(
    Stream.mapEffect(copying.advance),
    Stream.mapEffect(filter.apply),
    Stream.mapEffect((chunk) => injector.inject(chunk, shapes)),
    Stream.mapEffect(transformer.transform),
    Stream.runForEach(notifying.offer)
  )
  yield* Effect.logInfo("Copying from one snapshot, without a slot.").pipe(Effect.annotateLogs({ tables: names.length }))
  const settle = settling(notifying, copying, snapshot.makesEntries)
  yield* Effect.raceFirst(Effect.raceFirst(deliver, settle), snapshot.lost).pipe(Effect.ensuring(notifying.drain))
}, Effect.scoped)

/**
 * Works on these copies until it is interrupted; they say themselves when they are over. A snapshot that is lost, and a
 * table that somebody else holds, are tried again; what nothing mends ends it.
 */
export const run = Effect.fnUntraced(function*(ids: ReadonlyArray<CopyId>) {
  for (let attempt = 0; ; attempt++) {
    const result = yield* Effect.result(once(ids))
    if (result._tag === "Failure" && result.failure._tag === "TableReaderError" && result.failure.kind === "refused") {
      return yield* result.failure
    }
    const reason = result._tag === "Failure" ? result.failure.message || result.failure._tag : "the stream ended"
    const pause = pauseMs(attempt, yield* Random.next)
    yield* Effect.logWarning("The snapshot cannot be read; tables that are not done are read from their start in a new one.").pipe(
      Effect.annotateLogs({ reason, pauseMs: Math.round(pause) }))
    yield* Effect.sleep(pause)
  }
})
