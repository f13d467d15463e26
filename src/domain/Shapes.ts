/**
 * Shapes, versions and schema events: a state machine over rows of `pgstream.ddl` (DESIGN.md "Schema log").
 * Deterministic: the same start and rows give the same events, ids and versions. No clock, no catalog.
 *
 * - `apply` takes a row at its place in the stream and returns the schema events that it stands for.
 * - `commit` ends a transaction: the events that wait for it (a schema of more than `MAX_TABLES_AT_ONCE` tables
 *   has one entry a transaction), and what changed, for the checkpoint.
 */
import * as Xid from "./Xid.ts"
import type { DdlRow, DdlTable } from "./Ddl.ts"
import { sees } from "./Ddl.ts"
import type { Transaction } from "./Change.ts"
import type { Lsn } from "./Lsn.ts"
import * as SchemaEntry from "./SchemaEntry.ts"
import { entriesOf } from "./ShapesEntries.ts"
import { ShapeTables } from "./ShapeTables.ts"
import type {
  LoggedTable, RecentRow, SchemaLogEntry, SchemaVersion, ShapesDelta, ShapesSnapshot, TableShape
} from "./TableShape.ts"

/** Above this many tables a schema gets one entry a transaction, at its commit. */
export const MAX_TABLES_AT_ONCE = 100

/**
 * Tables whose newest row is remembered, to tell what is older than it and comes later: a look, or a child that a
 * statement on its parent read while another session changed it.
 */
export const MAX_RECENT = 512

/** Where a row stands. `nextSub` counts its schema events: `k` of their ids. */
export interface Place {
  readonly transaction: Transaction
  readonly ordinal: number
  readonly lsn: Lsn
  nextSub: number
}

interface AtPlace {
  readonly place: Place
  /** `k` of its id. */
  readonly sub: number
  /** Oids of the tables that the statement changed. */
  readonly affects: ReadonlyArray<number>
}

export interface TableIdEvent extends AtPlace {
  readonly _tag: "TableId"
  readonly id: string
  readonly oid: number
}

export interface EntryEvent extends AtPlace {
  readonly _tag: "Entry"
  readonly entry: SchemaLogEntry
}

export type SchemaEvent = TableIdEvent | EntryEvent

interface Version {
  readonly version: number
  readonly entryId: string
  readonly tables: ReadonlySet<number>
  readonly outdated: Map<number, TableShape>
}

/** An entry to be made, now or at the commit. */
interface Due {
  readonly schema: string
  readonly row: DdlRow
  readonly place: Place
  readonly dropped: boolean
  readonly affects: Set<number>
}

export class Shapes {
  readonly #tables: ShapeTables
  readonly #versions = new Map<string, Version>()
  readonly #recent = new Map<number, RecentRow>()
  /** Entry ids that are in use already, of rows of this transaction. */
  readonly #used = new Set<string>()
  readonly #due = new Map<string, Due>()
  readonly #changedTables = new Set<number>()
  readonly #changedVersions = new Set<string>()
  #entries: Array<SchemaLogEntry> = []
  #newIds: Array<{ readonly id: string; readonly oid: number }> = []
  #recentChanged = false
  #epoch = 0

  constructor(from: ShapesSnapshot) {
    this.#tables = new ShapeTables(from.tables, (oid, before) => this.#onChange(oid, before))
    for (const v of from.versions) {
      const outdated = new Map((v.outdated ?? []).map((shape) => [shape.oid, shape]))
      this.#versions.set(v.schema, { version: v.version, entryId: v.entryId, tables: new Set(v.tables), outdated })
    }
    for (const row of from.recent ?? []) this.#recent.set(row.oid, row)
  }

  /** Changes with all that `find`, `named` or `logged` may answer: what is kept of theirs holds while it is the same. */
  get epoch(): number {
    return this.#epoch
  }

  find(oid: number): TableShape | undefined {
    return this.#tables.get(oid)
  }

  named(schema: string, name: string): TableShape | undefined {
    return this.#tables.named(schema, name)
  }

  /** Had the table's schema this name, before a rename that was seen since the start? */
  wasIn(shape: TableShape, schema: string): boolean {
    return this.#tables.wasIn(shape, schema)
  }

