/**
 * The stream of a simulated run, and the truth about its order, which the program does not see: each event names the
 * rows that it touches (`rows`), and two events belong in order if they share one.
 */
import { type Change, type Column, NULL, type Relation, type Row, type Transaction } from "../../src/domain/Change.ts"
import type { Item } from "../../src/domain/Chunk.ts"
import * as EventId from "../../src/domain/EventId.ts"
import type { TableShape } from "../../src/domain/TableShape.ts"
import type { Random } from "./Random.ts"

export interface SimulatedEvent {
  readonly index: number
  readonly id: string
  readonly change: Change
  readonly commitLsn: number
  readonly endLsn: number
  /** Rows by name; `A:*` = every row of A. */
  readonly rows: ReadonlyArray<string>
  readonly table: string
  readonly description: string
}

const tableOf = (row: string): string => row.slice(0, row.indexOf(":"))

const sharesRow = (a: string, b: string): boolean =>
  a === b || (tableOf(a) === tableOf(b) && (a.endsWith(":*") || b.endsWith(":*")))

export const belongInOrder = (a: SimulatedEvent, b: SimulatedEvent): boolean =>
  a.rows.some((row) => b.rows.some((other) => sharesRow(row, other)))

const column = (name: string, key: boolean): Column => ({ name, typeOid: 23, typmod: -1, typeName: "integer", valueClass: 1, key })

/** `key`: the name of the only key column; `root`: topmost parent. */
const tableWith = (oid: number, table: string, root: number, key: "id" | "alt") => {
  const relation: Relation = {
    oid, schema: "public", table, replicaIdentity: "d",
    columns: [column("id", key === "id"), column("alt", key === "alt")]
  }
  const shape: TableShape = {
    oid, schema: "public", name: table, kind: "r", persistence: "p", replicaIdentity: "d", fullIsOurs: undefined, root,
    parents: root === oid ? [] : [root], tableId: undefined,
    columns: relation.columns.map((each, index) => ({
      attnum: index + 1, name: each.name, typeOid: 23, typmod: -1, type: "integer", notNull: true, default: null,
      generated: false, identity: "", comment: null
    })),
    indexes: [{ primary: true, replicaIdentity: false, immediate: true, plainUnique: true, key: [key === "id" ? 1 : 2] }]
  }
  return { relation, shape }
}

const rowOf = (relation: Relation, id: number, alt: number): Row => {
  const texts = [String(id), String(alt)]
  const bytes = Buffer.from(texts.join(""))
  const spans = new Int32Array(4)
  let at = 0
  texts.forEach((text, i) => {
    spans[2 * i] = at
    at += text.length
    spans[2 * i + 1] = at
  })
  return { columns: relation.columns, bytes, spans }
}

const keyOnly = (row: Row): Row => {
  const spans = Int32Array.from(row.spans)
  row.columns.forEach((each, i) => {
    if (!each.key) spans[2 * i] = NULL
  })
  return { ...row, spans }
}

interface Parts {
  readonly kind: Change["kind"]
  readonly relation: Relation
  readonly shape: TableShape | undefined
  readonly newRow: Row | undefined
  readonly oldRow: Row | undefined
  readonly affects: ReadonlyArray<number> | undefined
  readonly rows: ReadonlyArray<string>
}

export interface StreamOptions {
  readonly events: number
  /** Rows of each table. */
  readonly rows: number
  /** Chances of each kind of event, the rest are plain rows of A. */
  readonly keyChange: number
  readonly truncate: number
  readonly schemaEvent: number
  readonly partitions: number
  readonly newDefinition: boolean
}

/** What the generator is at: shapes change on the way. */
class Source {
  private readonly random: Random
  private readonly options: StreamOptions
  private a = tableWith(100, "a", 100, "id")
  private readonly leaves = [tableWith(201, "b1", 200, "id"), tableWith(202, "b2", 200, "id")]
  private c = tableWith(203, "c", 203, "id")
  private attached = false

  constructor(random: Random, options: StreamOptions) {
    this.random = random
    this.options = options
  }

