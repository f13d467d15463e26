/**
 * Which endpoints an event is sent to: rows of `pgstream.webhook_subscriptions` by (schema, table), not by scan.
 *
 * - A row matches a table when its schema is empty or that table's, and its table is empty or that table's; exact,
 *   case-sensitive. A message has neither: every row that names `M` gets it, no other does.
 * - Event types: none means all but `M`.
 * - One `Selection` per endpoint: the rows that selected it, most specific first (table, schema, all; then oldest).
 * - Answers are cached per (schema, table, kind) and shared: what an event costs does not depend on the number of
 *   endpoints or rows. A changed row empties only the answers that it can touch.
 * - Of schema `pgstream` only `schema_log` and `table_ids` are events: the other tables are our own records.
 */
import type { Change, ChangeKind, Relation } from "./Change.ts"
import type { EndpointId, Selection, Subscription, SubscriptionId } from "./Subscription.ts"

const NONE: ReadonlyArray<Selection> = []

/** Tables whose answers are kept; above it all are made anew. Bounds the memory of a database with many tables. */
const MAX_CACHED_TABLES = 65_536

type Answers = { [K in ChangeKind]?: ReadonlyArray<Selection> }
type RowSet = Map<SubscriptionId, Subscription>

const isOurs = (schema: string, table: string): boolean =>
  schema === "pgstream" && table !== "schema_log" && table !== "table_ids"

const names = (row: Subscription, kind: ChangeKind): boolean =>
  row.eventTypes.length === 0 ? kind !== "M" : row.eventTypes.includes(kind)

/** 0 one table · 1 a table's name in any schema · 2 a schema · 3 all. */
const breadth = (row: Subscription): number => (row.table === "" ? 2 : 0) + (row.schema === "" ? 1 : 0)

const mostSpecificFirst = (a: Subscription, b: Subscription): number =>
  breadth(a) - breadth(b) || a.createdAtUs - b.createdAtUs || (a.id < b.id ? -1 : 1)

const select = (rows: ReadonlyArray<Subscription>): ReadonlyArray<Selection> => {
  const selectedBy = new Map<EndpointId, Array<SubscriptionId>>()
  for (const row of rows.toSorted(mostSpecificFirst)) {
    const ids = selectedBy.get(row.endpointId)
    if (ids === undefined) selectedBy.set(row.endpointId, [row.id])
    else ids.push(row.id)
  }
  return Array.from(selectedBy, ([endpointId, ids]) => ({ endpointId, selectedBy: ids }))
}

export class DefinitionIndex {
  private readonly rows: RowSet = new Map()
  /** Rows by the schema and table that they name, `""` included. */
  private readonly named = new Map<string, Map<string, RowSet>>()
  private readonly answers = new Map<string, Map<string, Answers>>()
  private cachedTables = 0
  private messages: ReadonlyArray<Selection> | undefined
  /** The relation of the last question: runs of one table skip both lookups. */
  private lastRelation: Relation | undefined
  private lastAnswers: Answers | undefined

  constructor(rows: Iterable<Subscription> = []) {
    for (const row of rows) this.put(row)
  }

  get(id: SubscriptionId): Subscription | undefined {
    return this.rows.get(id)
  }

  /** All rows, in no particular order. */
  current(): ReadonlyArray<Subscription> {
    return [...this.rows.values()]
  }

  /** Endpoints of which a row selects the change. The array is shared: do not change it. */
  select(change: Pick<Change, "kind" | "relation">): ReadonlyArray<Selection> {
    const { kind, relation } = change
    if (relation === undefined || kind === "M") return (this.messages ??= this.selectMessages())
    const answers = relation === this.lastRelation ? this.lastAnswers! : this.answersOf(relation)
    return (answers[kind] ??= this.selectRows(relation.schema, relation.table, kind))
  }

  /** Adds a row, or replaces the one with its id. */
  put(row: Subscription): void {
    this.remove(row.id)
    this.rows.set(row.id, row)
    let tables = this.named.get(row.schema)
    if (tables === undefined) this.named.set(row.schema, tables = new Map())
    let set = tables.get(row.table)
    if (set === undefined) tables.set(row.table, set = new Map())
    set.set(row.id, row)
    this.forget(row)
  }

  /** `false`: there was none. */
  remove(id: SubscriptionId): boolean {
    const row = this.rows.get(id)
    if (row === undefined) return false
    this.rows.delete(id)
    const tables = this.named.get(row.schema)
    const set = tables?.get(row.table)
    set?.delete(id)
    if (set?.size === 0) tables!.delete(row.table)
    if (tables?.size === 0) this.named.delete(row.schema)
    this.forget(row)
    return true
  }

  private matching(schema: string, table: string): ReadonlyArray<Subscription> {
    if (isOurs(schema, table)) return []
    const rows: Array<Subscription> = []
    for (const s of schema === "" ? [""] : [schema, ""]) {
      for (const t of table === "" ? [""] : [table, ""]) {
        for (const row of this.named.get(s)?.get(t)?.values() ?? []) rows.push(row)
      }
    }
    return rows
  }

  private selectRows(schema: string, table: string, kind: ChangeKind): ReadonlyArray<Selection> {
    const rows = this.matching(schema, table).filter((row) => names(row, kind))
    return rows.length === 0 ? NONE : select(rows)
  }

  private selectMessages(): ReadonlyArray<Selection> {
    const rows = [...this.rows.values()].filter((row) => names(row, "M"))
    return rows.length === 0 ? NONE : select(rows)
  }

  private answersOf(relation: Relation): Answers {
    if (this.cachedTables >= MAX_CACHED_TABLES) this.forgetAll()
    let tables = this.answers.get(relation.schema)
    if (tables === undefined) this.answers.set(relation.schema, tables = new Map())
    let answers = tables.get(relation.table)
    if (answers === undefined) {
      tables.set(relation.table, answers = {})
      this.cachedTables++
    }
    this.lastRelation = relation
    this.lastAnswers = answers
    return answers
  }

  private forgetAll(): void {
    this.answers.clear()
    this.cachedTables = 0
    this.lastRelation = undefined
    this.lastAnswers = undefined
  }

  private forget(row: Subscription): void {
    if (names(row, "M")) this.messages = undefined
    if (row.schema === "" || row.table === "") return this.forgetAll()
    if (this.answers.get(row.schema)?.delete(row.table) === true) this.cachedTables--
    this.lastRelation = undefined
    this.lastAnswers = undefined
  }
}
