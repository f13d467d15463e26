/** Rows of `pgstream.ddl` that the triggers wrote on a real server (test/unit/domain/ddl-rows.json), as changes. */
import { type Change, type Column, NULL, type Relation, type Transaction, ValueClass } from "../../src/domain/Change.ts"
import * as EventId from "../../src/domain/EventId.ts"
import captured from "../unit/domain/ddl-rows.json" with { type: "json" }

export type DdlValues = Readonly<Record<string, string | null>>

const names = ["id", "entry_id", "at", "xid", "tag", "isolation", "skip", "schemas", "types", "dropped", "tables", "new_ids", "made_full"]
const column = (name: string): Column => ({ name, typeOid: 25, typmod: -1, typeName: "text", valueClass: ValueClass.text, key: name === "id" })
const ddl: Relation = { oid: 4711, schema: "pgstream", table: "ddl", replicaIdentity: "d", columns: names.map(column) }

/** Values of the rows that one step of the capture wrote. */
export const rowsOf = (step: keyof typeof captured): ReadonlyArray<DdlValues> => captured[step]

export const steps = Object.keys(captured) as ReadonlyArray<keyof typeof captured>

export const transaction = (n: number): Transaction => ({
  commitLsn: 1000 * n,
  commitTimeUs: n,
  timestamp: "2026-11-24 00:12:21.22944+00",
  xid: n,
  idPrefix: EventId.prefixOf(1000 * n, n)
})

/** A change with these text values; `null` and what is missing are NULL. */
export const changeOf = (
  relation: Relation,
  values: DdlValues,
  at: { readonly transaction: Transaction; readonly ordinal: number },
  kind: Change["kind"] = "I"
): Change => {
  const spans = new Int32Array(relation.columns.length * 2)
  const parts: Array<Buffer> = []
  let size = 0
  relation.columns.forEach((c, i) => {
    const value = values[c.name] ?? null
    spans[2 * i] = value === null ? NULL : size
    if (value === null) return
    const bytes = Buffer.from(value)
    parts.push(bytes)
    size += bytes.length
    spans[2 * i + 1] = size
  })
  const row = { columns: relation.columns, bytes: Buffer.concat(parts), spans }
  return {
    _tag: "Change", kind, transaction: at.transaction, ordinal: at.ordinal, sub: -1, lsn: 1000 * at.transaction.xid + 10 * at.ordinal,
    relation, oldKind: "", newRow: () => row, oldRow: () => undefined, message: undefined, byteLength: size,
    shape: undefined, metadata: undefined, affects: undefined
  }
}

export const ddlChange = (values: DdlValues, at: { readonly transaction: Transaction; readonly ordinal: number }): Change =>
  changeOf(ddl, values, at)
