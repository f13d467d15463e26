/**
 * Where we differ from golden on purpose. docs/compatibility.md is made from this list (`npm run compatibility`).
 * Rules about what is read and sent; those about the schema log are in rulesOfSchemaLog.ts.
 */
import type { Difference } from "./Align.ts"
import type { Shape } from "./Facts.ts"
import { type Data, type DataColumn, entryOf, isEntry, isOwn, pattern, valueOf } from "./Payload.ts"
import type { Context, Rule } from "./Rule.ts"
import { schemaLogRules } from "./rulesOfSchemaLog.ts"

const onlyOurs = (difference: Difference): Data | undefined =>
  difference.expected === undefined ? difference.got : undefined
const onlyGoldens = (difference: Difference): Data | undefined =>
  difference.got === undefined ? difference.expected : undefined

const isShapeOf = (data: Data) => (shape: Shape): boolean => shape.schema === data.schema && shape.name === data.table

/** Does `identity` hold every column that the row was known to have? */
const isWholeRow = (data: Data, { facts, plugin }: Context): boolean => {
  const names = new Set(data.identity?.map((column) => column.name))
  if (data.columns !== null) return data.columns.every((column) => names.has(column.name))
  return facts.shapes.filter(isShapeOf(data)).some((shape) =>
    shape.columns.filter((c) => !(c.generated && plugin === "pgoutput")).every((c) => names.has(c.name)))
}

const isPoison = (data: Data): boolean =>
  [...data.columns ?? [], ...data.identity ?? []].some((column: DataColumn) =>
    column.value === Infinity || column.value === -Infinity ||
    (/^"[^"]*"\.|\."/.test(column.type) && !column.type.endsWith("[]")))

/** Columns that are generated where an event stands: as the last entry before it has them, else as they were made. */
const withoutGenerated = ({ expected, facts, got }: Context) => {
  const name = (schema: string, table: string, column: string) => JSON.stringify([schema, table, column])
  const generated = new Set<string>()
  for (const shape of facts.shapes.toReversed()) {
    for (const c of shape.columns) generated[c.generated ? "add" : "delete"](name(shape.schema, shape.name, c.name))
  }
  let changed = false
  const next = expected.map((data) => {
    if (isEntry(data)) {
      for (const table of entryOf(data).tables ?? []) {
        for (const c of table.columns) {
          generated[c.generated ? "add" : "delete"](name(String(valueOf(data, "schema_name")), table.name, c.name))
        }
      }
      return data
    }
    const sent = (column: DataColumn) => !generated.has(name(data.schema, data.table, column.name))
    if ([...data.columns ?? [], ...data.identity ?? []].every(sent)) return data
    changed = true
    return { ...data, columns: data.columns?.filter(sent) ?? null, identity: data.identity?.filter(sent) ?? null }
  })
  return { expected: changed ? next : expected, got }
}

const HOUR_MS = 3_600_000
const NOW = /^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d+(?:\+00)?$/

/** A column whose value is the time of the run, in ours; golden's is one too. */
const isTheMoment = (expected: DataColumn, got: DataColumn): boolean => {
  if (!got.type.startsWith("timestamp") || typeof expected.value !== "string" || typeof got.value !== "string") return false
  const atMs = Date.parse(`${got.value.replace(" ", "T").replace(/\+00$/, "")}Z`)
  return NOW.test(expected.value) && NOW.test(got.value) && Math.abs(Date.now() - atMs) < HOUR_MS
}

const withoutMoments = (data: Data, other: Data): Data => {
  const side = (name: "columns" | "identity") =>
    data[name]?.map((column, i) => {
      const [expected, got] = [data[name]?.[i], other[name]?.[i]]
      return expected !== undefined && got !== undefined && isTheMoment(expected, got) ? { ...column, value: got.value } : column
    }) ?? null
  return { ...data, columns: side("columns"), identity: side("identity") }
}

const payloadRules: ReadonlyArray<Rule> = [
  {
    id: "tables-without-a-key-are-delivered",
    injector: "on",
    reason: "With the injector on, the system before drops every event of a table that has neither a primary key nor a " +
      "column that is unique and not null. They are delivered; `id_col_pgstream_id` is null.",
    explains: (difference) => {
      const { id_col_pgstream_id, schema_id } = onlyOurs(difference)?.metadata ?? {}
      return typeof schema_id === "string" && id_col_pgstream_id === null
    }
  },
  {
    id: "rows-without-an-identity-are-delivered",
    reason: "The system before drops U and D of a table without a replica identity (no primary key, REPLICA IDENTITY " +
      "NOTHING, a dropped identity index). They are delivered, with the whole old row in `identity`.",
    explains: (difference, context) => {
      const data = onlyOurs(difference)
      return data !== undefined && (data.action === "U" || data.action === "D") &&
        context.facts.lackedIdentity(data.schema, data.table) && isWholeRow(data, context)
    }
  },
  {
    id: "no-poison",
    reason: "A number beyond float64, or a type name that wal2json does not quote, ended the process of the system " +
      "before, at the same place on every start. They are delivered, and what comes after them is.",
    explains: (difference, { expected, got }) => {
      const data = onlyOurs(difference)
      // It died with what it had read ahead: somewhere before the poison, not the same place in every run.
      return data !== undefined && difference.at.expected === expected.length && got.slice(expected.length).some(isPoison)
    }
  },
  {
    id: "the-moment-is-another",
    reason: "No difference of the programs: what `clock_timestamp()` or `now()` made in a row is the time of the run.",
    explains: ({ expected, got }) =>
      expected !== undefined && got !== undefined && pattern(expected) !== pattern(got) &&
      pattern(withoutMoments(expected, got)) === pattern(got)
  },
  {
    id: "messages-have-prefix-and-content",
    reason: "The system before throws prefix and content of a logical message away. Both are sent, after `metadata`.",
    rewrites: ({ expected, got }) => {
      if (!got.some((data) => data.prefix !== undefined)) return { expected, got }
      return {
        expected,
        got: got.map(({ content: _content, content_base64: _base64, prefix: _prefix, ...data }) => data)
      }
    }
  },
  {
    id: "pgoutput-sends-no-generated-columns",
    plugin: "pgoutput",
    reason: "pgoutput carries stored generated columns only from Postgres 18 on. wal2json sends them.",
    rewrites: (context) =>
      context.facts.serverMajor < 18 ? withoutGenerated(context) : { expected: context.expected, got: context.got }
  },
  {
    id: "pgoutput-sends-no-materialized-views",
    plugin: "pgoutput",
    reason: "pgoutput does not publish the rows of a materialized view. wal2json does.",
    explains: (difference, { facts }) => {
      const data = onlyGoldens(difference)
      return data !== undefined && !isOwn(data) && data.action !== "M" && data.action !== "T" &&
        !facts.shapes.some(isShapeOf(data))
    }
  },
  {
    id: "pgoutput-truncates-leaves",
    plugin: "pgoutput",
    reason: "For TRUNCATE of a partitioned table pgoutput names its leaf partitions only; wal2json names the parents too.",
    explains: (difference, { facts }) => {
      const data = onlyGoldens(difference)
      return data?.action === "T" && facts.shapes.some((shape) => shape.kind === "p" && isShapeOf(data)(shape))
    }
  }
]

export const rules: ReadonlyArray<Rule> = [...schemaLogRules, ...payloadRules]
