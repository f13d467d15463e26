/**
 * A table as the stream knows it at one place: made from rows of `pgstream.ddl`, never from the catalog.
 * Immutable; the object is the cache key of what is derived from it (payload forms, key definitions).
 */
import type { Lsn } from "./Lsn.ts"

export interface ShapeColumn {
  /** `attnum`, from 1. The column's id is `<table id>-<attnum>`. */
  readonly attnum: number
  readonly name: string
  readonly typeOid: number
  readonly typmod: number
  /** `format_type` under `pg_catalog`: user types qualified (`public.mood`). */
  readonly type: string
  readonly notNull: boolean
  /** Expression text, or `null`. For a generated column, its expression. */
  readonly default: string | null
  /** A stored (or virtual) generated column. */
  readonly generated: boolean
  readonly identity: "" | "a" | "d"
  readonly comment: string | null
}

export interface ShapeIndex {
  readonly primary: boolean
  /** `indisreplident`. */
  readonly replicaIdentity: boolean
  readonly immediate: boolean
  /** Unique, without predicate and without expressions. */
  readonly plainUnique: boolean
  /** `attnum`s of the key columns, in the key's order, without INCLUDE columns. */
  readonly key: ReadonlyArray<number>
}

export interface TableShape {
  readonly oid: number
  readonly schema: string
  readonly name: string
  /** r table · p partitioned. */
  readonly kind: "r" | "p"
  readonly persistence: "p" | "u"
  /** As it is in the catalog, ours included. */
  readonly replicaIdentity: "d" | "n" | "f" | "i"
  /** FULL was set by us, and what it was before. `undefined`: the identity is the user's. */
  readonly fullIsOurs: "d" | "n" | "i" | undefined
  /** Topmost partitioned parent's oid, or its own. */
  readonly root: number
  readonly parents: ReadonlyArray<number>
  readonly columns: ReadonlyArray<ShapeColumn>
  readonly indexes: ReadonlyArray<ShapeIndex>
  /** `pgstream_id` of the table; `undefined` while it has none. */
  readonly tableId: string | undefined
  /** Its id is not in `table_ids` yet: the next entry of its schema announces it. */
  readonly pendingId?: true
  /** `pg_namespace.oid`, by which a renamed schema is found; absent where it is not known. */
  readonly schemaOid?: number
  /**
   * Only on the shape of a change: how the entry in force at its place describes the table. Absent while no entry
   * does. So the object of a change's shape is one per (shape, entry).
   */
  readonly logged?: LoggedTable
}

/** What the injector resolves against: a table as an entry of the schema log has it. */
export interface LoggedTable {
  readonly entryId: string
  readonly shape: TableShape
}

/** The newest logged entry of a schema. */
export interface SchemaVersion {
  readonly schema: string
  readonly version: number
  readonly entryId: string
  /** Tables of that entry, by oid: what the injector resolves against (golden/SCHEMA.md "Acks"). */
  readonly tables: ReadonlyArray<number>
  /** Of those: as the entry has them, where a later statement without an entry changed ids or names. */
  readonly outdated?: ReadonlyArray<TableShape>
}

/**
 * The newest row of `pgstream.ddl` about a table. Older than it: a look at the catalog that does not see `xid`, and
 * another row of a statement with a lower `id`.
 */
export interface RecentRow {
  readonly oid: number
  /** 64-bit xid. */
  readonly xid: number
  readonly id: number
}

/** What one transaction changed of the shapes: stored with the checkpoint that passes its commit. */
export interface ShapesDelta {
  /** `undefined` = gone. */
  readonly tables: ReadonlyMap<number, TableShape | undefined>
  readonly versions: ReadonlyMap<string, SchemaVersion>
  /** Rows for `pgstream.schema_log` and `pgstream.table_ids`, to be written before the position passes. */
  readonly entries: ReadonlyArray<SchemaLogEntry>
  readonly newIds: ReadonlyArray<{ readonly id: string; readonly oid: number }>
  /** The whole list as it is now, if it changed. */
  readonly recent?: ReadonlyArray<RecentRow>
}

/** One row of `pgstream.schema_log`. */
export interface SchemaLogEntry {
  readonly id: string
  readonly version: number
  readonly schema: string
  /** The JSON text of golden/SCHEMA.md, in jsonb's text form. */
  readonly json: string
  /** `2026-11-24 00:12:21.22944`, no zone. */
  readonly createdAt: string
  readonly lsn: Lsn
}

/** All shapes in force at a position: what a checkpoint stores and a start loads. */
export interface ShapesSnapshot {
  readonly tables: ReadonlyArray<TableShape>
  readonly versions: ReadonlyArray<SchemaVersion>
  readonly recent?: ReadonlyArray<RecentRow>
}

/** Everything that `snapshot` holds, as a change of nothing: for who stores a whole state. */
export const deltaOf = (snapshot: ShapesSnapshot): ShapesDelta => ({
  tables: new Map(snapshot.tables.map((shape) => [shape.oid, shape])),
  versions: new Map(snapshot.versions.map((version) => [version.schema, version])),
  entries: [],
  newIds: [],
  recent: snapshot.recent ?? []
})