  next(index: number): Parts {
    const { random, options } = this
    if (options.newDefinition && index === Math.floor(options.events / 2)) {
      this.a = tableWith(100, "a", 100, "alt")
      this.c = tableWith(203, "c", 200, "id")
      this.attached = true
    }
    const x = random.next()
    let limit = options.keyChange
    if (x < limit) return this.keyChange()
    if (x < (limit += options.truncate)) return this.truncate()
    if (x < (limit += options.schemaEvent)) return this.schemaEvent()
    if (x < limit + options.partitions) return this.partition()
    const n = this.row()
    const row = rowOf(this.a.relation, n, 1000 - n)
    if (random.chance(0.2)) return { ...this.plain(this.a, [`A:${n}`]), kind: "D", oldRow: keyOnly(row) }
    return { ...this.plain(this.a, [`A:${n}`]), kind: random.pick(["I", "U"] as const), newRow: row }
  }

  private row(): number {
    return this.random.int(1, this.options.rows)
  }

  private plain(table: { readonly relation: Relation; readonly shape: TableShape }, rows: ReadonlyArray<string>): Parts {
    return { kind: "I", relation: table.relation, shape: table.shape, newRow: undefined, oldRow: undefined, affects: undefined, rows }
  }

  private keyChange(): Parts {
    const from = this.row()
    const to = 1 + ((from + this.random.int(0, this.options.rows - 2)) % this.options.rows)
    const { relation } = this.a
    return {
      ...this.plain(this.a, [`A:${from}`, `A:${to}`]),
      kind: "U",
      oldRow: keyOnly(rowOf(relation, from, 1000 - from)),
      newRow: rowOf(relation, to, 1000 - to)
    }
  }

  private truncate(): Parts {
    return { ...this.plain(this.a, ["A:*"]), kind: "T" }
  }

  private schemaEvent(): Parts {
    const log = tableWith(300, "schema_log", 300, "id")
    return { ...this.plain(log, ["A:*"]), newRow: rowOf(log.relation, 1, 1), affects: [100], shape: undefined }
  }

  private partition(): Parts {
    const n = this.row()
    const table = this.random.pick([...this.leaves, this.c])
    const rows = table !== this.c ? [`B:${n}`] : this.attached ? [`B:${n}`, `C:${n}`] : [`C:${n}`]
    return { ...this.plain(table, rows), newRow: rowOf(table.relation, n, n) }
  }
}

export interface SimulatedStream {
  readonly events: ReadonlyArray<SimulatedEvent>
  readonly items: ReadonlyArray<Item>
  readonly endLsn: number
}

const changeOf = (transaction: Transaction, ordinal: number, parts: Parts): Change => ({
  _tag: "Change",
  kind: parts.kind,
  transaction,
  ordinal,
  sub: -1,
  lsn: transaction.commitLsn - 10,
  relation: parts.relation,
  oldKind: parts.oldRow === undefined ? "" : "K",
  newRow: () => parts.newRow,
  oldRow: () => parts.oldRow,
  message: undefined,
  byteLength: 50,
  shape: parts.shape,
  metadata: undefined,
  affects: parts.affects
})

/** Transactions of one to five events; keepalives between them. */
export const makeStream = (random: Random, options: StreamOptions): SimulatedStream => {
  const source = new Source(random, options)
  const events: Array<SimulatedEvent> = []
  const items: Array<Item> = []
  let endLsn = 0
  for (let n = 1; events.length < options.events; n++) {
    const commitLsn = n * 100
    endLsn = commitLsn + 50
    const transaction: Transaction = {
      commitLsn, commitTimeUs: n, timestamp: "2026-11-24 00:00:00+00", xid: n, idPrefix: EventId.prefixOf(commitLsn, n)
    }
    const size = random.pick([1, 1, 1, 2, 3, 5])
    for (let ordinal = 0; ordinal < size; ordinal++) {
      const index = events.length
      const parts = source.next(index)
      const change = changeOf(transaction, ordinal, parts)
      const description = `${parts.kind} ${parts.relation.table} [${parts.rows.join(" ")}]`
      events.push({ index, id: EventId.of(change), change, commitLsn, endLsn, rows: parts.rows, table: parts.relation.table, description })
      items.push(change)
    }
    items.push({ _tag: "Commit", transaction, endLsn, shapes: undefined, definitions: undefined })
    if (random.chance(0.1)) items.push({ _tag: "Keepalive", walEnd: endLsn + 10 })
  }
  return { events, items, endLsn }
}
