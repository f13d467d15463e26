/**
 * One range in one transaction: lock, snapshot, rows, high mark, end.
 *
 * The lock comes first: a snapshot that is older than a rewrite of the table sees no rows in it (FACTS.md). The high mark
 * belongs to the transaction, so its place in the WAL is before any DDL that waits for the lock; and if the connection is
 * lost on the way, it never comes.
 */
import * as Effect from "effect/Effect"
import type { Column, Relation } from "../../../domain/Change.ts"
import * as CopyKey from "../../../domain/copy/CopyKey.ts"
import * as SnapshotText from "../../../domain/copy/SnapshotText.ts"
import * as TypeName from "../../../domain/TypeName.ts"
import { type ReadOutcome, type ReadRequest, TableReaderError } from "../../../services/TableReader.ts"
import type * as Session from "../replication/Session.ts"
import { query } from "./Connections.ts"
import { RowBuffer } from "./RowBuffer.ts"
import * as Statements from "./Statements.ts"

/** What the plugin of the slot hands out. */
export interface PluginTraits {
  readonly plugin: "pgoutput" | "wal2json"
  readonly messages: boolean
  /** Values of stored generated columns are in its rows. */
  readonly generated: boolean
}

/** Rows of one FETCH: few while rows may be large, then as many as the rest of the range's bytes hold. */
const FIRST_FETCH = 64
const MAX_FETCH = 2_048
/** Reading a range ends early after this, ms: a third of a statement's limit. */
const ENOUGH_MS = 10_000

type ColumnJson = readonly [name: string, typeOid: number, typmod: number, type: string, bare: string, generated: string, key: boolean]

interface Described {
  readonly snapshot: SnapshotText.SnapshotText
  readonly filenode: number
  readonly relation: Relation
  readonly types: ReadonlyMap<string, string>
}

/** Relations that were handed out, by table: the same object as long as a table has the same columns. */
export type KnownRelations = Map<number, { readonly source: string; readonly relation: Relation }>

const MAX_RELATIONS = 65_536

const relationOf = (row: Session.Row, oid: number, traits: PluginTraits, known: KnownRelations): Relation => {
  const source = `${row["schema"]}\n${row["name"]}\n${row["identity"]}\n${row["columns"]}`
  const before = known.get(oid)
  if (before?.source === source) return before.relation
  const full = row["identity"] === "f"
  const columns = (JSON.parse(row["columns"] ?? "[]") as ReadonlyArray<ColumnJson>)
    .filter(([, , , , , generated]) => generated === "" || (generated === "s" && traits.generated))
    .map(([name, typeOid, typmod, type, , , key]): Column => ({
      name, typeOid, typmod,
      typeName: TypeName.unquoted(type),
      valueClass: TypeName.valueClassOf(typeOid),
      key: key || full
    }))
  const relation: Relation = {
    oid, columns,
    schema: row["schema"] ?? "",
    table: row["name"] ?? "",
    replicaIdentity: (row["identity"] ?? "d") as Relation["replicaIdentity"]
  }
  if (known.size >= MAX_RELATIONS) known.clear()
  known.set(oid, { source, relation })
  return relation
}

const describedBy = (
  row: Session.Row | undefined, request: ReadRequest, traits: PluginTraits, known: KnownRelations
): Described | undefined => {
  const snapshot = SnapshotText.parse(row?.["snapshot"] ?? "")
  const { oid, schema, table } = request.table
  if (row === undefined || snapshot === undefined || row["schema"] !== schema || row["name"] !== table) return undefined
  const columns = JSON.parse(row["columns"] ?? "[]") as ReadonlyArray<ColumnJson>
  return {
    snapshot,
    filenode: Number(row["filenode"]),
    relation: relationOf(row, oid, traits, known),
    types: new Map(columns.map(([name, , , , bare]) => [name, bare]))
  }
}

const begin = (traits: PluginTraits): string =>
  `BEGIN ISOLATION LEVEL REPEATABLE READ${traits.messages ? " READ ONLY" : ""}`

