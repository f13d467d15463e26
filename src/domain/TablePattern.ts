/**
 * Which tables a list of patterns means: `orders`, `sales.*`, `*.*`, `a*`, `"My Table"`, `app."a.b"`.
 *
 * - Shape: `table` or `schema.table`; without a schema it is `public`. `*` stands for any run of characters, also none.
 * - Inside double quotes dots, blanks and stars are characters of the name; `""` is one quote. Names are compared
 *   exactly, upper and lower case too.
 * - A list as one text has blanks or commas between its patterns, outside of quotes.
 * - A partitioned table means the tables below it that hold rows, each once, whatever their schema.
 * - The schemas of Postgres and `pgstream` are never meant.
 */
import * as Result from "effect/Result"
import { nearest } from "./Nearest.ts"
import { identifier } from "./SqlText.ts"

/** Literal pieces with a `*` between each two: one piece is a name, `["a", ""]` is `a*`. */
type Part = ReadonlyArray<string>

export interface TablePattern {
  /** As it was written. */
  readonly text: string
  readonly schema: Part
  readonly table: Part
}

/** A relation of the catalog. Tables are `table`; what holds rows of its own and cannot be copied has another kind. */
export interface CatalogTable {
  readonly oid: number
  readonly schema: string
  readonly name: string
  readonly kind: "table" | "partitioned table" | "unlogged table" | "view" | "materialized view" | "foreign table"
  /** The partitioned table that it is a partition of. */
  readonly partitionOf: number | undefined
}

export interface Catalog {
  readonly schemas: ReadonlyArray<string>
  readonly tables: ReadonlyArray<CatalogTable>
}

export interface Selection {
  /** Tables with rows, each once, in the order of the catalog. */
  readonly tables: ReadonlyArray<CatalogTable>
  /** A name that is nothing that can be copied. Nothing should be copied then. */
  readonly problems: ReadonlyArray<{ readonly pattern: string; readonly message: string }>
  /** What a wildcard passed over, and wildcards that match nothing now. */
  readonly notes: ReadonlyArray<string>
}

/** One pattern. Fails with what is wrong, for a sentence that begins with the pattern. */
export const parse = (text: string): Result.Result<TablePattern, string> => {
  const parts: Array<Array<string>> = [[""]]
  let sizes = [0]
  let at = 0
  const add = (piece: string) => {
    const part = parts.at(-1)!
    part[part.length - 1] += piece
    sizes[sizes.length - 1]! += 1
  }
  while (at < text.length) {
    const character = text[at]!
    if (character === '"') {
      const end = closingQuote(text, at + 1)
      if (end === -1) return Result.fail("has a double quote that is not closed")
      if (end === at + 1) return Result.fail("has an empty name in quotes")
      add(text.slice(at + 1, end).replaceAll('""', '"'))
      at = end
    } else if (character === ".") {
      parts.push([""])
      sizes = [...sizes, 0]
    } else if (character === "*") {
      parts.at(-1)!.push("")
      sizes[sizes.length - 1]! += 1
    } else {
      add(character)
    }
    at += 1
  }
  if (parts.length > 2) return Result.fail('has more than one dot; write schema.table, and a name with a dot in double quotes: "a.b"')
  if (sizes.includes(0)) return Result.fail("has an empty name; write table or schema.table")
  const [first, second] = parts
  return Result.succeed(second === undefined ? { text, schema: ["public"], table: first! } : { text, schema: first!, table: second })
}

/** Place of the quote that closes; `""` does not. -1: none. */
const closingQuote = (text: string, from: number): number => {
  for (let at = text.indexOf('"', from); at !== -1; at = text.indexOf('"', at + 2)) {
    if (text[at + 1] !== '"') return at
  }
  return -1
}

/** The patterns of a list in one text. */
export const split = (text: string): ReadonlyArray<string> => {
  const out: Array<string> = []
  let [current, quoted] = ["", false]
  for (const character of text) {
    if (character === '"') quoted = !quoted
    if (!quoted && /[\s,]/.test(character)) {
      if (current !== "") out.push(current)
      current = ""
    } else {
      current += character
    }
  }
  return current === "" ? out : [...out, current]
}

