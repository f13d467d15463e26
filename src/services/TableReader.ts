/**
 * Reads rows that are there, for the Snapshotter: a range of a table in one short transaction with its high mark, and
 * what has to be known for that. Nothing here decides: the rules of a copy are `domain/copy`, who does what when is the
 * Snapshotter.
 *
 * A transaction lasts as long as one range. It locks its table ACCESS SHARE, so an ALTER TABLE of a user waits for one
 * range at most.
 */
import * as Context from "effect/Context"
import type * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import type { Relation, Row } from "../domain/Change.ts"
import type { TableName } from "../domain/copy/Copy.ts"
import type { Bound } from "../domain/copy/Ranges.ts"
import type { SnapshotText } from "../domain/copy/SnapshotText.ts"
import type { SchemaLogEntry } from "../domain/TableShape.ts"

/** A table that holds rows itself: an ordinary one, or a partition. */
export interface ReadTable extends TableName {
  readonly oid: number
  /** `pg_relation_filenode`: another one after each rewrite and TRUNCATE. */
  readonly filenode: number
  /** DDL on it comes in the stream before anything that is read after it: the event triggers are there. */
  readonly ddlInStream: boolean
  /** As Postgres estimates; `undefined`: never analysed. Only shown. */
  readonly totalRows: number | undefined
  readonly totalBytes: number
}

export interface ReadRequest {
  readonly table: Pick<ReadTable, "oid" | "schema" | "table">
  /** Names of the key's columns, in its order; empty: the table has no key, bounds are row pointers. */
  readonly key: ReadonlyArray<string>
  /** Above `from` and up to `to`; with `keys`, of these only the rows that have one of them. */
  readonly from: Bound
  readonly to: Bound
  readonly keys?: ReadonlyArray<ReadonlyArray<string>> | undefined
  /** A condition in SQL. */
  readonly where: string | undefined
  /** Reading ends early, at a row's end, above this many bytes of values or rows. */
  readonly maxBytes: number
  readonly maxRows: number
  /** About so many rows have these bytes, from 1: for how many are asked for at first. */
  readonly expectedRows: number
  /** Id of the mark that is written with the end of the transaction. */
  readonly highMark: string
  /** Whether the snapshot is new enough. If not nothing is read. */
  readonly isNewEnough: (snapshot: SnapshotText) => boolean
  /** Called with what was read, before the high mark is written: it may arrive in the stream at any time after. */
  readonly ready: (read: ReadRows) => void
  /** A rule that a test takes back. */
  readonly lockFirst: boolean
}

export interface ReadRow {
  /** `xmin`, of a table without a key the row pointer, too: the row's version. */
  readonly version: string
  readonly row: Row
}

export interface ReadRows {
  /** One object for all reads of a table that has the same columns. */
  readonly relation: Relation
  readonly filenode: number
  readonly rows: ReadonlyArray<ReadRow>
  /** Of the values. */
  readonly bytes: number
  /** Where reading ended early: the last row's key, or pointer. `undefined`: all of the range was read. */
  readonly last: ReadonlyArray<string> | undefined
  /** Rows above the limit of a frame, which were left out. */
  readonly tooLarge: number
}

/** read: the high mark is written · old: the snapshot was not new enough, nothing was read · moved: no table of that oid has this name and key any more. */
export type ReadOutcome = "read" | "old" | "moved"

export class TableReader extends Context.Service<TableReader, {
  /** The tables with rows that a name stands for: itself, or the leaves of a partitioned parent. Empty: there is none. */
  tables(name: TableName): Effect.Effect<ReadonlyArray<ReadTable>, TableReaderError>
  /** By its oid, under whatever name; `undefined`: it is gone. */
  table(oid: number): Effect.Effect<ReadTable | undefined, TableReaderError>
  /** Key of the `rows`-th row above `from` and up to `to`; `undefined`: there are fewer. */
  bound(
    table: ReadRequest["table"], key: ReadonlyArray<string>, from: Bound, to: Bound, rows: number
  ): Effect.Effect<Bound, TableReaderError>
  read(request: ReadRequest): Effect.Effect<ReadOutcome, TableReaderError>
  /** Durable and on its way to the stream when it returns. */
  mark(id: string): Effect.Effect<void, TableReaderError>
  readonly snapshot: Effect.Effect<SnapshotText, TableReaderError>
  /** Low 32 bits of the ids of transactions whose commit may be in the WAL and is not visible yet. */
  readonly committing: Effect.Effect<ReadonlyArray<number>, TableReaderError>
  /** An entry of the schema log; `undefined`: it is not written yet. */
  entry(id: string): Effect.Effect<SchemaLogEntry | undefined, TableReaderError>
  /** Has a new entry of the schema come through the stream. */
  refreshSchema(schema: string): Effect.Effect<void, TableReaderError>
}>()("pgstream/services/TableReader") {}

/** Why the server, or the way to it, refused. No value of a row. */
export class TableReaderError extends Schema.TaggedError<TableReaderError>()("TableReaderError", {
  /**
   * lost: of the connection or the server, tried again · timeout: it took too long, a smaller range may not · locked: by
   * somebody else, tried again · refused: no retry will help.
   */
  kind: Schema.Literals(["lost", "timeout", "locked", "refused"]),
  summary: Schema.String,
  /** SQLSTATE, if the server spoke. */
  state: Schema.optional(Schema.String)
}) {
  override get message() {
    return this.summary
  }
}
