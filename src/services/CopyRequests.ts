/**
 * Copies that were asked for, durable per stream: who asked for which tables, and how far each is. The command and the
 * API create and steer them; the Snapshotter of the running pipeline works on them and reports. All see the same rows,
 * so the command may run in another process.
 *
 * Every layer passes `test/suites/CopyRequestsSuite.ts`.
 */
import * as Context from "effect/Context"
import type * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import type { Copy, CopyId, CopySpec, CopyState, TableName, TableProgress } from "../domain/copy/Copy.ts"

export type { Copy, CopyId, CopyMode, CopySpec, CopyState, TableName, TableProgress } from "../domain/copy/Copy.ts"

export interface Created {
  /** The new copy, or the one that goes on in its place. `undefined`: every table was copied before, and it is not repeatable. */
  readonly copy: Copy | undefined
  /** Tables that were left out, since a copy that is done has them. */
  readonly skipped: ReadonlyArray<TableName>
}

/** What the Snapshotter keeps of a table between two lives of the process. */
export interface TableRecord extends TableProgress {
  /** `pg_class.oid`. */
  readonly oid: number
  /** `pg_relation_filenode` when the table's copy began: another one starts it again. */
  readonly filenode: number
  /**
   * The hash of the key's definition, then the key (or row pointer) up to which everything is settled, as text;
   * `undefined`: nothing yet.
   */
  readonly doneThrough: ReadonlyArray<string> | undefined
}

/** A row that is to be read again by its key: what events said of it is not enough for those who asked. */
export interface PendingKey {
  readonly copy: CopyId
  readonly oid: number
  /** Values of the key's columns as text, in the key's order. */
  readonly key: ReadonlyArray<string>
}

export class CopyRequests extends Context.Service<CopyRequests, {
  /** Durable before it returns. The running pipeline begins with it within a second or so. */
  create(spec: CopySpec): Effect.Effect<Created, CopyRequestsError>
  /** Newest first. */
  readonly list: Effect.Effect<ReadonlyArray<Copy>, CopyRequestsError>
  /** Fails with `CopyUnknown`. */
  get(id: CopyId): Effect.Effect<Copy, CopyRequestsError | CopyUnknown>
  /** What is being read ends; nothing more of it is read. A copy that is over: `CopyIsOver`. */
  pause(id: CopyId): Effect.Effect<Copy, CopyRequestsError | CopyUnknown | CopyIsOver>
  resume(id: CopyId): Effect.Effect<Copy, CopyRequestsError | CopyUnknown | CopyIsOver>
  /** What was sent stays sent. */
  cancel(id: CopyId): Effect.Effect<Copy, CopyRequestsError | CopyUnknown | CopyIsOver>

  /** For the Snapshotter: all that are not over, oldest first, with what was kept of them. */
  readonly open: Effect.Effect<ReadonlyArray<OpenCopy>, CopyRequestsError>
  /** `requested` → `running` → `done` or `failed`. One that was cancelled or paused meanwhile stays so. */
  setState(id: CopyId, state: Extract<CopyState, "running" | "done" | "failed">, error?: string): Effect.Effect<void, CopyRequestsError>
  /** Adds or replaces records of tables, by oid. */
  saveTables(id: CopyId, tables: ReadonlyArray<TableRecord>): Effect.Effect<void, CopyRequestsError>
  /** Durable before it returns: the events that made them necessary may be acknowledged then. Of a copy that is over none is kept. */
  addPending(keys: ReadonlyArray<PendingKey>): Effect.Effect<void, CopyRequestsError>
  /** They were read again and settled. */
  removePending(keys: ReadonlyArray<PendingKey>): Effect.Effect<void, CopyRequestsError>
}>()("pgstream/services/CopyRequests") {}

export interface OpenCopy {
  readonly copy: Copy
  readonly tables: ReadonlyArray<TableRecord>
  readonly pending: ReadonlyArray<PendingKey>
}

export class CopyRequestsError extends Schema.TaggedError<CopyRequestsError>()("CopyRequestsError", {
  operation: Schema.String,
  cause: Schema.Defect()
}) {
  override get message() {
    return `Cannot ${this.operation} in the source database.`
  }
}

/** No copy of this stream has the id. */
export class CopyUnknown extends Schema.TaggedError<CopyUnknown>()("CopyUnknown", {
  id: Schema.String
}) {
  override get message() {
    return `There is no copy ${this.id}.\n\n  pgstream snapshot list`
  }
}

/** It is done, failed or cancelled: nothing can be changed any more. */
export class CopyIsOver extends Schema.TaggedError<CopyIsOver>()("CopyIsOver", {
  id: Schema.String,
  state: Schema.Literals(["done", "failed", "cancelled"])
}) {
  override get message() {
    return `Copy ${this.id} is over: it is ${this.state}. Ask for a new one.`
  }
}
