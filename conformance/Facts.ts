/**
 * What the statements of a scenario made of its tables: the rows of `pgstream.ddl`, read with SQL when it is over.
 * Rules ask it for what a payload does not say: kinds, indexes, generated columns, missing identities.
 */
export const query = `SELECT coalesce(json_agg(json_build_object('tag', tag, 'schemas', schemas, 'dropped', dropped,
  'tables', tables, 'made_full', made_full) ORDER BY id), '[]')::text FROM pgstream.ddl`

interface Row {
  readonly tag: string
  readonly schemas: ReadonlyArray<readonly [oid: string | null, name: string, tag: string]> | null
  readonly dropped: ReadonlyArray<readonly [kind: string, oid: string, schema: string | null, name: string]> | null
  readonly tables: ReadonlyArray<RowTable> | null
  readonly made_full: { readonly [oid: string]: string } | null
}

interface RowTable {
  readonly oid: string
  readonly unsure?: true
  readonly schema: string
  readonly name: string
  readonly kind: string
  readonly full_ours?: string | null
  readonly indexes: ReadonlyArray<readonly [boolean, boolean, boolean, boolean, number, string]> | null
  readonly columns: ReadonlyArray<ReadonlyArray<unknown>> | null
}

export interface Index {
  readonly primary: boolean
  /** Unique without predicate and expressions. */
  readonly plainUnique: boolean
  /** Attnums of the key, in its order. */
  readonly key: ReadonlyArray<number>
  /** Attnums behind INCLUDE. */
  readonly included: ReadonlyArray<number>
}

export interface Column {
  readonly attnum: number
  readonly name: string
  readonly notNull: boolean
  readonly generated: boolean
}

/** A table as one statement left it. */
export interface Shape {
  readonly schema: string
  readonly name: string
  /** r table · p partitioned. */
  readonly kind: string
  readonly columns: ReadonlyArray<Column>
  readonly indexes: ReadonlyArray<Index>
}

export interface Facts {
  readonly serverMajor: number
  /** Every shape that was in force, in the order of the statements. */
  readonly shapes: ReadonlyArray<Shape>
  /** Was this table, at some time, without an identity by which the seed's plugin could tell a row? */
  readonly lackedIdentity: (schema: string, table: string) => boolean
  /** Schemas of which one statement dropped something, for each statement that touched several. */
  readonly droppedTogether: ReadonlyArray<ReadonlySet<string>>
  /** Schemas that `refresh_schema` was asked for. */
  readonly refreshed: ReadonlySet<string>
}

const shapeOf = (table: RowTable): Shape => ({
  schema: table.schema,
  name: table.name,
  kind: table.kind,
  columns: (table.columns ?? []).map((c) => ({
    attnum: Number(c[0]), name: String(c[1]), notNull: c[5] === true, generated: c[7] === "s" || c[7] === "v"
  })),
  indexes: (table.indexes ?? []).map(([primary, , , plainUnique, count, attnums]) => {
    const all = attnums.split(" ").filter((n) => n !== "").map(Number)
    return { primary, plainUnique, key: all.slice(0, count), included: all.slice(count) }
  })
})

/** `json`: what `query` answered. */
export const ofRows = (json: string, serverMajor: number): Facts => {
  const rows = JSON.parse(json) as ReadonlyArray<Row>
  const tables = rows.flatMap((row) => row.tables ?? []).filter((table) => table.unsure !== true)
  const without = new Set(rows.flatMap((row) => Object.keys(row.made_full ?? {})))
  for (const table of tables) if (typeof table.full_ours === "string") without.add(table.oid)
  const names = new Set(tables.filter((t) => without.has(t.oid)).map((t) => JSON.stringify([t.schema, t.name])))
  const dropped = rows.map((row) =>
    new Set((row.dropped ?? []).map(([kind, , schema, name]) => kind === "schema" ? name : schema ?? "")))
  return {
    serverMajor,
    shapes: tables.map(shapeOf),
    lackedIdentity: (schema, table) => names.has(JSON.stringify([schema, table])),
    droppedTogether: dropped.filter((schemas) => schemas.size > 1),
    refreshed: new Set(
      rows.flatMap((row) => row.schemas ?? []).filter(([, , tag]) => tag === "REFRESH").map(([, name]) => name)
    )
  }
}
