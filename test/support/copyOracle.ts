/**
 * What a receiver knows who applies events in the order in which it accepted them, and what must hold of it: the table, row
 * by row, and that no row ever goes back to an older version (`stamp` rises with each write of a row).
 */
import type { ReceivedColumn, ReceivedData, Receiver } from "./Receiver.ts"

type Values = ReadonlyMap<string, unknown>
/** Names of the key's columns by table; where there are none: `id`. */
export type Keys = Readonly<Record<string, ReadonlyArray<string>>>

const ID = ["id"]
const keyOf = (keys: Keys, table: string): ReadonlyArray<string> => keys[table] ?? ID

const valuesOf = (columns: ReadonlyArray<ReceivedColumn> | null): Map<string, unknown> =>
  new Map((columns ?? []).map(({ name, value }) => [name, value]))

export class CopyOracle {
  /** By table, then key. */
  readonly tables = new Map<string, Map<string, Values>>()
  readonly problems: Array<string> = []
  readonly #stamps = new Map<string, number>()
  readonly #keys: Keys

  /** Order is promised for each key, so a row is told apart by all of it. */
  constructor(keys: Keys = {}) {
    this.#keys = keys
  }

  #keyOf(table: string, values: Values): string {
    return keyOf(this.#keys, table).map((name) => String(values.get(name))).join("|")
  }

  apply(id: string, data: ReceivedData): void {
    const rows = this.tables.get(data.table) ?? new Map<string, Values>()
    this.tables.set(data.table, rows)
    if (data.action === "T") return rows.clear()
    const identity = valuesOf(data.identity)
    if (data.action === "D") return void rows.delete(this.#keyOf(data.table, identity))
    const columns = valuesOf(data.columns)
    const key = this.#keyOf(data.table, columns)
    const before = data.action === "U" ? this.#keyOf(data.table, identity) : key
    this.#trace(id, data, key, columns)
    // Values that did not change and were not sent are those that were there.
    const row = data.action === "U" ? new Map([...rows.get(before) ?? [], ...columns]) : columns
    if (before !== key) rows.delete(before)
    rows.set(key, row)
  }

  #trace(id: string, data: ReceivedData, key: string, columns: Values): void {
    const stamp = Number(columns.get("stamp") ?? 0)
    const at = `${data.table} ${key}`
    const last = this.#stamps.get(at) ?? 0
    if (stamp < last) this.problems.push(`${at} went back from ${last} to ${stamp} (${data.action} ${id})`)
    this.#stamps.set(at, Math.max(last, stamp))
  }
}

/** Rows of `sql` (JSON objects, one a line), against what the receiver knows; what differs, in words. */
export const differences = (
  oracle: CopyOracle, table: string, lines: string, columns: ReadonlyArray<string>, keys: Keys = {}
): ReadonlyArray<string> => {
  const known = new Map(oracle.tables.get(table))
  const found: Array<string> = []
  for (const line of lines.trim().split("\n").filter((each) => each !== "")) {
    const row = JSON.parse(line) as Record<string, unknown>
    const at = keyOf(keys, table).map((name) => String(row[name])).join("|")
    const mine = known.get(at)
    known.delete(at)
    if (mine === undefined) found.push(`${table} ${at} is missing`)
    else for (const name of columns) {
      if (String(mine.get(name)) === String(row[name])) continue
      found.push(`${table} ${at}: ${name} is ${String(mine.get(name)).slice(0, 20)} and should be ${String(row[name]).slice(0, 20)}`)
    }
  }
  for (const at of known.keys()) found.push(`${table} ${at} is too much`)
  return found
}

export const applied = (receiver: Receiver, keys?: Keys): CopyOracle => {
  const oracle = new CopyOracle(keys)
  for (const { data, id } of receiver.accepted.values()) if (data.schema !== "pgstream") oracle.apply(id, data)
  return oracle
}

/** Ids of a copy that came more than once, though each answer was heard. */
export const twice = (receiver: Receiver): ReadonlyArray<string> =>
  receiver.requests.filter(({ before, id }) => before > 0 && id.startsWith("s-")).map(({ id }) => id)
