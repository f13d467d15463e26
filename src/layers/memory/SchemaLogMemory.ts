/** Same contract as `SchemaLogPg`; `test/suites/SchemaLogSuite.ts` runs against both. */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as SchemaEntry from "../../domain/SchemaEntry.ts"
import type { SchemaLogEntry } from "../../domain/TableShape.ts"
import { SchemaLog } from "../../services/SchemaLog.ts"

const WEEK_MS = 7 * 24 * 60 * 60 * 1000

/** What is written, for those who would read it with SQL. */
export class SchemaLogRows extends Context.Service<SchemaLogRows, {
  /** By schema, then version. */
  readonly entries: Effect.Effect<ReadonlyArray<SchemaLogEntry>>
  readonly ids: Effect.Effect<ReadonlyMap<number, string>>
}>()("pgstream/layers/memory/SchemaLogRows") {}

const timeOf = (entry: SchemaLogEntry): number => Date.parse(`${entry.createdAt.replace(" ", "T")}Z`)

const make = () => {
  const entries = new Map<string, SchemaLogEntry>()
  const ids = new Map<number, string>()
  const key = (entry: SchemaLogEntry) => `${entry.version} ${entry.schema}`
  const isDropped = (entry: SchemaLogEntry) => entry.json === SchemaEntry.droppedJson

  const purge = (by: SchemaLogEntry) => {
    for (const [at, entry] of entries) {
      const old = isDropped(entry)
        ? timeOf(entry) < timeOf(by) - WEEK_MS
        : entry.schema === by.schema && entry.version < by.version
      if (old) entries.delete(at)
    }
  }

  const write = (
    news: ReadonlyArray<SchemaLogEntry>,
    newIds: ReadonlyArray<{ readonly id: string; readonly oid: number }>,
    gone: ReadonlyArray<number>
  ) => {
    for (const oid of gone) ids.delete(oid)
    const used = new Set(ids.values())
    for (const { id, oid } of newIds) if (!ids.has(oid) && !used.has(id)) ids.set(oid, id)
    const known = new Set([...entries.values()].map((entry) => entry.id))
    for (const entry of news) if (!known.has(entry.id) && !entries.has(key(entry))) entries.set(key(entry), entry)
    for (const entry of news) if (isDropped(entry)) purge(entry)
  }

  const order = (a: SchemaLogEntry, b: SchemaLogEntry) =>
    a.schema < b.schema ? -1 : a.schema > b.schema ? 1 : a.version - b.version
  return Context.make(SchemaLog, {
    write: (news, newIds, gone = []) => Effect.sync(() => write(news, newIds, gone))
  }).pipe(Context.add(SchemaLogRows, {
    entries: Effect.sync(() => [...entries.values()].toSorted(order)),
    ids: Effect.sync(() => new Map(ids))
  }))
}

export const layer: Layer.Layer<SchemaLog | SchemaLogRows> = Layer.effectContext(Effect.sync(make))
