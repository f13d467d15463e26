/** Differences that are meant in the events of `pgstream.schema_log` and `pgstream.table_ids`, and in ids. */
import type { Facts, Shape } from "./Facts.ts"
import { entryOf, type EntryTable, isEntry, isOwn, type Data, valueOf, version, withValue, withVersion } from "./Payload.ts"
import type { Context, Rule, Sides } from "./Rule.ts"

/** Golden's entries, table by table. */
const tableByTable = (
  expected: ReadonlyArray<Data>, change: (schema: string, table: EntryTable) => EntryTable
): ReadonlyArray<Data> => {
  let changed = false
  const next = expected.map((data) => {
    const entry = isEntry(data) ? entryOf(data) : undefined
    if (entry === undefined || entry.tables === null) return data
    const schema = String(valueOf(data, "schema_name"))
    const tables = entry.tables.map((table) => change(schema, table))
    if (tables.every((table, i) => table === entry.tables![i])) return data
    changed = true
    return withValue(data, "schema", { ...entry, tables })
  })
  return changed ? next : expected
}

const shapesOf = (facts: Facts, schema: string, table: string) =>
  facts.shapes.filter((shape) => shape.schema === schema && shape.name === table)
const namesOf = (shape: Shape, attnums: ReadonlyArray<number>) =>
  attnums.map((attnum) => shape.columns.find((column) => column.attnum === attnum)?.name ?? "").sort()
const same = (a: ReadonlyArray<unknown>, b: ReadonlyArray<unknown>) => JSON.stringify(a) === JSON.stringify(b)

/** Attnum of a column id, `<id>-<attnum>`. */
const attnumOf = (id: string) => Number(id.split("-").at(-1))
const idAt = (ids: ReadonlyArray<string>, attnum: number) => ids[0]!.replace(/-\d+$/, `-${attnum}`)
const withIds = (data: Data, ids: ReadonlyArray<string> | null): Data =>
  ({ ...data, metadata: { ...data.metadata, id_col_pgstream_id: ids } })

/** Golden's events, with the ids of their identity columns as `ids` has them for a shape of their table. */
const withIdentity = (
  context: Context,
  expected: ReadonlyArray<Data>,
  change: (shape: Shape, ids: ReadonlyArray<string>) => ReadonlyArray<string> | null
): ReadonlyArray<Data> => {
  let changed = false
  const next = expected.map((data) => {
    const ids = data.metadata.id_col_pgstream_id
    if (ids === null || ids.length === 0) return data
    for (const shape of shapesOf(context.facts, data.schema, data.table)) {
      const to = change(shape, ids)
      if (to === ids) continue
      changed = true
      return withIds(data, to)
    }
    return data
  })
  return changed ? next : expected
}

const includeColumns = (context: Context): Sides => {
  const { facts, got } = context
  const keyOf = (shape: Shape) => shape.indexes.find((index) => index.primary && index.included.length > 0)
  const entries = tableByTable(context.expected, (schema, table) => {
    for (const shape of shapesOf(facts, schema, table.name)) {
      const key = keyOf(shape)
      if (key === undefined) continue
      if (!same(namesOf(shape, [...key.key, ...key.included]), table.primary_key_columns)) continue
      return { ...table, primary_key_columns: namesOf(shape, key.key) }
    }
    return table
  })
  const expected = withIdentity(context, entries, (shape, ids) => {
    const key = keyOf(shape)
    if (key === undefined || !same([...key.key, ...key.included].toSorted(), ids.map(attnumOf).sort())) return ids
    return key.key.map((attnum) => idAt(ids, attnum)).sort()
  })
  return { expected, got }
}

/** A unique index that does not tell all rows apart stands on this column alone, and none that does. */
const isPartial = (shape: Shape, attnum: number): boolean => {
  const alone = shape.indexes.filter((index) => index.included.length === 0 && same(index.key, [attnum]))
  return alone.length > 0 && !alone.some((index) => index.plainUnique)
}

const partialIndexes = (context: Context): Sides => {
  const { facts, got } = context
  const entries = tableByTable(context.expected, (schema, table) => {
    const shapes = shapesOf(facts, schema, table.name)
    const columns = table.columns.map((column) =>
      column.unique && shapes.some((shape) => isPartial(shape, attnumOf(column.pgstream_id))) &&
        !shapes.some((shape) => shape.indexes.some((i) => i.plainUnique && same(i.key, [attnumOf(column.pgstream_id)])))
        ? { ...column, unique: false }
        : column)
    return columns.every((column, i) => column === table.columns[i]) ? table : { ...table, columns }
  })
  const expected = withIdentity(context, entries, (shape, ids) => {
    if (ids.length !== 1 || !isPartial(shape, attnumOf(ids[0]!))) return ids
    const next = shape.columns.find((column) =>
      column.notNull && shape.indexes.some((index) => index.plainUnique && same(index.key, [column.attnum])))
    return next === undefined ? null : [idAt(ids, next.attnum)]
  })
  return { expected, got }
}

const schemaName = (data: Data) => String(valueOf(data, "schema_name"))

