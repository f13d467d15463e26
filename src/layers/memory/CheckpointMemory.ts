/** Same contract as `CheckpointPg`; `test/suites/CheckpointSuite.ts` runs against both. Lives as long as the layer. */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { randomBytes } from "node:crypto"
import {
  Checkpoint, type CheckpointState, type CheckpointUpdate, type EndpointCount
} from "../../services/Checkpoint.ts"
import { type Lsn, zero } from "../../domain/Lsn.ts"
import type { EndpointId, Subscription, SubscriptionId } from "../../domain/Subscription.ts"
import { format, type StreamId } from "../../domain/StreamId.ts"
import { deltaOf, type RecentRow, type SchemaVersion, type TableShape } from "../../domain/TableShape.ts"

interface Stored {
  position: Lsn
  /** `""`: not known yet. */
  versions: string
  epochSeed: string
  readonly counts: Map<EndpointId, EndpointCount>
  readonly definitions: Map<SubscriptionId, Subscription>
  readonly tables: Map<number, TableShape>
  readonly schemas: Map<string, SchemaVersion>
  recent: ReadonlyArray<RecentRow>
}

const newEpoch = (): string => randomBytes(8).toString("hex")

const empty = (): Stored => ({
  position: zero, versions: "", epochSeed: newEpoch(), counts: new Map(), definitions: new Map(), tables: new Map(), schemas: new Map(),
  recent: []
})

const restartCounts = (stored: Stored): void => {
  stored.epochSeed = newEpoch()
  for (const id of stored.counts.keys()) stored.counts.set(id, { count: 0, epoch: newEpoch() })
}

const stateOf = (stream: StreamId, stored: Stored): CheckpointState => ({
  stream,
  position: stored.position,
  counts: new Map(stored.counts),
  definitions: [...stored.definitions.values()],
  shapes: { tables: [...stored.tables.values()], versions: [...stored.schemas.values()], recent: stored.recent },
  versions: stored.versions,
  epochSeed: stored.epochSeed
})

const apply = (stored: Stored, update: CheckpointUpdate): void => {
  stored.position = update.position
  for (const [id, count] of update.counts) stored.counts.set(id, count)
  for (const id of update.removed) stored.definitions.delete(id)
  for (const row of update.upserted) stored.definitions.set(row.id, row)
  for (const [oid, shape] of update.shapes.tables) {
    if (shape === undefined) stored.tables.delete(oid)
    else stored.tables.set(oid, shape)
  }
  for (const [name, version] of update.shapes.versions) stored.schemas.set(name, version)
  stored.recent = update.shapes.recent ?? stored.recent
}

export const layer: Layer.Layer<Checkpoint> = Layer.sync(Checkpoint, () => {
  const streams = new Map<string, Stored>()
  const of = (stream: StreamId): Stored => {
    const key = format(stream)
    let stored = streams.get(key)
    if (stored === undefined) streams.set(key, stored = empty())
    return stored
  }
  return Checkpoint.of({
    position: (stream) => Effect.sync(() => of(stream).position),
    load: (stream, versions) =>
      Effect.sync(() => {
        const stored = of(stream)
        if (stored.versions !== "" && stored.versions !== versions) restartCounts(stored)
        stored.versions = versions
        return stateOf(stream, stored)
      }),
    reset: (state) =>
      Effect.sync(() => {
        const old = of(state.stream)
        const stored = empty()
        for (const id of old.counts.keys()) stored.counts.set(id, { count: 0, epoch: newEpoch() })
        stored.versions = state.versions
        apply(stored, {
          position: state.position,
          counts: state.counts,
          upserted: state.definitions,
          removed: [],
          shapes: deltaOf(state.shapes)
        })
        streams.set(format(state.stream), stored)
      }),
    save: (stream, update) =>
      Effect.sync(() => {
        const stored = of(stream)
        if (update.position >= stored.position) apply(stored, update)
      })
  })
})
