/** Reads what is stored for a stream, inside the caller's transaction. */
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import type * as SqlClient from "effect/sql/SqlClient"
import type { ChangeKind } from "../../../domain/Change.ts"
import * as Lsn from "../../../domain/Lsn.ts"
import * as StreamId from "../../../domain/StreamId.ts"
import type { EndpointId, Subscription } from "../../../domain/Subscription.ts"
import type { RecentRow, SchemaVersion, TableShape } from "../../../domain/TableShape.ts"
import type { CheckpointState, EndpointCount } from "../../../services/Checkpoint.ts"

/** JSON has no `undefined`: the members that may be it are there again. */
const shapeOf = (stored: TableShape): TableShape =>
  ({ ...stored, fullIsOurs: stored.fullIsOurs, tableId: stored.tableId })

const versionOf = (stored: SchemaVersion): SchemaVersion =>
  stored.outdated === undefined ? stored : { ...stored, outdated: stored.outdated.map(shapeOf) }

interface CheckpointRow {
  readonly position: string
  readonly versions: string
  readonly recent: ReadonlyArray<RecentRow>
  readonly epoch_seed: string
}

interface DefinitionRow {
  readonly id: string
  readonly endpoint_id: string
  readonly url: string
  readonly schema_name: string
  readonly table_name: string
  readonly event_types: ReadonlyArray<ChangeKind>
  readonly created_at_us: bigint
}

export const readState = Effect.fnUntraced(function*(sql: SqlClient.SqlClient, id: StreamId.StreamId) {
  const stream = StreamId.format(id)
  const [row] = yield* sql<CheckpointRow>`
    SELECT position::text AS position, versions, recent, epoch_seed FROM pgstream.checkpoint WHERE stream = ${stream}`
  const counts = yield* sql<{ readonly endpoint_id: string; readonly count: bigint; readonly epoch: string }>`
    SELECT endpoint_id, count, epoch FROM pgstream.endpoint_streams WHERE stream = ${stream}`
  const definitions = yield* sql<DefinitionRow>`
    SELECT id, endpoint_id, url, schema_name, table_name, event_types, created_at_us
    FROM pgstream.checkpoint_definitions WHERE stream = ${stream} ORDER BY created_at_us, id`
  const tables = yield* sql<{ readonly shape: TableShape }>`
    SELECT shape FROM pgstream.checkpoint_shapes WHERE stream = ${stream} ORDER BY oid`
  const versions = yield* sql<{ readonly entry: SchemaVersion }>`
    SELECT entry FROM pgstream.checkpoint_versions WHERE stream = ${stream} ORDER BY schema_name`
  const state: CheckpointState = {
    stream: id,
    position: row === undefined ? Lsn.zero : Result.getOrThrow(Lsn.parse(row.position)),
    counts: new Map(counts.map(({ endpoint_id: endpoint, count, epoch }): [EndpointId, EndpointCount] =>
      [endpoint, { count: Number(count), epoch }])),
    definitions: definitions.map((d): Subscription => ({
      id: d.id,
      endpointId: d.endpoint_id,
      url: d.url,
      schema: d.schema_name,
      table: d.table_name,
      eventTypes: d.event_types,
      createdAtUs: Number(d.created_at_us)
    })),
    shapes: {
      tables: tables.map(({ shape }) => shapeOf(shape)),
      versions: versions.map(({ entry }) => versionOf(entry)),
      recent: row?.recent ?? []
    },
    versions: row?.versions ?? "",
    ...(row === undefined ? {} : { epochSeed: row.epoch_seed })
  }
  return state
})
