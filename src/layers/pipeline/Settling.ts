/**
 * The way back: what the Notifier reports as settled is stored, then acknowledged. First comes how far copies are, then
 * the rows of the schema log for those who read it with SQL, then the checkpoint, then the position.
 *
 * A checkpoint is WAL and comes back on the slot, so it is written only when something but the position changed, and
 * at most every max(200 ms, 20 × the last write's duration), 1 s while the stream is not dense. A position alone is
 * acknowledged at once, if no `AcknowledgeGate` holds it until the stream has come further.
 */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import { AcknowledgeGate } from "../../services/AcknowledgeGate.ts"
import { Checkpoint, type CheckpointError, type CheckpointUpdate } from "../../services/Checkpoint.ts"
import { FailPoints } from "../../services/FailPoints.ts"
import type { SchemaLogError } from "../../services/TableShapes.ts"
import { SchemaLog } from "../../services/SchemaLog.ts"
import type { Listening } from "../../services/Listener.ts"
import type { Notifying, NotifierError } from "../../services/Notifier.ts"
import type { SnapshotError } from "../../services/Snapshotter.ts"
import type { Lsn } from "../../domain/Lsn.ts"
import type { StreamId } from "../../domain/StreamId.ts"

const MIN_INTERVAL_MS = 200
const SPARSE_INTERVAL_MS = 1_000
/** Dense: at least this much WAL between two checkpoints, so that a checkpoint's own is little beside it. */
const DENSE_BYTES = 256 * 1024
const DURATION_FACTOR = 20
/** The last save may take so long, ms: a store that is away must not keep a process from its end. */
const FINISH_LIMIT_MS = 5_000

export interface Settling {
  /** Never ends by itself. */
  readonly loop: Effect.Effect<never, CheckpointError | NotifierError | SchemaLogError | SnapshotError>
  /** After the Notifier has drained: one last save and acknowledgement, within 5 s; never fails. */
  readonly finish: Effect.Effect<void>
}

const changesMoreThanPosition = (update: CheckpointUpdate): boolean =>
  update.counts.size > 0 ||
  update.upserted.length > 0 ||
  update.removed.length > 0 ||
  update.shapes.tables.size > 0 ||
  update.shapes.versions.size > 0 ||
  update.shapes.entries.length > 0 ||
  update.shapes.newIds.length > 0 ||
  update.shapes.recent !== undefined

/** `copied`: keeps how far copies are, before what is settled is stored: it is never read again then. */
export const make = Effect.fnUntraced(function*(
  stream: StreamId,
  notifying: Notifying,
  listening: Listening,
  copied: (position: Lsn) => Effect.Effect<void, SnapshotError> = () => Effect.void
) {
  const checkpoint = yield* Checkpoint
  const schemaLog = yield* SchemaLog
  const gate = yield* AcknowledgeGate
  const { hit } = yield* FailPoints
  /** Positions that wait until the stream is at `until`: the oldest and the newest. */
  let held: ReadonlyArray<{ readonly position: Lsn; readonly until: Lsn }> = []

  let lastSaved: Lsn = listening.startedAt

  const save = Effect.fnUntraced(function*(update: CheckpointUpdate) {
    const { entries, tables } = update.shapes
    const gone = [...tables].filter(([, shape]) => shape === undefined).map(([oid]) => oid)
    // A table that was made and dropped since the last write leaves no row, as if there had been one between.
    const newIds = update.shapes.newIds.filter(({ oid }) => !tables.has(oid) || tables.get(oid) !== undefined)
    if (entries.length + newIds.length + gone.length > 0) yield* schemaLog.write(entries, newIds, gone)
    yield* checkpoint.save(stream, update)
  })

  const acknowledge = Effect.fnUntraced(function*(position: Lsn) {
    held = [...held.slice(0, 1), { position, until: yield* gate.position }]
    const passed = held.findLastIndex(({ until }) => until <= position)
    const done = held[passed]
    held = held.slice(passed + 1)
    if (done === undefined) return
    hit?.("acknowledge.before")
    yield* listening.acknowledge(done.position)
    hit?.("acknowledge.after")
  })

  const settle = Effect.fnUntraced(function*(update: CheckpointUpdate) {
    yield* copied(update.position)
    const startedAt = yield* Clock.currentTimeMillis
    const saved = changesMoreThanPosition(update)
    if (saved) yield* save(update)
    yield* acknowledge(update.position)
    if (!saved) return 0
    const dense = update.position - lastSaved >= DENSE_BYTES
    lastSaved = update.position
    return Math.max(dense ? MIN_INTERVAL_MS : SPARSE_INTERVAL_MS, DURATION_FACTOR * ((yield* Clock.currentTimeMillis) - startedAt))
  })

  const loop = Effect.gen(function*() {
    const { update } = yield* notifying.settled
    const pauseMs = yield* settle(update)
    if (pauseMs > 0) yield* Effect.sleep(pauseMs)
  }).pipe(Effect.forever)

  const finish = Effect.gen(function*() {
    const rest = yield* notifying.rest
    if (rest !== undefined) yield* settle(rest.update)
  }).pipe(Effect.timeout(FINISH_LIMIT_MS), Effect.catchCause((cause) => Effect.logWarning("The last checkpoint was not stored; its events come again.", cause)))

  const settling: Settling = { loop, finish }
  return settling
})