  /** How the entry in force describes the table, if it does under that name. */
  logged(shape: TableShape): LoggedTable | undefined {
    const version = this.#versions.get(shape.schema)
    if (version === undefined || !version.tables.has(shape.oid)) return undefined
    const then = version.outdated.get(shape.oid) ?? shape
    const sameName = then.schema === shape.schema && then.name === shape.name
    return sameName ? { entryId: version.entryId, shape: then } : undefined
  }

  versionOf(schema: string): SchemaVersion | undefined {
    const v = this.#versions.get(schema)
    if (v === undefined) return undefined
    const known = { schema, version: v.version, entryId: v.entryId, tables: [...v.tables] }
    return v.outdated.size === 0 ? known : { ...known, outdated: [...v.outdated.values()] }
  }

  /** The row changes the shapes; answers with its schema events, those that wait for the commit left out. */
  apply(row: DdlRow, place: Place): ReadonlyArray<SchemaEvent> {
    this.#epoch++
    const news = this.#sift(row)
    for (const schema of row.schemas) {
      if (schema.tag === "ALTER SCHEMA") this.#tables.renameSchema(schema.oid, schema.name)
    }
    this.#tables.renameTypes(row.types)
    const touched = new Set<string>()
    const differ = new Set<string>()
    for (const gone of news.dropped) {
      const was = this.#tables.drop(gone.oid)
      if (was !== undefined) differ.add(was.schema)
    }
    for (const table of news.tables) this.#put(row, table, differ)
    for (const table of this.#named(news.tables)) {
      const now = this.#tables.get(table.oid)
      if (now !== undefined) touched.add(now.schema)
    }
    return this.#events(row, place, touched, differ)
  }

  /** The end of a transaction: entries that waited for it, and what it changed; `undefined` = nothing. */
  commit(): { readonly events: ReadonlyArray<SchemaEvent>; readonly delta: ShapesDelta | undefined } {
    const events = [...this.#due.values()].flatMap((due) => this.#make(due))
    this.#due.clear()
    this.#used.clear()
    const delta = this.#delta()
    return { events, delta }
  }

  /** What the row says that is newer than what the stream has said of the same table: now that is the newest. */
  #sift(row: DdlRow): Pick<DdlRow, "tables" | "dropped"> {
    const { id, snapshot, xid } = row
    const isNewer = ({ oid }: { readonly oid: number }) => {
      const last = this.#recent.get(oid)
      return last === undefined || (snapshot === undefined ? id > last.id : sees(snapshot, last.xid))
    }
    const dropped = row.dropped.filter((d) => d.kind === "table" && isNewer(d))
    const tables = row.tables.filter(isNewer)
    if (xid === undefined) return { tables, dropped }
    for (const { oid } of [...tables, ...dropped]) {
      this.#recent.delete(oid)
      this.#recent.set(oid, { oid, xid, id })
      this.#recentChanged = true
    }
    for (const oid of this.#recent.keys()) {
      if (this.#recent.size <= MAX_RECENT) break
      this.#recent.delete(oid)
    }
    return { tables, dropped }
  }

  #put(row: DdlRow, table: DdlTable, differ: Set<string>): void {
    const { shape: read, oid } = table
    if (read === undefined) return
    const was = this.#tables.get(oid)
    const madeFull = row.madeFull.get(oid)
    const newId = was?.tableId === undefined ? row.newIds.get(oid) : undefined
    const tableId = was?.tableId ?? newId
    const full = madeFull !== undefined || read.replicaIdentity === "f"
    const shape: TableShape = {
      ...read,
      tableId,
      ...(newId !== undefined || was?.pendingId === true ? { pendingId: true as const } : {}),
      replicaIdentity: full ? "f" : read.replicaIdentity,
      fullIsOurs: full ? madeFull ?? (table.saysOwner ? read.fullIsOurs : was?.fullIsOurs) : undefined
    }
    if (was === undefined || !SchemaEntry.saysTheSame(was, shape)) differ.add(shape.schema)
    this.#tables.put(shape, table.children)
  }

