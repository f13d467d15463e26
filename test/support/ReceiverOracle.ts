/**
 * What a receiver must have got, from another slot of the server (`test_decoding`, made before the load): every committed
 * change, in the order of the stream. And what must hold of the order in which it was accepted.
 */
import { type Received, type ReceivedData, type Receiver, valueOf } from "./Receiver.ts"

/** A change in the words of both sides. `from`: the row's key before; `stamp`: unique a change, null for D and T. */
export interface Change {
  readonly action: string
  readonly table: string
  readonly id: number | null
  readonly from: number | null
  readonly stamp: number | null
}

const actions: Readonly<Record<string, string>> = { INSERT: "I", UPDATE: "U", DELETE: "D", TRUNCATE: "T" }

const numbers = (text: string, column: string): ReadonlyArray<number> =>
  [...text.matchAll(new RegExp(`(?:^| )${column}\\[[a-z]+\\]:(\\d+)`, "g"))].map((match) => Number(match[1]))

/** One line of `pg_logical_slot_get_changes` of a slot with test_decoding; BEGIN and COMMIT are no changes. */
const fromLine = (line: string): ReadonlyArray<Change> => {
  const match = /^table (.+?): (INSERT|UPDATE|DELETE|TRUNCATE):(.*)$/s.exec(line)
  if (match === null) return []
  const action = actions[match[2]!]!
  if (action === "T") {
    return match[1]!.split(", ").map((name) => ({ action, table: name, id: null, from: null, stamp: null }))
  }
  const ids = numbers(match[3]!, "id")
  const id = ids.at(-1) ?? null
  return [{ action, table: match[1]!, id, from: action === "I" ? null : ids[0] ?? null, stamp: action === "D" ? null : numbers(match[3]!, "stamp").at(-1) ?? null }]
}

/** `schema`: only its tables. */
export const expectedOf = (lines: string, schema: string): ReadonlyArray<Change> =>
  lines.split("\n").flatMap(fromLine).filter((change) => change.table.startsWith(`${schema}.`))

const number = (value: unknown): number | null => (value === undefined || value === null ? null : Number(value))

export const changeOf = (data: ReceivedData): Change => {
  const [columns, identity] = [data.columns, data.identity]
  const from = data.action === "U" || data.action === "D" ? number(valueOf(identity, "id")) : null
  return {
    action: data.action, table: `${data.schema}.${data.table}`, from,
    id: data.action === "D" ? from : number(valueOf(columns, "id")),
    stamp: data.action === "D" ? null : number(valueOf(columns, "stamp"))
  }
}

const bySequence = (a: Received, b: Received) => a.sequence - b.sequence

/** Accepted changes of a schema in the order of their numbers, which is the order of the stream. */
export const inStreamOrder = (receiver: Receiver, schema: string): ReadonlyArray<Change> =>
  [...receiver.accepted.values()].filter(({ data }) => data.schema === schema).sort(bySequence).map(({ data }) => changeOf(data))

/** Keys of which each change must be accepted in order; `undefined`: the whole table. */
const keysOf = ({ from, id, action }: Change, keyless: boolean): ReadonlyArray<string> | undefined =>
  action === "T" || keyless ? undefined : [...new Set([id, from].filter((key) => key !== null).map(String))]

/** Pairs that were accepted the wrong way round, given the tables without a key. */
export const orderProblems = (receiver: Receiver, keyless: ReadonlySet<string>): ReadonlyArray<string> => {
  const problems: Array<string> = []
  const last = new Map<string, number>()
  const whole = new Map<string, number>()
  for (const { data, id, sequence } of receiver.accepted.values()) {
    if (data.schema === "pgstream") continue
    const change = changeOf(data)
    const { table } = change
    const keys = keysOf(change, keyless.has(table))
    const names = keys === undefined
      ? [...last.keys()].filter((name) => name.startsWith(`${table} `))
      : keys.map((key) => `${table} ${key}`)
    const latest = Math.max(whole.get(table) ?? 0, ...names.map((name) => last.get(name) ?? 0))
    if (latest > sequence) problems.push(`${id} (${JSON.stringify(change)}, number ${sequence}) was accepted after number ${latest} of its key`)
    if (keys === undefined) whole.set(table, Math.max(whole.get(table) ?? 0, sequence))
    else for (const name of names) last.set(name, Math.max(last.get(name) ?? 0, sequence))
  }
  return problems
}

/** Numbers count 1, 2, 3 … without a gap, each stands for one event, and all are of one epoch. */
export const numberProblems = (receiver: Receiver): ReadonlyArray<string> => {
  const problems: Array<string> = []
  const idOf = new Map<number, string>()
  const sequenceOf = new Map<string, number>()
  const epochs = new Set<string>()
  for (const { epoch, id, sequence } of receiver.requests) {
    epochs.add(epoch)
    if ((idOf.get(sequence) ?? id) !== id) problems.push(`number ${sequence} stands for ${id} and ${idOf.get(sequence)}`)
    if ((sequenceOf.get(id) ?? sequence) !== sequence) problems.push(`${id} has the numbers ${sequence} and ${sequenceOf.get(id)}`)
    idOf.set(sequence, id)
    sequenceOf.set(id, sequence)
  }
  const missing = Array.from({ length: Math.max(0, ...idOf.keys()) }, (_, n) => n + 1).filter((n) => !idOf.has(n))
  if (missing.length > 0) problems.push(`numbers that never came: ${missing.slice(0, 20).join(", ")} (${missing.length})`)
  if (epochs.size > 1) problems.push(`${epochs.size} epochs: ${[...epochs].join(", ")}`)
  return problems
}

/** Events of our own tables, but for the two of the schema log: what parks, counts and logs is in the WAL, too. */
export const ownTables = (receiver: Receiver): ReadonlyArray<string> => [
  ...new Set(receiver.requests.filter(({ data }) => data.schema === "pgstream").map(({ data }) => String(data.table)))
].filter((table) => table !== "schema_log" && table !== "table_ids")
