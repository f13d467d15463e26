/**
 * A row of `pgstream.ddl`: what one statement changed of the tables, written by the event triggers, by a look
 * at the catalog, or by `refresh_schema`. Read from the stream by column name; unknown columns and keys are
 * passed over.
 *
 * Source of the form: the head of `migrations/source/0003_ddl.ts`.
 */
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import type { Change, Row } from "./Change.ts"
import type { ShapeColumn, ShapeIndex, TableShape } from "./TableShape.ts"

/** `what` names the part that could not be read; never a value of a row of the user's. */
export class DdlError extends Schema.TaggedError<DdlError>()("DdlError", { what: Schema.String }) {
  override get message() {
    return `A row of pgstream.ddl cannot be read: ${this.what}.`
  }
}

/** `pg_current_snapshot()`: xids below `xmin`, and those below `xmax` that are not in `running`, are seen. */
export interface Snapshot {
  readonly xmin: number
  readonly xmax: number
  readonly running: ReadonlySet<number>
}

/** A table of the row. `shape` is absent where the trigger could not read it ("unsure"). */
export interface DdlTable {
  readonly oid: number
  readonly shape: TableShape | undefined
  /** Direct children (partitions or inheriting tables), where the shape says. */
  readonly children: ReadonlySet<number>
  /** Topmost partitioned parent, as the catalog had it. */
  readonly root: number
  /** The row says itself whether FULL is ours; otherwise what was known before holds. */
  readonly saysOwner: boolean
}

/** `kind`: `table` or `schema`; a schema's own `schema` is empty. */
export interface Dropped {
  readonly kind: string
  readonly oid: number
  readonly schema: string
  readonly name: string
}

export interface DdlRow {
  /** Of two rows of statements about one table, the one with the higher id is the newer. */
  readonly id: number
  /** Id of the schema-log entry that the row stands for. */
  readonly entryId: string
  /** Start of its transaction, as Postgres prints a `timestamptz`. */
  readonly at: string
  /** 64-bit xid of its transaction; `undefined` for a look. */
  readonly xid: number | undefined
  /** Set for a look at the catalog. */
  readonly snapshot: Snapshot | undefined
  readonly tag: string
  /** Read under READ COMMITTED: the shapes are the newest. */
  readonly readCommitted: boolean
  /** The system we replace would have been silent. */
  readonly skip: boolean
  /** Schemas created, renamed or asked for. */
  readonly schemas: ReadonlyArray<{ readonly oid: number; readonly name: string; readonly tag: string }>
  /** Renamed types: oid to the new name. */
  readonly types: ReadonlyMap<number, string>
  readonly dropped: ReadonlyArray<Dropped>
  readonly tables: ReadonlyArray<DdlTable>
  /** Ids of created tables. */
  readonly newIds: ReadonlyMap<number, string>
  /** Tables that the trigger gave REPLICA IDENTITY FULL after it read their shape, with what they had. */
  readonly madeFull: ReadonlyMap<number, "d" | "n" | "i">
}

export const isDdlRow = (change: Change): boolean =>
  change.relation !== undefined && change.relation.schema === "pgstream" && change.relation.table === "ddl"

type Json = string | number | boolean | null | ReadonlyArray<Json> | { readonly [key: string]: Json }

const fail = (what: string): never => {
  throw new DdlError({ what })
}

const object = (value: Json | undefined, what: string): { readonly [key: string]: Json } =>
  typeof value === "object" && value !== null && !Array.isArray(value)
    ? value as { readonly [key: string]: Json }
    : fail(`${what} is no object`)

const array = (value: Json | undefined, what: string): ReadonlyArray<Json> => {
  if (value === null || value === undefined) return []
  return Array.isArray(value) ? value as ReadonlyArray<Json> : fail(`${what} is no array`)
}

const text = (value: Json | undefined, what: string): string =>
  typeof value === "string" ? value : fail(`${what} is no text`)

const textOrNull = (value: Json | undefined): string | null => typeof value === "string" ? value : null

/** An oid, attnum or typmod, as a number or as text. */
const integer = (value: Json | undefined, what: string): number => {
  const number = typeof value === "string" && value !== "" ? Number(value) : value
  return typeof number === "number" && Number.isSafeInteger(number) ? number : fail(`${what} is no integer`)
}

const oneOf = <A extends string>(value: Json | undefined, allowed: ReadonlyArray<A>, what: string): A =>
  allowed.find((a) => a === value) ?? fail(`${what} is none of ${allowed.join(" ")}`)

const column = (value: Json): ShapeColumn => {
  const c = array(value, "a column")
  return {
    attnum: integer(c[0], "attnum"),
    name: text(c[1], "a column's name"),
    typeOid: integer(c[2], "a column's type oid"),
    typmod: integer(c[3], "a column's typmod"),
    type: text(c[4], "a column's type"),
    notNull: c[5] === true,
    default: textOrNull(c[6]),
    generated: c[7] === "s" || c[7] === "v",
    identity: c[8] === "a" || c[8] === "d" ? c[8] : "",
    comment: textOrNull(c[9])
  }
}

const index = (value: Json): ShapeIndex => {
  const i = array(value, "an index")
  const key = text(i[5], "an index's columns").split(" ").filter((n) => n !== "")
    .map((n) => integer(n, "an index's column"))
  return {
    primary: i[0] === true,
    replicaIdentity: i[1] === true,
    immediate: i[2] === true,
    plainUnique: i[3] === true,
    key: key.slice(0, integer(i[4], "an index's number of key columns"))
  }
}

