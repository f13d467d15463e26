/**
 * Third stage, switched on: ids for the payload from the entry in force, which came with the change's shape.
 * Events on `pgstream.table_ids` end here; schema-log entries go on.
 *
 * Needs no database: what it resolves against was made from the stream, so it cannot be unreachable.
 */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type { EventMetadata } from "../../domain/Change.ts"
import type { Chunk, Item } from "../../domain/Chunk.ts"
import { metadataOf } from "../../domain/SchemaEntry.ts"
import { tableIds } from "../../domain/SchemaEntryChange.ts"
import type { LoggedTable, TableShape } from "../../domain/TableShape.ts"
import { Injector } from "../../services/Injector.ts"

/** One object per (table as logged, entry): it is a cache key of the body. */
const known = new WeakMap<TableShape, { readonly entryId: string; readonly metadata: EventMetadata }>()

const metadataFor = (logged: LoggedTable): EventMetadata => {
  const made = known.get(logged.shape)
  if (made !== undefined && made.entryId === logged.entryId) return made.metadata
  const metadata = metadataOf(logged)
  known.set(logged.shape, { entryId: logged.entryId, metadata })
  return metadata
}

const inject = (chunk: Chunk): Chunk => {
  const { items } = chunk
  let shape: TableShape | undefined
  let metadata: EventMetadata | undefined
  let out: Array<Item> | undefined
  for (let i = 0; i < items.length; i++) {
    const item = items[i]!
    if (item._tag === "Change") {
      if (item.relation === tableIds) {
        out ??= items.slice(0, i)
        continue
      }
      if (item.shape !== shape) {
        shape = item.shape
        metadata = shape?.logged === undefined ? undefined : metadataFor(shape.logged)
      }
      item.metadata = metadata
    }
    out?.push(item)
  }
  return out === undefined ? chunk : { items: out, bytes: chunk.bytes }
}

export const layer = Layer.succeed(Injector, {
  version: "injector:on",
  inject: (chunk) => Effect.sync(() => inject(chunk))
})
