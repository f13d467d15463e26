/**
 * A database that was restored has other oids: what is keyed by oid (ids, identities, rows of `pgstream.ddl`) would
 * point at other tables. It is made again by name, before a stream begins there.
 */
import type { PgClient } from "@effect/sql-pg"
import * as Effect from "effect/Effect"
import type { SqlError } from "effect/sql/SqlError"
import type { Facts } from "./Probe.ts"

/** Some stream was made elsewhere, and none here. */
export const isCopy = (sql: PgClient.PgClient, facts: Facts): Effect.Effect<boolean, SqlError> =>
  Effect.map(
    sql<{ readonly copy: boolean }>`
      SELECT count(*) > 0 AND NOT coalesce(bool_or(system_identifier = ${facts.systemIdentifier} AND database_oid = ${facts.databaseOid}::text::bigint), false) AS copy
        FROM pgstream.streams`,
    ([row]) => row?.copy === true
  )

interface Id {
  readonly id: string
  readonly oid: string
}

interface Identity {
  readonly oid: string
  readonly schema: string
  readonly name: string
  readonly was: string
}

/** The newest entry of each schema says which table had which id; the catalog says which oid that name has now. */
const tableIds = (sql: PgClient.PgClient) =>
  sql<Id>`
    SELECT DISTINCT ON (c.oid) t.entry ->> 'pgstream_id' AS id, c.oid::text AS oid
      FROM (SELECT DISTINCT ON (schema_name) schema_name, schema FROM pgstream.schema_log ORDER BY schema_name, version DESC) l
      CROSS JOIN LATERAL jsonb_array_elements(CASE WHEN jsonb_typeof(l.schema -> 'tables') = 'array' THEN l.schema -> 'tables' ELSE '[]' END) t(entry)
      JOIN pg_namespace n ON n.nspname = l.schema_name
      JOIN pg_class c ON c.relnamespace = n.oid AND c.relname = t.entry ->> 'name' AND c.relkind IN ('r', 'p')
     WHERE t.entry ->> 'pgstream_id' IS NOT NULL
     ORDER BY c.oid`

const identities = (sql: PgClient.PgClient) =>
  sql<Identity>`
    SELECT c.oid::text AS oid, i.schema, i.name, i.was FROM pgstream.identities i
      JOIN pg_namespace n ON n.nspname = i.schema JOIN pg_class c ON c.relnamespace = n.oid AND c.relname = i.name AND c.relkind IN ('r', 'p')
     WHERE c.relreplident = 'f'`

/** In one transaction; the look that follows writes a row for every table. */
export const remake = (sql: PgClient.PgClient, facts: Facts): Effect.Effect<void, SqlError> =>
  sql.withTransaction(
    Effect.gen(function*() {
      const ids = yield* tableIds(sql)
      const full = yield* identities(sql)
      yield* sql`DELETE FROM pgstream.table_ids`
      yield* sql`INSERT INTO pgstream.table_ids (id, oid) SELECT * FROM unnest(${ids.map((row) => row.id)}::text[], ${ids.map((row) => row.oid)}::text[]::bigint[])`
      yield* sql`DELETE FROM pgstream.identities`
      yield* sql`
      INSERT INTO pgstream.identities (oid, schema, name, was)
      SELECT * FROM unnest(${full.map((row) => row.oid)}::text[]::oid[], ${full.map((row) => row.schema)}::text[],
        ${full.map((row) => row.name)}::text[], ${full.map((row) => row.was)}::text[])`
      yield* sql`DELETE FROM pgstream.ddl`
      yield* sql`DELETE FROM pgstream.streams WHERE (system_identifier, database_oid) IS DISTINCT FROM (${facts.systemIdentifier}::text, ${facts.databaseOid}::text::bigint)`
    })
  )

/** `init` made the slot, or took it over. */
export const register = (
  sql: PgClient.PgClient,
  facts: Facts,
  slotName: string,
  plugin: string
): Effect.Effect<void, SqlError> =>
  Effect.asVoid(sql`
    INSERT INTO pgstream.streams AS s (system_identifier, database_oid, slot_name, plugin)
    VALUES (${facts.systemIdentifier}, ${facts.databaseOid}::text::bigint, ${slotName}, ${plugin})
    ON CONFLICT (system_identifier, database_oid, slot_name) DO UPDATE SET plugin = excluded.plugin WHERE s.plugin <> excluded.plugin`)

/** Other streams of this database whose slots are there. */
export const others = (
  sql: PgClient.PgClient,
  facts: Facts,
  slotName: string
): Effect.Effect<ReadonlyArray<{ readonly slotName: string; readonly plugin: string }>, SqlError> =>
  sql<{ readonly slotName: string; readonly plugin: string }>`
    SELECT s.slot_name AS "slotName", s.plugin FROM pgstream.streams s
      JOIN pg_replication_slots r ON r.slot_name = s.slot_name AND r.database = current_database()
     WHERE s.system_identifier = ${facts.systemIdentifier} AND s.database_oid = ${facts.databaseOid}::text::bigint AND s.slot_name <> ${slotName}
     ORDER BY 1`