const was = (value: Json | undefined): "d" | "n" | "i" | undefined =>
  value === "d" || value === "n" || value === "i" ? value : undefined

/** `undefined`: a relation that is no table (a view, an index, …), which has no shape. */
const table = (value: Json): DdlTable | undefined => {
  const t = object(value, "a table")
  const oid = integer(t["oid"], "a table's oid")
  if (t["unsure"] === true) return { oid, shape: undefined, children: new Set(), root: oid, saysOwner: false }
  if (t["kind"] !== "r" && t["kind"] !== "p") return undefined
  const root = t["root"] === undefined || t["root"] === null ? oid : integer(t["root"], "root")
  const replicaIdentity = oneOf(t["replident"], ["d", "n", "f", "i"], "replident")
  const shape: TableShape = {
    oid,
    schema: text(t["schema"], "a table's schema"),
    name: text(t["name"], "a table's name"),
    kind: t["kind"],
    persistence: t["persistence"] === "u" ? "u" : "p",
    replicaIdentity,
    fullIsOurs: replicaIdentity === "f" ? was(t["full_ours"]) : undefined,
    root,
    parents: array(t["parents"], "parents").map((p) => integer(p, "a parent")),
    columns: array(t["columns"], "columns").map(column),
    indexes: array(t["indexes"], "indexes").map(index),
    tableId: undefined,
    ...(t["schema_oid"] === undefined ? {} : { schemaOid: integer(t["schema_oid"], "schema_oid") })
  }
  const children = new Set(array(t["children"], "children").map((c) => integer(c, "a child")))
  return { oid, shape, children, root, saysOwner: "full_ours" in t }
}

/** Runs a reader that may fail anywhere inside; what it throws is only ever a `DdlError`. */
const total = <A>(read: () => A): Result.Result<A, DdlError> =>
  Result.try({
    try: read,
    catch: (error) => error instanceof DdlError ? error : new DdlError({ what: "its JSON is malformed" })
  })

/** The JSON of `pgstream.shape(oid)`, parsed, without an id. Fails for what is no table. */
export const parseShape = (json: unknown): Result.Result<TableShape, DdlError> =>
  total(() => table(json as Json)?.shape ?? fail("the shape of a table"))

/** `xmin:xmax:xip,xip,…` */
export const parseSnapshot = (snapshot: string): Result.Result<Snapshot, DdlError> =>
  total(() => {
    const [xmin, xmax, running = ""] = snapshot.split(":")
    const list = running.split(",").filter((x) => x !== "").map((x) => integer(x, "an xid"))
    return { xmin: integer(xmin, "xmin"), xmax: integer(xmax, "xmax"), running: new Set(list) }
  })

export const sees = (snapshot: Snapshot, xid: number): boolean =>
  xid < snapshot.xmin || (xid < snapshot.xmax && !snapshot.running.has(xid))

const values = (row: Row): ReadonlyMap<string, string> => {
  const found = new Map<string, string>()
  row.columns.forEach((c, i) => {
    const start = row.spans[2 * i]!
    if (start >= 0) found.set(c.name, row.bytes.toString("utf8", start, row.spans[2 * i + 1]!))
  })
  return found
}

const oidMap = <A>(
  value: Json | undefined,
  what: string,
  of: (v: Json) => A | undefined
): ReadonlyMap<number, A> => {
  const found = new Map<number, A>()
  if (value === null || value === undefined) return found
  for (const [oid, v] of Object.entries(object(value, what))) {
    const one = of(v)
    if (one !== undefined) found.set(integer(oid, what), one)
  }
  return found
}

/** An inserted row of `pgstream.ddl`. */
export const parse = (change: Change): Result.Result<DdlRow, DdlError> =>
  total(() => {
    const row = change.newRow() ?? fail("it has no new row")
    const of = values(row)
    const json = (name: string): Json | undefined => {
      const value = of.get(name)
      return value === undefined ? undefined : JSON.parse(value) as Json
    }
    const xid = of.get("xid") ?? fail("xid")
    const isLook = xid.includes(":")
    return {
      id: integer(of.get("id"), "id"),
      entryId: of.get("entry_id") ?? fail("entry_id"),
      at: of.get("at") ?? fail("at"),
      xid: isLook ? undefined : integer(xid, "xid"),
      snapshot: isLook ? Result.getOrThrow(parseSnapshot(xid)) : undefined,
      tag: of.get("tag") ?? fail("tag"),
      readCommitted: (of.get("isolation") ?? "read committed") === "read committed",
      skip: of.get("skip")?.startsWith("t") === true,
      schemas: array(json("schemas"), "schemas").map((value) => {
        const s = array(value, "a schema")
        const oid = s[0] === null ? 0 : integer(s[0], "a schema's oid")
        return { oid, name: text(s[1], "a schema's name"), tag: textOrNull(s[2]) ?? "" }
      }),
      types: oidMap(json("types"), "types", (v) => text(v, "a type's name")),
      dropped: array(json("dropped"), "dropped").map((value) => {
        const d = array(value, "a dropped object")
        return {
          kind: text(d[0], "its kind"),
          oid: integer(d[1], "its oid"),
          schema: textOrNull(d[2]) ?? "",
          name: text(d[3], "its name")
        }
      }),
      tables: array(json("tables"), "tables").map(table).filter((t) => t !== undefined),
      newIds: oidMap(json("new_ids"), "new_ids", (v) => text(v, "an id")),
      madeFull: oidMap(json("made_full"), "made_full", was)
    }
  })
