/**
 * One snapshot of the source for a copy without a slot: its tables are locked ACCESS SHARE, then the snapshot is taken and
 * exported, and several connections read in it. Lasts as long as the scope: so long a user's ALTER TABLE of one of these
 * tables waits, as for pg_dump.
 */
import * as Context from "effect/Context"
import type * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import type { TableName } from "../domain/copy/Copy.ts"
import type { Refresh, SnapshotPlace } from "../domain/copy/LocalStream.ts"
import type { StreamId } from "../domain/StreamId.ts"
import type { SchemaLogEntry, ShapesSnapshot } from "../domain/TableShape.ts"
import type { TableReader, TableReaderError } from "./TableReader.ts"

/** Where the reader's marks and schema entries go, in place of the WAL. */
export interface LocalWriter {
  mark(id: string): Effect.Effect<void>
  refresh(refresh: Refresh): Effect.Effect<void>
  entry(entry: SchemaLogEntry): Effect.Effect<void>
}

export interface OpenSnapshot {
  readonly place: SnapshotPlace
  /** Of all tables, in the snapshot. */
  readonly shapes: ShapesSnapshot
  /** Reads in the snapshot: ranges, and the tables that the names stood for when it was taken. */
  readonly reader: Context.Service.Shape<typeof TableReader>
  /** Ends when the snapshot does before the scope: with a connection, or with a name that is not its table's any more. */
  readonly lost: Effect.Effect<never, TableReaderError>
  /** False: a stream of this database writes the schema log. Its newest entries are sent, and no new ones made. */
  readonly makesEntries: boolean
}

export class TableSnapshot extends Context.Service<TableSnapshot, {
  /** The stream under which deliveries are parked: that of the configured slot, should it be made. */
  readonly stream: Effect.Effect<StreamId, TableReaderError>
  /** `locked`: somebody else has one of the tables, or works on copies of this stream without a slot, too. */
  open(names: ReadonlyArray<TableName>, local: LocalWriter): Effect.Effect<OpenSnapshot, TableReaderError, Scope.Scope>
}>()("pgstream/services/TableSnapshot") {}
