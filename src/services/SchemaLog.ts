/**
 * The tables `pgstream.schema_log` and `pgstream.table_ids`, for those who read them with SQL. Written from the
 * stream, before its position passes; never read to make an event.
 */
import * as Context from "effect/Context"
import type * as Effect from "effect/Effect"
import type { SchemaLogEntry } from "../domain/TableShape.ts"
import type { SchemaLogError } from "./TableShapes.ts"

export class SchemaLog extends Context.Service<SchemaLog, {
  /**
   * Writes entries (acked) and ids, idempotently: a row that is there already is left. Durable before it returns, in
   * one transaction. A database that cannot be reached: waits and tries again; events wait with it.
   *
   * `gone`: oids of dropped tables; their ids end. With the entry of a dropped schema its older entries end, and
   * those of schemas that were dropped more than a week ago.
   */
  write(
    entries: ReadonlyArray<SchemaLogEntry>,
    ids: ReadonlyArray<{ readonly id: string; readonly oid: number }>,
    gone?: ReadonlyArray<number>
  ): Effect.Effect<void, SchemaLogError>
}>()("pgstream/services/SchemaLog") {}