const started = (request: ReadRequest, traits: PluginTraits): string => {
  const lock = `LOCK TABLE ONLY ${Statements.qualified(request.table)} IN ACCESS SHARE MODE`
  const describe = Statements.describe(request.table.oid)
  return `${begin(traits)}; ${request.lockFirst ? `${lock}; ${describe}` : `${describe}; ${lock}`}`
}

/** Reads until the range, the bytes, the rows or the time is used up. `true`: all of the range was read. */
const fetchAll = Effect.fnUntraced(function*(session: Session.Session, request: ReadRequest, buffer: RowBuffer, sql: string) {
  const begunMs = performance.now()
  yield* query(session, `DECLARE copy NO SCROLL CURSOR FOR ${sql}`)
  for (let rows = Math.min(FIRST_FETCH, request.expectedRows); ;) {
    const asked = Math.min(rows, request.maxRows - buffer.count)
    const before = buffer.count
    yield* query(session, `FETCH FORWARD ${asked} FROM copy`, buffer.add)
    if (buffer.full) return false
    if (buffer.count - before < asked) return true
    if (buffer.bytes >= request.maxBytes || buffer.count >= request.maxRows) return false
    if (performance.now() - begunMs > ENOUGH_MS) return false
    const average = Math.max(1, buffer.bytes / buffer.count)
    rows = Math.max(1, Math.min(MAX_FETCH, rows * 4, Math.ceil((request.maxBytes - buffer.bytes) / average)))
  }
})

/** What the locked table is in the snapshot. `undefined`: it has not this name, or not this key. */
const descriptionOf = (row: Session.Row | undefined, request: ReadRequest, traits: PluginTraits, known: KnownRelations): Described | undefined => {
  const described = describedBy(row, request, traits, known)
  const has = (name: string) => described?.relation.columns.some((column) => column.name === name)
  return request.key.every(has) ? described : undefined
}

/** Reads the range in the transaction that is open, and calls `ready`. */
const readRange = Effect.fnUntraced(function*(
  session: Session.Session, request: ReadRequest, { filenode, relation, types }: Described, traits: PluginTraits, maxRowBytes: number
) {
  const key = request.key.map((name) => ({ name, type: types.get(name)! }))
  const buffer = new RowBuffer(relation.columns, key.length === 0, traits.plugin === "wal2json", maxRowBytes, request.maxBytes)
  const columns = relation.columns.map(({ name }) => name)
  const whole = yield* fetchAll(session, request, buffer, Statements.selectRows(request.table, key, columns, request))
  const lastRow = buffer.rows.at(-1)?.row
  const last = key.length === 0 ? [buffer.lastPointer] : lastRow && CopyKey.valuesIn(request.key, lastRow, undefined)
  if (!whole && last === undefined) {
    return yield* new TableReaderError({ kind: "refused", summary: "its rows are larger than the limit of one" })
  }
  request.ready({
    relation,
    filenode,
    rows: buffer.rows,
    bytes: buffer.bytes,
    last: whole ? undefined : last,
    tooLarge: buffer.tooLarge
  })
})

/** In a transaction that is open, has its snapshot and holds the table's lock; leaves the cursor `copy`. */
export const readWithin = Effect.fnUntraced(function*(
  session: Session.Session, request: ReadRequest, traits: PluginTraits, known: KnownRelations, maxRowBytes: number
) {
  const [row] = yield* query(session, Statements.describe(request.table.oid))
  const described = descriptionOf(row, request, traits, known)
  if (described === undefined) return "moved" as ReadOutcome
  yield* readRange(session, request, described, traits, maxRowBytes)
  return "read" as ReadOutcome
})

export const read = Effect.fnUntraced(function*(
  session: Session.Session, request: ReadRequest, traits: PluginTraits, known: KnownRelations, maxRowBytes: number
) {
  const found = yield* query(session, started(request, traits))
  const described = descriptionOf(found[0], request, traits, known)
  const end = (outcome: ReadOutcome) => Effect.as(query(session, "ROLLBACK"), outcome)
  if (described === undefined) return yield* end("moved")
  if (!request.isNewEnough(described.snapshot)) return yield* end("old")
  yield* readRange(session, request, described, traits, maxRowBytes)
  yield* query(session, `${Statements.writeMark(traits.messages, request.highMark)}; COMMIT`)
  return "read" as ReadOutcome
})
