/** An entry of the schema log by its id. */
import type { SchemaLogEntry } from "../../../domain/TableShape.ts"
import { literal } from "../../../domain/SqlText.ts"
import type { Row } from "../replication/Session.ts"

export const select = (id: string): string => `
  SELECT id::text AS id, version::text AS version, schema_name, schema::text AS json, created_at::text AS created_at
    FROM pgstream.schema_log WHERE id = ${literal(id)}`

export const of = (row: Row): SchemaLogEntry => ({
  id: row["id"] ?? "",
  version: Number(row["version"]),
  schema: row["schema_name"] ?? "",
  json: row["json"] ?? "",
  createdAt: row["created_at"] ?? "",
  lsn: 0
})