  /** Tables that the statement names: the row has their children too. */
  #named(tables: ReadonlyArray<DdlTable>): ReadonlyArray<DdlTable> {
    const oids = new Set(tables.map((t) => t.oid))
    return tables.filter((t) => !(t.shape?.parents.some((parent) => oids.has(parent)) ?? false))
  }

  #events(
    row: DdlRow,
    place: Place,
    touched: ReadonlySet<string>,
    differ: ReadonlySet<string>
  ): ReadonlyArray<SchemaEvent> {
    const changed = [...row.tables, ...row.dropped.filter((d) => d.kind === "table")].map((t) => t.oid)
    const events: Array<SchemaEvent> = []
    for (const [schema, dropped] of entriesOf(row, touched, differ)) {
      if (SchemaEntry.isSystemSchema(schema)) continue
      const affects = new Set([...this.#due.get(schema)?.affects ?? [], ...changed])
      const due: Due = { schema, row, place, dropped, affects }
      if (!dropped && this.#tables.countOf(schema) > MAX_TABLES_AT_ONCE) {
        this.#due.delete(schema)
        this.#due.set(schema, due)
      } else {
        this.#due.delete(schema)
        events.push(...this.#make(due))
      }
    }
    return events
  }

  #make({ schema, row, place, dropped, affects }: Due): ReadonlyArray<SchemaEvent> {
    this.#epoch++
    const id = this.#used.has(row.entryId) ? Xid.derive(row.entryId, `schema ${schema}`) : row.entryId
    this.#used.add(row.entryId)
    const events: Array<SchemaEvent> = []
    const shapes = dropped ? [] : SchemaEntry.inOrder(this.#tables.of(schema)).map((shape) => {
      if (shape.tableId !== undefined && shape.pendingId === undefined) return shape
      const { pendingId: _, ...rest } = shape
      const { oid } = shape
      const tableId = shape.tableId ?? Xid.derive(row.entryId, `table ${oid}`)
      const announced: TableShape = { ...rest, tableId }
      this.#tables.replace(announced)
      this.#newIds.push({ id: tableId, oid })
      events.push({ _tag: "TableId", place, sub: place.nextSub++, id: tableId, oid, affects: [oid] })
      return announced
    })
    const sub = place.nextSub++
    const entry: SchemaLogEntry = {
      id,
      version: (this.#versions.get(schema)?.version ?? 0) + 1,
      schema,
      json: dropped ? SchemaEntry.droppedJson : SchemaEntry.json(shapes),
      createdAt: SchemaEntry.createdAt(row.at),
      lsn: place.lsn + sub
    }
    const tables = new Set(shapes.filter(SchemaEntry.isListed).map((shape) => shape.oid))
    this.#versions.set(schema, { version: entry.version, entryId: id, tables, outdated: new Map() })
    this.#changedVersions.add(schema)
    this.#entries.push(entry)
    events.push({ _tag: "Entry", place, sub, entry, affects: [...affects] })
    return events
  }

  /** A shape went or became another: the entry in force keeps the one that it has. */
  #onChange(oid: number, before: TableShape | undefined): void {
    this.#changedTables.add(oid)
    if (before === undefined) return
    const version = this.#versions.get(before.schema)
    if (version === undefined || !version.tables.has(oid) || version.outdated.has(oid)) return
    const now = this.#tables.get(oid)
    if (now === undefined || SchemaEntry.resolvesTheSame(before, now)) return
    version.outdated.set(oid, before)
    this.#changedVersions.add(before.schema)
  }

  #delta(): ShapesDelta | undefined {
    const made = this.#changedTables.size + this.#changedVersions.size + this.#entries.length + this.#newIds.length
    if (made === 0 && !this.#recentChanged) return undefined
    const versions = new Map<string, SchemaVersion>()
    for (const schema of this.#changedVersions) {
      const version = this.versionOf(schema)
      if (version !== undefined) versions.set(schema, version)
    }
    const recent = [...this.#recent.values()]
    const delta: ShapesDelta = {
      tables: new Map([...this.#changedTables].map((oid) => [oid, this.#tables.get(oid)])),
      versions,
      entries: this.#entries,
      newIds: this.#newIds,
      ...(this.#recentChanged ? { recent } : {})
    }
    this.#changedTables.clear()
    this.#changedVersions.clear()
    this.#entries = []
    this.#newIds = []
    this.#recentChanged = false
    return delta
  }
}
