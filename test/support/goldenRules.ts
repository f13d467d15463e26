/**
 * Where we differ from golden on purpose. Each rule says why, not where: it changes golden's events to what the rule
 * makes of them, or takes out ours that golden has none of. What is left has to be equal.
 */
import { identityOf } from "../../src/domain/SchemaEntry.ts"
import type { TableShape } from "../../src/domain/TableShape.ts"
import type { Plugin } from "../../src/services/ChangeSource.ts"
import type { Data, DataColumn, Outcome } from "./golden.ts"
import { dataOf } from "./golden.ts"

export interface Ours {
  readonly data: Data
  readonly shape: TableShape | undefined
}

export interface Run {
  readonly plugin: Plugin
  readonly injector: "plain" | "inj"
  /** Every shape that was ever in force. */
  readonly shapes: ReadonlyArray<TableShape>
  readonly expected: ReadonlyArray<Data>
  readonly ours: ReadonlyArray<Ours>
}

export interface Rule {
  readonly id: string
  readonly reason: string
  readonly apply: (run: Run) => Pick<Run, "expected" | "ours">
}

const isOwn = (data: Data) => data.schema === "pgstream"
const value = (data: Data, name: string) => data.columns?.find((c) => c.name === name)?.value
const isEntry = (data: Data) => isOwn(data) && data.table === "schema_log" && data.action === "I"

interface EntryTable {
  readonly oid: string
  readonly name: string
  readonly columns: ReadonlyArray<{ readonly name: string; unique: boolean; readonly generated: boolean }>
  primary_key_columns: ReadonlyArray<string>
}
const tablesOf = (data: Data): ReadonlyArray<EntryTable> =>
  (JSON.parse(String(value(data, "schema"))) as { tables: ReadonlyArray<EntryTable> | null }).tables ?? []

const withValue = (data: Data, name: string, to: unknown): Data =>
  ({ ...data, columns: data.columns!.map((c) => c.name === name ? { ...c, value: to } : c) })

const without = (keep: (data: Data, run: Run) => boolean): Rule["apply"] => (run) =>
  ({ expected: run.expected.filter((data) => keep(data, run)), ours: run.ours })

/** Golden's entries changed table by table; `ours` is the table of our entry in the same place. */
const tableByTable = (run: Run, change: (golden: EntryTable, ours: EntryTable) => EntryTable): ReadonlyArray<Data> => {
  const entries = run.ours.map((o) => o.data).filter(isEntry)
  let n = 0
  return run.expected.map((data) => {
    if (!isEntry(data)) return data
    const ours = entries[n++]
    const tables = tablesOf(data)
    if (ours === undefined || tables.length === 0) return data
    const byName = new Map(tablesOf(ours).map((t) => [t.name, t]))
    const changed = tables.map((t) => byName.has(t.name) ? change(t, byName.get(t.name)!) : t)
    return withValue(data, "schema", JSON.stringify({ tables: changed }))
  })
}

const keyless = (shape: TableShape | undefined) => shape?.logged !== undefined && identityOf(shape.logged.shape).length === 0

/** No primary key or identity index in force: the seed's plugin had nothing to tell the row by. */
const identityIsOurs = (shape: TableShape | undefined) =>
  shape?.replicaIdentity === "f" && shape.fullIsOurs !== undefined &&
  !shape.indexes.some((i) => i.immediate && (shape.fullIsOurs === "d" ? i.primary : shape.fullIsOurs === "i" && i.replicaIdentity))

