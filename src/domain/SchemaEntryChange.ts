/**
 * A schema event as a change of the stream: an insert on `pgstream.table_ids` or `pgstream.schema_log`, made
 * from a row of `pgstream.ddl` at that row's place.
 */
import type { Change, Column, CopyOrigin, EventMetadata, Relation, Row, Transaction } from "./Change.ts"
import { NULL, ValueClass } from "./Change.ts"
import type { Lsn } from "./Lsn.ts"
import type { SchemaEvent } from "./Shapes.ts"

const column = (name: string, typeOid: number, typeName: string, valueClass: ValueClass): Column =>
  ({ name, typeOid, typmod: -1, typeName, valueClass, key: name === "id" })

const relation = (table: string, columns: ReadonlyArray<Column>): Relation =>
  ({ oid: 0, schema: "pgstream", table, replicaIdentity: "d", columns })

/** The domain's oid differs from database to database: its name is all there is to know. */
const id = column("id", 0, "pgstream.xid", ValueClass.text)

export const tableIds: Relation = relation("table_ids", [id, column("oid", 20, "bigint", ValueClass.number)])

export const schemaLog: Relation = relation("schema_log", [
  id,
  column("version", 20, "bigint", ValueClass.number),
  column("schema_name", 25, "text", ValueClass.text),
  column("schema", 3802, "jsonb", ValueClass.text),
  column("created_at", 1114, "timestamp without time zone", ValueClass.text),
  column("acked", 16, "boolean", ValueClass.boolean)
])

const rowOf = (columns: ReadonlyArray<Column>, values: ReadonlyArray<string | null>): Row => {
  const spans = new Int32Array(columns.length * 2)
  const parts: Array<Buffer> = []
  let at = 0
  values.forEach((value, i) => {
    if (value === null) {
      spans[2 * i] = NULL
      return
    }
    const bytes = Buffer.from(value, "utf8")
    parts.push(bytes)
    spans[2 * i] = at
    at += bytes.length
    spans[2 * i + 1] = at
  })
  return { columns, bytes: Buffer.concat(parts, at), spans }
}

const valuesOf = (event: SchemaEvent): ReadonlyArray<string> => {
  if (event._tag === "TableId") return [event.id, String(event.oid)]
  const { createdAt, id, json, schema, version } = event.entry
  return [id, String(version), schema, json, createdAt, "f"]
}

/** Bytes that a schema event counts for beside its JSON. */
const OVERHEAD_BYTES = 256

export class SchemaChange implements Change {
  readonly _tag = "Change"
  readonly kind = "I"
  readonly oldKind = ""
  readonly message = undefined
  readonly transaction: Transaction
  readonly ordinal: number
  readonly sub: number
  readonly lsn: Lsn
  readonly relation: Relation
  readonly byteLength: number
  shape: undefined = undefined
  metadata: EventMetadata | undefined = undefined
  affects: ReadonlyArray<number> | undefined
  readonly copy?: CopyOrigin
  readonly #event: SchemaEvent
  #row: Row | undefined = undefined

  /** `copy`: the entry is there already, and goes only to who asked. */
  constructor(event: SchemaEvent, copy?: CopyOrigin) {
    if (copy !== undefined) this.copy = copy
    this.#event = event
    this.transaction = event.place.transaction
    this.ordinal = event.place.ordinal
    this.sub = event.sub
    this.lsn = event.place.lsn + event.sub
    this.relation = event._tag === "TableId" ? tableIds : schemaLog
    this.byteLength = OVERHEAD_BYTES + (event._tag === "Entry" ? event.entry.json.length : 0)
    this.affects = event.affects
  }

  newRow(): Row {
    this.#row ??= rowOf(this.relation.columns, valuesOf(this.#event))
    return this.#row
  }

  oldRow(): undefined {
    return undefined
  }
}
