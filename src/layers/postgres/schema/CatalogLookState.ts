/**
 * What the rows of `pgstream.ddl` say that the catalog is: pure, fed with rows in the order of their ids, compared
 * with the catalog by `CatalogLook.ts`. The rules are those of the head of `migrations/source/0003_ddl.ts`.
 */
import * as Result from "effect/Result"
import { parseSnapshot, sees } from "../../../domain/Ddl.ts"

export type FullWas = "d" | "n" | "i"

/** A row of `pgstream.ddl`, in short. */
export interface LookRow {
  readonly id: number
  /** 64-bit xid, or a snapshot (`xmin:xmax:…`) for a look. */
  readonly xid: string
  readonly tag: string
  readonly readCommitted: boolean
  /** `[oid, name, tag]` */
  readonly schemas: ReadonlyArray<readonly [oid: string | null, name: string, tag: string]>
  readonly dropped: ReadonlyArray<readonly [kind: string, oid: string, schema: string | null, name: string]>
  readonly newIds: ReadonlyArray<string>
  readonly madeFull: Readonly<Record<string, FullWas>>
  readonly tables: ReadonlyArray<LookRowTable>
}

export interface LookRowTable {
  readonly oid: string
  readonly unsure: boolean
  /** Of the shape without what the stream derives. */
  readonly md5: string
  readonly replident: string
  readonly schema: string
  readonly name: string
  /** Absent: the row does not say. */
  readonly fullOurs?: FullWas | null
}

/** The newest that is known of a table. */
export interface KnownTable {
  readonly rowId: number
  readonly xid: string
  readonly md5: string
  /** False: nobody can rely on its shape; a look must answer. */
  readonly sure: boolean
  /** The next look says it again, with its id. */
  readonly again?: true
  /** The newest row with a shape of it, sure or not. */
  readonly shapeRowId: number | undefined
  readonly schema: string
  readonly name: string
  /** FULL is ours and it was that; null: not ours; `undefined`: the rows do not say, the record holds. */
  readonly fullWas: FullWas | null | undefined
  /** Signature of the catalog at which it was found equal. */
  readonly signature: string | undefined
}

/** Does a transaction belong to what `snapshot` sees? A malformed one sees nothing. */
export const visible = (snapshot: string, xid: string): boolean =>
  Result.match(parseSnapshot(snapshot), { onFailure: () => false, onSuccess: (s) => sees(s, Number(xid)) })

export interface Stamp {
  readonly rowId: number
  readonly xid: string
}

/** Is `row` about a newer state than `known`? */
export const supersedes = (known: Stamp, row: Stamp): boolean => {
  const knownIsLook = known.xid.includes(":")
  const rowIsLook = row.xid.includes(":")
  if (rowIsLook && !knownIsLook) return visible(row.xid, known.xid)
  if (knownIsLook && !rowIsLook) return !visible(known.xid, row.xid)
  return row.rowId > known.rowId
}

export class LookState {
  readonly tables = new Map<number, KnownTable>()
  readonly schemas = new Map<number, Stamp & { readonly name: string }>()
  /** Tables with an id that was given in a row. */
  readonly withId = new Set<number>()
  /** Dropped, with the stamp of the row that said so. */
  readonly gone = new Map<number, Stamp>()
  readonly goneSchemas = new Map<number, Stamp>()
  /** A look has said which schemas were there. */
  baselined = false
  #applied = new Set<number>()

  /** Rows that were applied before are passed over. */
  apply(row: LookRow): void {
    if (this.#applied.has(row.id)) return
    this.#applied.add(row.id)
    const stamp = { rowId: row.id, xid: row.xid }
    for (const [oid, name, tag] of row.schemas) {
      if (tag === "LOOK") this.baselined = true
      if (oid !== null) this.schemas.set(Number(oid), { ...stamp, name })
    }
    for (const oid of row.newIds) this.withId.add(Number(oid))
    for (const table of row.tables) this.#table(row, table, stamp)
    for (const [kind, oid] of row.dropped) {
      if (kind === "schema") {
        this.schemas.delete(Number(oid))
        this.goneSchemas.set(Number(oid), stamp)
      }
      if (kind !== "table") continue
      this.tables.delete(Number(oid))
      this.withId.delete(Number(oid))
      this.gone.set(Number(oid), stamp)
    }
  }

  #table(row: LookRow, table: LookRowTable, stamp: Stamp): void {
    const oid = Number(table.oid)
    const known = this.tables.get(oid)
    const newer = known ?? this.gone.get(oid)
    if (newer !== undefined && !supersedes(newer, stamp)) return
    this.gone.delete(oid)
    const sure = !table.unsure && row.readCommitted
    this.tables.set(oid, {
      ...stamp,
      md5: table.md5,
      sure,
      shapeRowId: table.unsure ? known?.shapeRowId : row.id,
      schema: table.unsure ? known?.schema ?? "" : table.schema,
      name: table.unsure ? known?.name ?? "" : table.name,
      fullWas: this.#owner(row.madeFull[table.oid], table, known?.fullWas),
      signature: undefined
    })
  }

  #owner(made: FullWas | undefined, table: LookRowTable, before: KnownTable["fullWas"]): KnownTable["fullWas"] {
    if (made !== undefined) return made
    if (table.unsure) return before
    if (table.replident !== "f") return null
    return table.fullOurs === undefined ? before : table.fullOurs
  }

  /** A reader of the rows has missed some: the next look says again how each table is. */
  distrust(): void {
    for (const [oid, known] of this.tables) this.tables.set(oid, { ...known, sure: false, again: true, signature: undefined })
  }

  confirm(oid: number, signature: string): void {
    const known = this.tables.get(oid)
    if (known !== undefined) this.tables.set(oid, { ...known, signature })
  }

  /** Rows up to `id` are complete: they will not be handed in again. */
  forget(id: number): void {
    for (const applied of this.#applied) if (applied <= id) this.#applied.delete(applied)
    for (const gone of [this.gone, this.goneSchemas]) {
      for (const [oid, stamp] of gone) if (stamp.rowId <= id) gone.delete(oid)
    }
  }
}

/** The part of a shape that golden's entries show, apart from what they do not log (comments, renamed types). */
export const entryPart = (shape: unknown): string => {
  if (typeof shape !== "object" || shape === null) return ""
  const { columns, indexes, name, schema_oid } = shape as Record<string, unknown>
  const all = Array.isArray(columns) ? columns as ReadonlyArray<ReadonlyArray<unknown>> : []
  const keys = Array.isArray(indexes) ? indexes as ReadonlyArray<ReadonlyArray<unknown>> : []
  const logged = all.map((c) => c.filter((_, n) => n !== 4 && n !== 9))
  return JSON.stringify([name, schema_oid, logged, keys.find((i) => i[0] === true)?.[5]])
}