export const rules: ReadonlyArray<Rule> = [
  {
    id: "no-own-deletes",
    reason: "pgstream.schema_log and table_ids are written from the stream: only what they announce is an event, never U or D.",
    apply: without((data) => !isOwn(data) || data.action === "I")
  },
  {
    id: "no-temporary-schemas",
    reason: "A temporary table has no entry: pg_temp with no tables told nobody anything.",
    apply: without((data) => !(isEntry(data) && value(data, "schema_name") === "pg_temp"))
  },
  {
    id: "names-are-never-quoted",
    reason: "CREATE SCHEMA logs the bare name, so a schema has one history, and its versions count on.",
    apply: ({ expected, ours }) => {
      const versions = new Map<string, number>()
      return {
        ours,
        expected: expected.map((data) => {
          if (!isEntry(data)) return data
          const name = String(value(data, "schema_name"))
          const bare = name.startsWith(`"`) ? name.slice(1, -1).replaceAll(`""`, `"`) : name
          const version = (versions.get(bare) ?? 0) + 1
          versions.set(bare, version)
          return withValue(withValue(data, "schema_name", bare), "version", version)
        })
      }
    }
  },
  {
    id: "tables-without-a-key-are-delivered",
    reason: "The seed drops events of tables without a key (with the injector), and U and D of tables without a replica identity.",
    apply: (run) => ({
      expected: run.expected,
      ours: run.ours.filter(({ data, shape }) =>
        !(run.injector === "inj" && keyless(shape)) && !((data.action === "U" || data.action === "D") && identityIsOurs(shape)))
    })
  },
  {
    id: "no-poison",
    reason: "A number beyond float64, or a type name that wal2json does not quote, ended the seed's process for good: ours goes on.",
    apply: (run) => {
      const poison = (columns: ReadonlyArray<DataColumn> | null) => (columns ?? []).some((c) =>
        c.value === Infinity || c.value === -Infinity || (/^"[^"]*"\.|\."/.test(c.type) && !c.type.endsWith("[]")))
      const at = run.ours.findIndex(({ data }) => poison(data.columns) || poison(data.identity))
      // It died with what it had read ahead: somewhere before the poison, not the same place in every run.
      const died = at >= 0 && run.expected.length <= at
      return { expected: run.expected, ours: died ? run.ours.slice(0, run.expected.length) : run.ours }
    }
  },
  {
    id: "messages-have-prefix-and-content",
    reason: "The seed throws the prefix and the content of a logical message away.",
    apply: (run) => ({
      expected: run.expected,
      ours: run.ours.map((one) => {
        if (one.data.action !== "M") return one
        const { content: _c, content_base64: _b, prefix: _p, ...data } = one.data
        return { ...one, data }
      })
    })
  },
  {
    id: "pgoutput-sends-no-generated-columns",
    reason: "pgoutput carries stored generated columns only from 18.",
    apply: (run) => {
      if (run.plugin !== "pgoutput") return run
      const generated = new Set<string>()
      return {
        ours: run.ours,
        expected: run.expected.map((data) => {
          if (isEntry(data)) {
            const schema = String(value(data, "schema_name"))
            for (const t of tablesOf(data)) {
              for (const c of t.columns) generated[c.generated ? "add" : "delete"](`${schema}.${t.name}.${c.name}`)
            }
          }
          const sent = (c: DataColumn) => !generated.has(`${data.schema}.${data.table}.${c.name}`)
          return { ...data, columns: data.columns?.filter(sent) ?? null, identity: data.identity?.filter(sent) ?? null }
        })
      }
    }
  },
  {
    id: "pgoutput-sends-no-materialized-views",
    reason: "pgoutput does not publish materialized views.",
    apply: without((data, { plugin, shapes }) =>
      plugin !== "pgoutput" || isOwn(data) || data.action === "M" || shapes.some((s) => s.schema === data.schema && s.name === data.table))
  },
  {
    id: "pgoutput-truncates-leaves",
    reason: "pgoutput names only the leaf partitions of a truncated partitioned table.",
    apply: without((data, { plugin, shapes }) =>
      plugin !== "pgoutput" || data.action !== "T" || !shapes.some((s) => s.schema === data.schema && s.name === data.table && s.kind === "p"))
  },
  {
    id: "partial-unique-is-not-unique",
    reason: "A partial unique index does not tell rows apart.",
    apply: (run) => ({
      ours: run.ours,
      expected: tableByTable(run, (golden, ours) => {
        const partial = new Set(ours.columns.filter((c) => !c.unique).map((c) => c.name))
        const isIndexed = run.shapes.some((s) => s.name === golden.name && s.indexes.some((i) => !i.plainUnique))
        return isIndexed ? { ...golden, columns: golden.columns.map((c) => partial.has(c.name) ? { ...c, unique: false } : c) } : golden
      })
    })
  },
  {
    id: "include-columns-are-no-key",
    reason: "INCLUDE columns of a primary key's index are not part of the key.",
    apply: (run) => {
      const extra = new Map<string, ReadonlySet<string>>()
      const expected = tableByTable(run, (golden, ours) => {
        const more = golden.primary_key_columns.filter((name) => !ours.primary_key_columns.includes(name))
        if (more.length === 0 || more.length === golden.primary_key_columns.length) return golden
        extra.set(golden.name, new Set(more))
        return { ...golden, primary_key_columns: ours.primary_key_columns }
      })
      return {
        ours: run.ours,
        expected: expected.map((data) => {
          const more = extra.get(data.table)
          const { metadata } = data
          if (more === undefined || metadata.id_col_pgstream_id === null) return data
          const columns = run.ours.find((o) => o.data.table === data.table && o.data.columns !== null)?.data.columns ?? []
          const attnums = new Set(columns.filter((c) => more.has(c.name)).map((c) => c.id.split("-")[1]))
          const ids = metadata.id_col_pgstream_id.filter((id) => !attnums.has(id.split("-")[1]))
          return { ...data, metadata: { ...metadata, id_col_pgstream_id: ids } }
        })
      }
    }
  }
]

export const runOf = (plugin: Plugin, injector: "plain" | "inj", expected: ReadonlyArray<Data>, outcome: Outcome): Run => ({
  plugin,
  injector,
  shapes: outcome.deltas.flatMap((delta) => [...delta.tables.values()].filter((shape) => shape !== undefined)),
  expected,
  ours: outcome.sent.map(({ body, shape }) => ({ data: dataOf(body), shape }))
})

/** Both sides after all rules, and which rules changed something. */
export const applied = (run: Run): { readonly run: Run; readonly used: ReadonlyArray<string> } => {
  const used: Array<string> = []
  let now = run
  for (const rule of rules) {
    const next = rule.apply(now)
    if (JSON.stringify(next.expected) !== JSON.stringify(now.expected) || next.ours.length !== now.ours.length || next.ours.some((o, i) => o !== now.ours[i])) used.push(rule.id)
    now = { ...now, expected: next.expected, ours: next.ours }
  }
  return { run: now, used }
}