const written = (name: string): string => (/^[^\s.,*"]+$/.test(name) ? name : identifier(name))

/** The pattern that means this table alone. */
export const format = ({ name, schema }: { readonly schema: string; readonly name: string }): string =>
  `${written(schema)}.${written(name)}`

const isName = (part: Part): boolean => part.length === 1

const partMatches = (part: Part, name: string): boolean => {
  const first = part[0]!
  if (isName(part)) return first === name
  const last = part.at(-1)!
  if (name.length < first.length + last.length || !name.startsWith(first) || !name.endsWith(last)) return false
  const end = name.length - last.length
  let at = first.length
  for (const piece of part.slice(1, -1)) {
    const found = name.indexOf(piece, at)
    if (found === -1 || found + piece.length > end) return false
    at = found + piece.length
  }
  return true
}

/** Whether a pattern means this very name, in any schema but those of the system. */
export const matches = (pattern: TablePattern, table: { readonly schema: string; readonly name: string }): boolean =>
  !isSystem(table.schema) && partMatches(pattern.schema, table.schema) && partMatches(pattern.table, table.name)

/** Postgres keeps `pg_` for itself. */
export const isSystem = (schema: string): boolean =>
  schema === "pgstream" || schema === "information_schema" || schema.startsWith("pg_")

/** The tables that `patterns` mean and `excluded` do not. */
export const select = (
  patterns: ReadonlyArray<TablePattern>, excluded: ReadonlyArray<TablePattern>, catalog: Catalog
): Selection => {
  const problems: Array<{ readonly pattern: string; readonly message: string }> = []
  const notes: Array<string> = []
  const below = new Map<number, Array<CatalogTable>>()
  for (const table of catalog.tables) {
    if (table.partitionOf === undefined) continue
    const siblings = below.get(table.partitionOf)
    if (siblings === undefined) below.set(table.partitionOf, [table])
    else siblings.push(table)
  }
  const meant = (list: ReadonlyArray<TablePattern>): ReadonlyMap<number, CatalogTable> => {
    const found = new Map<number, CatalogTable>()
    const add = (table: CatalogTable): void => {
      if (isSystem(table.schema) || found.has(table.oid)) return
      found.set(table.oid, table)
      for (const partition of below.get(table.oid) ?? []) add(partition)
    }
    for (const pattern of list) {
      const tables = catalog.tables.filter((table) => matches(pattern, table))
      tables.forEach(add)
      const fault = faultOf(pattern, tables, catalog)
      if (fault !== undefined) problems.push({ pattern: pattern.text, message: fault })
      else if (tables.length === 0) notes.push(`${pattern.text} matches no table now`)
    }
    return found
  }
  const wanted = meant(patterns)
  const unwanted = meant(excluded)
  const named = new Set(patterns.filter((p) => isName(p.schema) && isName(p.table)).map((p) => `${p.schema[0]}\0${p.table[0]}`))
  const tables: Array<CatalogTable> = []
  for (const table of catalog.tables) {
    if (!wanted.has(table.oid) || unwanted.has(table.oid)) continue
    if (table.kind === "table") tables.push(table)
    else if (table.kind !== "partitioned table" && !named.has(`${table.schema}\0${table.name}`)) {
      notes.push(`${format(table)} is passed over: ${whyNot[table.kind]}`)
    }
  }
  return { tables, problems, notes }
}

const whyNot = {
  "unlogged table": "an unlogged table is never in the stream",
  view: "a view has no rows of its own",
  "materialized view": "a materialized view is never in the stream",
  "foreign table": "the rows of a foreign table are on another server"
} as const

/** What is wrong with a pattern that means nothing, or something that cannot be copied. */
const faultOf = (pattern: TablePattern, found: ReadonlyArray<CatalogTable>, catalog: Catalog): string | undefined => {
  const schema = isName(pattern.schema) ? pattern.schema[0]! : undefined
  const name = isName(pattern.table) ? pattern.table[0]! : undefined
  if (schema !== undefined && isSystem(schema)) return `is in a schema of ${schema === "pgstream" ? "pgstream" : "Postgres"}, which is never copied`
  if (schema !== undefined && !catalog.schemas.includes(schema)) {
    return `names the schema ${written(schema)}, which is not there${hint(nearest(schema, catalog.schemas.filter((one) => !isSystem(one)).map(written)))}`
  }
  if (schema === undefined || name === undefined) return undefined
  const [table] = found
  if (table === undefined) return `matches no table${hint(nearestTable(schema, name, catalog))}`
  return table.kind === "table" || table.kind === "partitioned table" ? undefined : `cannot be copied: ${whyNot[table.kind]}`
}

const hint = (name: string | undefined): string => (name === undefined ? "" : `; the nearest is ${name}`)

/** The same name elsewhere, else the nearest in its schema, else the nearest of all. */
const nearestTable = (schema: string, name: string, { tables }: Catalog): string | undefined => {
  const known = tables.filter((table) => !isSystem(table.schema) && (table.kind === "table" || table.kind === "partitioned table"))
  const same = known.find((table) => table.name === name)
  if (same !== undefined) return format(same)
  const near = nearest(name, known.filter((table) => table.schema === schema).map((table) => table.name))
  return near === undefined ? nearest(format({ schema, name }), known.map(format)) : format({ schema, name: near })
}
