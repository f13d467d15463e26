/** The shapes in force, by oid, by name and by schema, and the tree of parents and children. */
import { identifier } from "./SqlText.ts"
import type { ShapeColumn, TableShape } from "./TableShape.ts"

const key = (schema: string, name: string): string => `${schema}\u0000${name}`

/** As Postgres quotes an identifier in a type's name. Reserved words are not told apart: a look mends those. */
const quoted = (name: string): string =>
  /^[a-z_][a-z0-9_$]*$/.test(name) ? name : identifier(name)

export class ShapeTables {
  readonly #byOid = new Map<number, TableShape>()
  readonly #byName = new Map<string, number>()
  readonly #bySchema = new Map<string, Set<number>>()
  readonly #children = new Map<number, Set<number>>()
  readonly #formerNames = new Map<number, Set<string>>()
  readonly #onChange: (oid: number, before: TableShape | undefined) => void

  /** `onChange` is called after each change, with the shape that was there before. */
  constructor(
    shapes: ReadonlyArray<TableShape>,
    onChange: (oid: number, before: TableShape | undefined) => void
  ) {
    for (const shape of shapes) this.#insert(shape)
    this.#onChange = onChange
  }

  get(oid: number): TableShape | undefined {
    return this.#byOid.get(oid)
  }

  named(schema: string, name: string): TableShape | undefined {
    const oid = this.#byName.get(key(schema, name))
    return oid === undefined ? undefined : this.#byOid.get(oid)
  }

  /** Tables of the schema, in no order. */
  of(schema: string): ReadonlyArray<TableShape> {
    return [...this.#bySchema.get(schema) ?? []].map((oid) => this.#byOid.get(oid)!)
  }

  countOf(schema: string): number {
    return this.#bySchema.get(schema)?.size ?? 0
  }

  /** Only facts about the same table: its parents and children stay. */
  replace(shape: TableShape): void {
    const before = this.#byOid.get(shape.oid)
    if (before !== undefined) this.#remove(before)
    this.#insert(shape)
    this.#onChange(shape.oid, before)
  }

  /**
   * A shape as it was read. A child that is not among `children` was detached: it is not named by the row, so it
   * loses this parent here. Roots below follow.
   */
  put(read: TableShape, children: ReadonlySet<number>): void {
    for (const oid of Array.from(this.#children.get(read.oid) ?? [])) {
      if (!children.has(oid)) this.#detach(oid, read.oid)
    }
    this.replace(read)
    this.#reroot(read.oid)
  }

  drop(oid: number): TableShape | undefined {
    const before = this.#byOid.get(oid)
    if (before === undefined) return undefined
    for (const child of Array.from(this.#children.get(oid) ?? [])) this.#detach(child, oid)
    this.#remove(before)
    this.#onChange(oid, before)
    return before
  }

  /** Had the table's schema this name, before a rename that was seen since the start? */
  wasIn(shape: TableShape, schema: string): boolean {
    return shape.schemaOid !== undefined && this.#formerNames.get(shape.schemaOid)?.has(schema) === true
  }

  renameSchema(oid: number, name: string): void {
    const tables = [...this.#byOid.values()].filter((shape) => shape.schemaOid === oid && shape.schema !== name)
    const old = tables[0]?.schema
    if (old === undefined) return
    this.#formerNames.set(oid, (this.#formerNames.get(oid) ?? new Set()).add(old))
    for (const shape of tables) this.replace({ ...shape, schema: name })
    const from = `${quoted(old)}.`
    this.#retype(({ type }) => type.startsWith(from) ? `${quoted(name)}.${type.slice(from.length)}` : undefined)
  }

  /** `types`: oid to the type's new text, without a typmod; arrays have their own. */
  renameTypes(types: ReadonlyMap<number, string>): void {
    if (types.size === 0) return
    this.#retype((column) => column.typmod < 0 ? types.get(column.typeOid) : undefined)
  }

  #retype(typeOf: (column: ShapeColumn) => string | undefined): void {
    for (const shape of Array.from(this.#byOid.values())) {
      const columns = shape.columns.map((column) => ({ ...column, type: typeOf(column) ?? column.type }))
      if (columns.some((column, i) => column.type !== shape.columns[i]!.type)) this.replace({ ...shape, columns })
    }
  }

  #detach(child: number, parent: number): void {
    const shape = this.#byOid.get(child)
    if (shape === undefined) return
    this.replace({ ...shape, parents: shape.parents.filter((oid) => oid !== parent) })
    this.#reroot(child)
  }

  /** Topmost partitioned parent as far as the shapes know; above that, what the catalog said holds. */
  #rootOf(shape: TableShape): number {
    if (shape.parents.length === 0) return shape.oid
    const parent = this.#byOid.get(shape.parents[0]!)
    if (parent === undefined) return shape.root
    return parent.kind === "p" ? this.#rootOf(parent) : shape.oid
  }

  #reroot(oid: number): void {
    const shape = this.#byOid.get(oid)
    if (shape === undefined) return
    const root = this.#rootOf(shape)
    if (root !== shape.root) this.replace({ ...shape, root })
    for (const child of Array.from(this.#children.get(oid) ?? [])) {
      const below = this.#byOid.get(child)
      if (below !== undefined && this.#rootOf(below) !== below.root) this.#reroot(child)
    }
  }

  #insert(shape: TableShape): void {
    this.#byOid.set(shape.oid, shape)
    this.#byName.set(key(shape.schema, shape.name), shape.oid)
    const schema = this.#bySchema.get(shape.schema)
    if (schema === undefined) this.#bySchema.set(shape.schema, new Set([shape.oid]))
    else schema.add(shape.oid)
    for (const parent of shape.parents) {
      const children = this.#children.get(parent)
      if (children === undefined) this.#children.set(parent, new Set([shape.oid]))
      else children.add(shape.oid)
    }
  }

  #remove(shape: TableShape): void {
    this.#byOid.delete(shape.oid)
    const name = key(shape.schema, shape.name)
    if (this.#byName.get(name) === shape.oid) this.#byName.delete(name)
    const schema = this.#bySchema.get(shape.schema)
    schema?.delete(shape.oid)
    if (schema?.size === 0) this.#bySchema.delete(shape.schema)
    for (const parent of shape.parents) {
      const children = this.#children.get(parent)
      children?.delete(shape.oid)
      if (children?.size === 0) this.#children.delete(parent)
    }
  }
}
