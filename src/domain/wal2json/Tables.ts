/** Tables as wal2json's records showed them: for each its layouts, newest first, and the Relation objects made of them. */
import type { Column, Relation } from "../Change.ts"
import { ownSchema, readTables } from "../Transactions.ts"
import * as JsonText from "./JsonText.ts"
import * as Layout from "./Layout.ts"

/** Layouts kept for a table: it has several while unchanged TOAST values leave columns out. */
const MAX_LAYOUTS = 16
/** Tables kept; all are forgotten, and learned again, when there are more. */
const MAX_TABLES = 10_000

export class Table {
  readonly schema: string
  readonly table: string
  /** A table of ours that nobody reads: counted, and dropped. */
  readonly dropped: boolean
  /** `"schema":"…","table":"…"` as the record has it. */
  readonly source: Buffer
  private readonly rows: Array<Layout.Layout> = []
  private readonly identities: Array<Layout.Layout> = []
  private readonly relations = new WeakMap<ReadonlyArray<Column>, Relation>()
  private readonly bare: Relation

  constructor(schema: string, table: string, source: Buffer) {
    this.schema = schema
    this.table = table
    this.source = source
    this.dropped = schema === ownSchema && !readTables.has(table)
    this.bare = { oid: 0, schema, table, replicaIdentity: "", columns: [] }
  }

  /** The relation of a row with these columns; without a row (D, T) the one that has no columns. */
  relation(columns: ReadonlyArray<Column> | undefined): Relation {
    if (columns === undefined) return this.bare
    let relation = this.relations.get(columns)
    if (relation === undefined) {
      relation = { oid: 0, schema: this.schema, table: this.table, replicaIdentity: "", columns }
      this.relations.set(columns, relation)
    }
    return relation
  }

  /** Splits the array at `start`. The offset behind it, or `-1`. */
  split(identity: boolean, bytes: Buffer, start: number, end: number, split: Layout.Split): number {
    const layouts = identity ? this.identities : this.rows
    for (let i = 0; i < layouts.length; i++) {
      const layout = layouts[i]!
      const behind = Layout.read(layout, bytes, start, end, split)
      if (behind < 0) continue
      if (i > 0) {
        layouts[i] = layouts[0]!
        layouts[0] = layout
      }
      return behind
    }
    const learned = Layout.learn(bytes, start, end)
    if (learned === undefined) return -1
    const behind = Layout.read(learned, bytes, start, end, split)
    if (behind < 0) return -1
    if (layouts.length >= MAX_LAYOUTS) layouts.pop()
    layouts.unshift(learned)
    return behind
  }
}

const same = (bytes: Buffer, from: number, to: number, source: Buffer): boolean => {
  if (to - from !== source.length) return false
  for (let i = to - from - 1; i >= 0; i--) if (bytes[from + i] !== source[i]) return false
  return true
}

export class Tables {
  private readonly tables = new Map<string, Table>()
  private last: Table | undefined = undefined

  /** `from … to`: the record's bytes from the schema's to the table's end. The four others: the two strings' texts. */
  find(
    bytes: Buffer, from: number, to: number, schemaFrom: number, schemaTo: number, tableFrom: number, tableTo: number
  ): Table {
    if (this.last !== undefined && same(bytes, from, to, this.last.source)) return this.last
    const key = bytes.toString("latin1", from, to)
    let table = this.tables.get(key)
    if (table === undefined) {
      if (this.tables.size >= MAX_TABLES) this.tables.clear()
      const source = Buffer.from(bytes.subarray(from, to))
      table = new Table(JsonText.text(bytes, schemaFrom, schemaTo), JsonText.text(bytes, tableFrom, tableTo), source)
      this.tables.set(key, table)
    }
    this.last = table
    return table
  }
}
