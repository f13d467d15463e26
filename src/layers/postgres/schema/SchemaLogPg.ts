/**
 * `pgstream.schema_log` and `pgstream.table_ids` in the source database, written from the stream. Versions are per
 * stream: of several slots of one database the first that was made writes these tables; when it is destroyed, the next.
 */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as SchemaEntry from "../../../domain/SchemaEntry.ts"
import type { SchemaLogEntry } from "../../../domain/TableShape.ts"
import { SchemaLog } from "../../../services/SchemaLog.ts"
import { SourceSettings } from "../../../services/Settings.ts"
import { SchemaLogError } from "../../../services/TableShapes.ts"
import { SourceSql } from "../Sql.ts"
import { whileAway, withoutValues } from "../store/StoreRetry.ts"

/** JSON in one statement: an entry may be megabytes, and there may be thousands. One above it goes alone. */
const BATCH_BYTES = 4 * 1024 * 1024

const batches = (entries: ReadonlyArray<SchemaLogEntry>): ReadonlyArray<ReadonlyArray<SchemaLogEntry>> => {
  const all: Array<Array<SchemaLogEntry>> = []
  let bytes = BATCH_BYTES
  for (const entry of entries) {
    bytes += entry.json.length
    if (bytes > BATCH_BYTES) {
      all.push([])
      bytes = entry.json.length
    }
    all[all.length - 1]!.push(entry)
  }
  return all
}

export const layer = Layer.effect(
  SchemaLog,
  Effect.gen(function*() {
    const sql = yield* SourceSql
    const { slotName } = yield* SourceSettings

    /** A stream of this database that was made before this one, and whose slot is there. */
    const anotherIsFirst = Effect.map(
      sql<{ readonly other: boolean }>`
        SELECT EXISTS (SELECT FROM pgstream.streams o JOIN pgstream.streams own ON own.slot_name = ${slotName}
          JOIN pg_replication_slots s ON s.slot_name = o.slot_name AND s.database = current_database()
         WHERE (o.created_at, o.slot_name) < (own.created_at, own.slot_name)) AS other`,
      ([row]) => row?.other === true
    )

    const insertEntries = (entries: ReadonlyArray<SchemaLogEntry>) => {
      const rows = entries.map(({ createdAt, id, json, schema, version }) =>
        ({ id, version, schema, json, created_at: createdAt }))
      return sql`
        INSERT INTO pgstream.schema_log (id, version, schema_name, schema, created_at, acked)
        SELECT e.id, e.version, e.schema, e.json::jsonb, e.created_at, true
          FROM jsonb_to_recordset(${JSON.stringify(rows)}::text::jsonb)
            AS e(id text, version bigint, schema text, json text, created_at timestamp)
        ON CONFLICT DO NOTHING`
    }

    const purge = (entry: SchemaLogEntry) => sql`
      DELETE FROM pgstream.schema_log
       WHERE (schema_name = ${entry.schema} AND version < ${String(entry.version)}::text::bigint
              AND NOT schema ? 'dropped')
          OR (schema ? 'dropped' AND created_at < ${entry.createdAt}::text::timestamp - interval '7 days')`

    const write = Effect.fnUntraced(function*(
      entries: ReadonlyArray<SchemaLogEntry>,
      ids: ReadonlyArray<{ readonly id: string; readonly oid: number }>,
      gone: ReadonlyArray<number>
    ) {
      if (yield* anotherIsFirst) return
      if (gone.length > 0) {
        yield* sql`DELETE FROM pgstream.table_ids WHERE oid = ANY (${gone.map(String)}::text[]::bigint[])`
      }
      if (ids.length > 0) {
        yield* sql`
          INSERT INTO pgstream.table_ids (id, oid)
          SELECT i.id, i.oid
            FROM jsonb_to_recordset(${JSON.stringify(ids)}::text::jsonb) AS i(id text, oid bigint)
          ON CONFLICT DO NOTHING`
      }
      for (const batch of batches(entries)) yield* insertEntries(batch)
      for (const entry of entries) {
        if (entry.json === SchemaEntry.droppedJson) yield* purge(entry)
      }
    })

    return SchemaLog.of({
      write: (entries, ids, gone = []) =>
        entries.length + ids.length + gone.length === 0 ? Effect.void : write(entries, ids, gone).pipe(
          sql.withTransaction,
          whileAway("write the schema log"),
          Effect.mapError((error) => new SchemaLogError({ operation: "write", cause: withoutValues(error) }))
        )
    })
  })
)
