/**
 * Payloads in a form that two runs can be compared in. What differs from run to run becomes a token: `\uE000`, a letter
 * (L lsn · X id · O oid · V version), its text, `\uE001`. Golden's normaliser (normalise.mjs) writes `L1`, `X1`, `O1` in
 * these places; ours hold what was really sent. Times are `T` on both sides.
 */
export interface DataColumn {
  readonly id: string
  readonly name: string
  readonly type: string
  readonly value: unknown
}

/** The `Data` of a payload, key order as sent. */
export interface Data {
  readonly action: string
  readonly timestamp: string
  readonly lsn: string
  readonly schema: string
  readonly table: string
  readonly columns: ReadonlyArray<DataColumn> | null
  readonly identity: ReadonlyArray<DataColumn> | null
  readonly metadata: {
    readonly schema_id: string | null
    readonly table_pgstream_id: string
    readonly id_col_pgstream_id: ReadonlyArray<string> | null
    readonly version_col_pgstream_id: string
  }
  readonly prefix?: string
  readonly content?: string
  readonly content_base64?: string
}

/** A table as an entry of the schema log has it. */
export interface EntryTable {
  readonly oid: string
  readonly name: string
  readonly columns: ReadonlyArray<EntryColumn>
  readonly pgstream_id: string
  readonly primary_key_columns: ReadonlyArray<string>
}
export interface EntryColumn {
  readonly name: string
  readonly unique: boolean
  readonly generated: boolean
  readonly pgstream_id: string
}
export interface Entry {
  readonly tables: ReadonlyArray<EntryTable> | null
  readonly dropped?: boolean
}

export const isOwn = (data: Data): boolean => data.schema === "pgstream"
export const isEntry = (data: Data): boolean => isOwn(data) && data.table === "schema_log" && data.action === "I"
export const valueOf = (data: Data, column: string): unknown => data.columns?.find((c) => c.name === column)?.value
/** The entry that an event of `pgstream.schema_log` carries. */
export const entryOf = (data: Data): Entry => valueOf(data, "schema") as Entry
export const withValue = (data: Data, column: string, value: unknown): Data => ({
  ...data, columns: data.columns?.map((c) => c.name === column ? { ...c, value } : c) ?? null
})

type Kind = "L" | "X" | "O" | "V"
const token = (kind: Kind, text: string) => `\uE000${kind}${text}\uE001`

/** How to tell an id, and what stands for it. */
interface Reader {
  readonly id: (text: string) => string
  readonly lsn: (text: string) => string
}

const golden: Reader = {
  id: (text) => text.replace(/^X\d+(?=-\d+$|$)/, (name) => token("X", name)),
  lsn: (text) => text.replace(/^L\d+$/, (name) => token("L", name))
}

const ours: Reader = {
  id: (text) => /^[0-9a-v]{20}(-\d+)?$/.test(text) && /\d/.test(text) && /[a-v]/.test(text)
    ? token("X", text.slice(0, 20)) + text.slice(20)
    : text,
  lsn: (text) => text === "0/0" ? text : token("L", text)
}

const attnum = (column: EntryColumn) => Number(column.pgstream_id.split("-").at(-1))

/** Lists in one order, as normalise.mjs has them. */
const entry = (value: unknown, reader: Reader): unknown => {
  let parsed: { tables?: ReadonlyArray<EntryTable> | null }
  try {
    parsed = typeof value === "string" ? JSON.parse(value) as typeof parsed : value as typeof parsed
  } catch {
    return value
  }
  if (typeof parsed !== "object" || parsed === null || !Array.isArray(parsed.tables)) return parsed
  const tables = (parsed.tables as ReadonlyArray<EntryTable>).map((table) => ({
    ...table,
    oid: token("O", String(table.oid)),
    columns: [...table.columns].sort((a, b) => attnum(a) - attnum(b))
      .map((column) => ({ ...column, pgstream_id: reader.id(column.pgstream_id) })),
    pgstream_id: reader.id(table.pgstream_id),
    primary_key_columns: [...table.primary_key_columns].sort()
  }))
  return { ...parsed, tables: tables.sort((a, b) => (a.name < b.name ? -1 : 1)) }
}

const ownValue = (column: DataColumn, reader: Reader): unknown => {
  if (column.value === null) return null
  if (column.name === "schema") return entry(column.value, reader)
  if (column.name === "created_at") return "T"
  if (column.name === "oid") return token("O", String(column.value))
  if (column.name === "version") return token("V", String(column.value))
  return typeof column.value === "string" ? reader.id(column.value) : column.value
}

const columnsOf = (data: Data, columns: ReadonlyArray<DataColumn> | null, reader: Reader) =>
  columns?.map((column) => ({
    ...column,
    id: reader.id(column.id),
    value: isOwn(data) ? ownValue(column, reader) : column.value
  })) ?? null

const read = (data: Data, reader: Reader): Data => ({
  ...data,
  timestamp: data.timestamp === "" ? "" : "T",
  lsn: reader.lsn(data.lsn),
  columns: columnsOf(data, data.columns, reader),
  identity: columnsOf(data, data.identity, reader),
  metadata: {
    ...data.metadata,
    schema_id: data.metadata.schema_id === null ? null : reader.id(data.metadata.schema_id),
    table_pgstream_id: reader.id(data.metadata.table_pgstream_id),
    id_col_pgstream_id: data.metadata.id_col_pgstream_id?.map(reader.id).sort() ?? null
  }
})

/** A line of `payloads/*.norm.txt`. */
export const ofGolden = (line: string): Data => read((JSON.parse(line) as { Data: Data }).Data, golden)

/** The body of a request, as it was sent. */
export const ofBody = (body: string): Data => read((JSON.parse(body) as { Data: Data }).Data, ours)

const TOKEN = /\uE000([LXOV])(.*?)\uE001/g

/** The event as text, each token as its letter: equal for two events that may be the same. */
export const pattern = (data: Data): string => JSON.stringify(data).replace(TOKEN, "<$1>")

/** The tokens of an event, in order. */
export const tokens = (data: Data): ReadonlyArray<{ readonly kind: Kind; readonly text: string }> =>
  [...JSON.stringify(data).matchAll(TOKEN)].map((match) => ({ kind: match[1] as Kind, text: match[2]! }))

/** For people. */
export const readable = (data: Data): string => JSON.stringify(data).replace(TOKEN, "$2")

/** The text inside a token, or the whole text. */
export const plain = (text: string): string => text.replace(/^\uE000[LXOV](.*)\uE001/, "$1")
export const version = (data: Data): number => Number(plain(String(valueOf(data, "version"))))
export const withVersion = (data: Data, n: number): Data => withValue(data, "version", token("V", String(n)))
