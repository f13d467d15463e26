/** `pgstream.snapshot_requests`, whose shape others read: what of copies is written there, and what of the program before is read. */
import * as Effect from "effect/Effect"
import type { SqlClient } from "effect/sql/SqlClient"
import type { CopyId, TableName } from "../../../domain/copy/Copy.ts"

/** Completed requests of the program before: those that no copy of ours has written. */
export const copiedBefore = (sql: SqlClient) => sql<TableName>`
  SELECT r.schema_name AS schema, unnest(r.table_names) AS "table" FROM pgstream.snapshot_requests r
   WHERE r.status = 'completed' AND r.errors IS NULL AND NOT EXISTS (
     SELECT FROM pgstream.copies c, jsonb_to_recordset(c.tables) AS t(schema text, "table" text)
      WHERE c.subscription IS NULL AND t.schema = r.schema_name
      GROUP BY c.id HAVING array_agg(t."table" ORDER BY t."table") = r.table_names)`

/** `snapshot_requests` says the same of a copy that nobody in particular asked for, one row a schema. */
export const mirror = (sql: SqlClient, id: CopyId, status: "requested" | "in progress" | "completed", error: string | undefined) =>
  Effect.andThen(
    sql`INSERT INTO pgstream.snapshot_requests (schema_name, table_names, created_at, updated_at, status)
      SELECT t.schema, array_agg(t."table" ORDER BY t."table"), now(), now(), 'requested'
        FROM pgstream.copies c, jsonb_to_recordset(c.tables) AS t(schema text, "table" text)
       WHERE c.id = ${id}::text::bigint AND c.subscription IS NULL AND ${status}::text <> 'completed' GROUP BY t.schema
      ON CONFLICT DO NOTHING`,
    sql`UPDATE pgstream.snapshot_requests r SET status = ${status}, updated_at = now(),
          errors = CASE WHEN ${error ?? null}::text IS NULL THEN r.errors ELSE jsonb_build_object('error', ${error ?? null}::text) END
        FROM (SELECT t.schema, array_agg(t."table" ORDER BY t."table") AS names
                FROM pgstream.copies c, jsonb_to_recordset(c.tables) AS t(schema text, "table" text)
               WHERE c.id = ${id}::text::bigint AND c.subscription IS NULL GROUP BY t.schema) of_copy
       WHERE r.schema_name = of_copy.schema AND r.table_names = of_copy.names AND r.status <> 'completed'`
  )

/** With what `mirror` wrote of them: without its copy it would pass for the program before. Its last write is of the copy's own time. */
export const trim = (sql: SqlClient, ids: ReadonlyArray<CopyId>) =>
  ids.length === 0 ? Effect.void : sql`
    WITH gone AS (
      DELETE FROM pgstream.copies WHERE id = ANY (${ids}::text[]::bigint[])
      RETURNING id, subscription, tables, created_at, updated_at),
    of_copy AS (
      SELECT t.schema, array_agg(t."table" ORDER BY t."table") AS names, g.created_at, g.updated_at
        FROM gone g, jsonb_to_recordset(g.tables) AS t(schema text, "table" text)
       WHERE g.subscription IS NULL GROUP BY g.id, g.created_at, g.updated_at, t.schema)
    DELETE FROM pgstream.snapshot_requests r USING of_copy
     WHERE r.schema_name = of_copy.schema AND r.table_names = of_copy.names AND r.status = 'completed'
       AND r.updated_at BETWEEN of_copy.created_at AND of_copy.updated_at`
