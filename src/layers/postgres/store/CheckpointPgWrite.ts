/** Writes only what changed, one statement for each kind of it, inside the caller's transaction. */
import * as Effect from "effect/Effect"
import type * as SqlClient from "effect/sql/SqlClient"
import type { Subscription } from "../../../domain/Subscription.ts"
import type { ShapesDelta, TableShape } from "../../../domain/TableShape.ts"
import type { CheckpointUpdate, EndpointCount } from "../../../services/Checkpoint.ts"

/** Shapes in one statement: about 2 kB each. */
const SHAPES_PER_STATEMENT = 1000

const writeCounts = (sql: SqlClient.SqlClient, stream: string, counts: ReadonlyMap<string, EndpointCount>) =>
  sql`INSERT INTO pgstream.endpoint_streams (stream, endpoint_id, count, epoch)
    SELECT ${stream}, u.id, u.count, u.epoch
    FROM unnest(
      ${[...counts.keys()]}::text[]::uuid[],
      ${Array.from(counts.values(), (c) => String(c.count))}::text[]::bigint[],
      ${Array.from(counts.values(), (c) => c.epoch)}::text[]) AS u(id, count, epoch)
    ON CONFLICT (stream, endpoint_id) DO UPDATE SET count = excluded.count, epoch = excluded.epoch`

/** One statement may touch a row only once. */
const lastOfEach = (rows: ReadonlyArray<Subscription>): ReadonlyArray<Subscription> =>
  [...new Map(rows.map((row) => [row.id, row])).values()]

const writeDefinitions = (sql: SqlClient.SqlClient, stream: string, rows: ReadonlyArray<Subscription>) =>
  sql`INSERT INTO pgstream.checkpoint_definitions
      (stream, id, endpoint_id, url, schema_name, table_name, event_types, created_at_us)
    SELECT ${stream}, r.id, r."endpointId", r.url, r."schema", r."table",
      ARRAY(SELECT jsonb_array_elements_text(r."eventTypes")), r."createdAtUs"
    FROM jsonb_to_recordset(${JSON.stringify(lastOfEach(rows))}::jsonb)
      AS r(id uuid, "endpointId" uuid, url text, "schema" text, "table" text, "eventTypes" jsonb,
        "createdAtUs" bigint)
    ON CONFLICT (stream, id) DO UPDATE
    SET endpoint_id = excluded.endpoint_id, url = excluded.url, schema_name = excluded.schema_name,
      table_name = excluded.table_name, event_types = excluded.event_types, created_at_us = excluded.created_at_us`

const writeShapes = Effect.fnUntraced(function*(sql: SqlClient.SqlClient, stream: string, shapes: ShapesDelta) {
  const gone: Array<string> = []
  const there: Array<TableShape> = []
  for (const [oid, shape] of shapes.tables) {
    if (shape === undefined) gone.push(String(oid))
    else there.push(shape)
  }
  if (gone.length > 0) {
    yield* sql`DELETE FROM pgstream.checkpoint_shapes
      WHERE stream = ${stream} AND oid = ANY (${gone}::text[]::bigint[])`
  }
  for (let from = 0; from < there.length; from += SHAPES_PER_STATEMENT) {
    yield* sql`INSERT INTO pgstream.checkpoint_shapes (stream, oid, shape)
      SELECT ${stream}, (s.value->>'oid')::bigint, s.value
      FROM jsonb_array_elements(${JSON.stringify(there.slice(from, from + SHAPES_PER_STATEMENT))}::jsonb) AS s
      ON CONFLICT (stream, oid) DO UPDATE SET shape = excluded.shape`
  }
  if (shapes.versions.size > 0) {
    yield* sql`INSERT INTO pgstream.checkpoint_versions (stream, schema_name, entry)
      SELECT ${stream}, v.value->>'schema', v.value
      FROM jsonb_array_elements(${JSON.stringify([...shapes.versions.values()])}::jsonb) AS v
      ON CONFLICT (stream, schema_name) DO UPDATE SET entry = excluded.entry`
  }
  if (shapes.recent !== undefined) {
    yield* sql`UPDATE pgstream.checkpoint SET recent = ${JSON.stringify(shapes.recent)}::jsonb WHERE stream = ${stream}`
  }
})

export const writeChanges = Effect.fnUntraced(function*(
  sql: SqlClient.SqlClient,
  stream: string,
  update: CheckpointUpdate
) {
  if (update.counts.size > 0) yield* writeCounts(sql, stream, update.counts)
  if (update.removed.length > 0) {
    yield* sql`DELETE FROM pgstream.checkpoint_definitions
      WHERE stream = ${stream} AND id = ANY (${update.removed}::text[]::uuid[])`
  }
  if (update.upserted.length > 0) yield* writeDefinitions(sql, stream, update.upserted)
  yield* writeShapes(sql, stream, update.shapes)
})
