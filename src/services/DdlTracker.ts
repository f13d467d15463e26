/**
 * The service's side of schema tracking: what the event triggers could not do, or did not see, in the source database.
 *
 * - *Looks* compare the catalog with the newest row of each table in `pgstream.ddl`, and write rows of what differs.
 * - *Identities*: tables without a usable replica identity become FULL, one short lock at a time, and go back to what
 *   they had once that can be used. What was changed is on record in `pgstream.identities`.
 *
 * Nothing here makes a statement of the user fail; none waits for longer than one ALTER of a free table takes.
 */
import * as Context from "effect/Context"
import type * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"

export interface LookReport {
  /** False: another session looks at this database just now. */
  readonly looked: boolean
  /** Rows of `pgstream.ddl` that were written: 0 when nothing differed, and then nothing was written at all. */
  readonly rows: number
}

export interface TableName {
  readonly oid: number
  readonly schema: string
  readonly name: string
}

export interface IdentityReport {
  readonly changed: ReadonlyArray<TableName>
  /** Not done, and why: `locked` (in use at each attempt) or `notOwner`. The scan goes on trying. */
  readonly failed: ReadonlyArray<TableName & { readonly reason: "locked" | "notOwner" }>
}

/** A table whose UPDATE and DELETE have no identity yet. */
export interface Uncovered extends TableName {
  /** Time of the newest row about it; `undefined`: since before the first look. */
  readonly since: Date | undefined
}

export class DdlTracker extends Context.Service<DdlTracker, {
  /** Now; at these tables (oids), or at all tables and schemas. */
  look(tables?: ReadonlyArray<number>): Effect.Effect<LookReport, DdlTrackerError>
  /** FULL for every table that has no usable identity: `init`, before the publication is made. */
  readonly ensureIdentities: Effect.Effect<IdentityReport, DdlTrackerError>
  /**
   * Everything on record back to what it was: `destroy`, after the publication is dropped (a published table without
   * identity refuses the user's UPDATE).
   */
  readonly restoreIdentities: Effect.Effect<IdentityReport, DdlTrackerError>
  readonly uncovered: Effect.Effect<ReadonlyArray<Uncovered>, DdlTrackerError>
  /**
   * The stream asks for a look at these tables soon; at none: a row of `pgstream.ddl` could not be read there, so the
   * look says again how every table is. Plain: called between events; does nothing without a scan.
   */
  request(tables: ReadonlyArray<number>): void
}>()("pgstream/services/DdlTracker") {}

export class DdlTrackerError extends Schema.TaggedError<DdlTrackerError>()("DdlTrackerError", {
  operation: Schema.Literals(["look", "ensureIdentities", "restoreIdentities", "uncovered"]),
  cause: Schema.Defect()
}) {
  override get message() {
    return `Schema tracking: ${this.operation} failed on the source database.`
  }
}
