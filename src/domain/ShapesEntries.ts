/** Which rows of `pgstream.ddl` make entries of the schema log (golden/SCHEMA.md "What triggers a log entry"). */
import type { DdlRow } from "./Ddl.ts"

/**
 * Schemas that get an entry, in order (of a DROP: by name); `true` = as dropped. What the system we replace logs,
 * and beyond its one entry a statement: every schema of a DROP, and other schemas of which the statement changed
 * what an entry says.
 *
 * `touched`: schemas of the tables that the statement names; `differ`: those where an entry would say something else.
 */
export const entriesOf = (
  row: DdlRow,
  touched: ReadonlySet<string>,
  differ: ReadonlySet<string>
): ReadonlyMap<string, boolean> => {
  const entries = new Map<string, boolean>()
  const add = (schemas: Iterable<string>) => {
    for (const schema of schemas) if (!entries.has(schema)) entries.set(schema, false)
  }
  const asked = (tag: string) => row.schemas.filter((s) => s.tag === tag).map((s) => s.name)
  const goneSchemas = row.dropped.filter((d) => d.kind === "schema").map((d) => d.name).toSorted()
  const goneTables = row.dropped.filter((d) => d.kind === "table").map((d) => d.schema).toSorted()
  if (row.snapshot !== undefined) {
    for (const schema of goneSchemas) entries.set(schema, true)
    add([...asked("CREATE SCHEMA"), ...differ])
    return entries
  }
  if (row.skip) return entries
  switch (row.tag) {
    case "CREATE TABLE":
    case "ALTER TABLE":
      add([...touched, ...differ])
      break
    case "CREATE SCHEMA":
      add([...asked("CREATE SCHEMA"), ...differ])
      break
    case "DROP TABLE":
      add([...goneTables, ...[...differ].toSorted()])
      break
    case "DROP SCHEMA":
      for (const schema of goneSchemas) entries.set(schema, true)
      add([...differ].toSorted())
      break
    case "REFRESH":
      add(asked("REFRESH"))
      break
  }
  return entries
}