/** Golden's entries, each schema's versions counted from 1 without a gap. */
const recounted = (expected: ReadonlyArray<Data>): ReadonlyArray<Data> => {
  const versions = new Map<string, number>()
  return expected.map((data) => {
    if (!isEntry(data)) return data
    const next = (versions.get(schemaName(data)) ?? 0) + 1
    versions.set(schemaName(data), next)
    return version(data) === next ? data : withVersion(data, next)
  })
}

const bareNames = ({ expected, got }: Context): Sides => {
  const isQuoted = (data: Data) => isEntry(data) && schemaName(data).startsWith(`"`)
  if (!expected.some(isQuoted)) return { expected, got }
  const bare = (name: string) => name.slice(1, -1).replaceAll(`""`, `"`)
  return {
    got,
    expected: recounted(expected.map((data) =>
      isQuoted(data) ? withValue(data, "schema_name", bare(schemaName(data))) : data))
  }
}

const refreshCounts = ({ expected, facts, got }: Context): Sides => {
  if (facts.refreshed.size === 0) return { expected, got }
  const next = recounted(expected)
  return { expected: next.every((data, i) => data === expected[i]) ? expected : next, got }
}

const isNewId = (data: Data) => isOwn(data) && data.table === "table_ids" && data.action === "I"

/** Ids that one statement announces, in the order of the tables of the entry behind them. */
const inOrderOfEntry = (events: ReadonlyArray<Data>): ReadonlyArray<Data> => {
  const next = [...events]
  for (let end = 0; end < next.length; end++) {
    if (!isEntry(next[end]!)) continue
    let start = end
    while (start > 0 && isNewId(next[start - 1]!)) start--
    const order = (entryOf(next[end]!).tables ?? []).map((table) => table.pgstream_id)
    const place = (data: Data) => order.indexOf(String(valueOf(data, "id")))
    const sorted = next.slice(start, end).sort((a, b) => place(a) - place(b))
    next.splice(start, sorted.length, ...sorted)
  }
  return next.every((data, i) => data === events[i]) ? events : next
}

export const schemaLogRules: ReadonlyArray<Rule> = [
  {
    id: "ids-come-in-order",
    injector: "off",
    reason: "The rows of `table_ids` that one statement makes came in any order, not the same in each run. They come in the " +
      "order of their tables' creation.",
    rewrites: ({ expected, got }) => ({ expected: inOrderOfEntry(expected), got: inOrderOfEntry(got) })
  },
  {
    id: "no-own-updates-or-deletes",
    injector: "off",
    reason: "The system before updates (`acked`) and purges `schema_log` and `table_ids` in the source, and sends that. Ours " +
      "are written from the stream: what they announce is an event, U and D are not.",
    explains: ({ expected, got }) =>
      expected !== undefined && got === undefined && isOwn(expected) &&
      (expected.table === "schema_log" || expected.table === "table_ids") && expected.action !== "I"
  },
  {
    id: "no-temporary-schemas",
    reason: "A temporary table made an entry of the schema `pg_temp` with no tables, which told nobody anything: it makes none.",
    explains: ({ expected, got }) =>
      expected !== undefined && got === undefined && isEntry(expected) && valueOf(expected, "schema_name") === "pg_temp"
  },
  {
    id: "names-are-never-quoted",
    reason: "CREATE SCHEMA wrote the quoted name into the log, its tables the bare one, so a schema had two histories. It has " +
      "one, under the bare name, and its versions go on.",
    rewrites: bareNames
  },
  {
    id: "include-columns-are-no-key",
    reason: "INCLUDE columns of a primary key's index are not part of the key: they are not in `primary_key_columns` and not " +
      "in `id_col_pgstream_id`.",
    rewrites: includeColumns
  },
  {
    id: "partial-unique-is-not-unique",
    reason: "A unique index with a WHERE does not tell all rows apart: its column is not `unique`, and not an event's identity.",
    rewrites: partialIndexes
  },
  {
    id: "each-schema-of-a-drop-is-logged",
    reason: "One DROP of tables or schemas in several schemas logged only the first schema. Each has its entry.",
    addsEntry: (entry, { facts }) => facts.droppedTogether.some((schemas) => schemas.has(schemaName(entry)))
  },
  {
    id: "refresh-counts-on",
    reason: "`refresh_schema` numbered its entry by the number of entries that were left. After a DROP SCHEMA that is a " +
      "lower version, or one that is there: then the call failed. It takes the next version, and does not fail.",
    rewrites: refreshCounts,
    addsEntry: (entry, { facts }) => facts.refreshed.has(schemaName(entry))
  },
  {
    id: "schema-pgstream-is-ours",
    injector: "off",
    reason: "Rows of other tables in the schema `pgstream` (subscriptions with the URLs of others, snapshot requests, tables " +
      "that somebody put there) went to every subscriber, unless the injector was on. They are no events.",
    explains: ({ expected, got }) =>
      expected !== undefined && got === undefined && isOwn(expected) &&
      expected.table !== "schema_log" && expected.table !== "table_ids"
  }
]
