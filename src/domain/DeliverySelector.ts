/**
 * Which deliveries an operator means: by endpoint, id, state, table, key, and when their transaction committed. All
 * that is given must hold; nothing given means every one.
 */
import * as Result from "effect/Result"
import type { Lsn } from "./Lsn.ts"

export type SelectedState = "waiting" | "dead"

/** One column of a key: compared with the value in the body as it is sent, as text. */
export interface KeyValue {
  readonly column: string
  readonly value: string
}

export interface DeliverySelector {
  readonly endpointId?: string
  readonly ids?: ReadonlyArray<string>
  readonly state?: SelectedState
  /** `schema.table` */
  readonly table?: string
  /** Each of them must be in `identity` or `columns`. Needs the body. */
  readonly key?: ReadonlyArray<KeyValue>
  /** Commit time, ms since 1970: from the first on, before the second. */
  readonly fromMs?: number
  readonly toMs?: number
}

/** Ids at most in one selector. */
export const MAX_IDS = 1_000
export const MAX_KEY_COLUMNS = 32

const UNIX_MS_OF_2000 = 946_684_800_000

/** LSN of its transaction's commit record, by the id; `undefined`: another kind of id. */
export const commitLsnOf = (id: string): Lsn | undefined => {
  const [, digits] = /^([0-9a-f]{16})-[0-9a-f]{1,15}-\d/.exec(id) ?? []
  const lsn = digits === undefined ? undefined : parseInt(digits, 16)
  return Number.isSafeInteger(lsn) ? lsn : undefined
}

/** When its transaction committed, ms since 1970, by the id; `undefined` for a message outside a transaction, or a copied row. */
export const committedAtMs = (id: string): number | undefined => {
  const [, time] = /^[0-9a-f]{16}-([0-9a-f]{1,15})-/.exec(id) ?? []
  return time === undefined ? undefined : UNIX_MS_OF_2000 + Math.floor(parseInt(time, 16) / 1_000)
}

/** `id=42`, or `a=1,b=2` for a key of several columns; a backslash takes the next character as it is. */
export const parseKey = (text: string): Result.Result<ReadonlyArray<KeyValue>, string> => {
  const key: Array<KeyValue> = []
  let [column, part] = [undefined as string | undefined, ""]
  const end = (): boolean => {
    if (column === undefined || column === "") return false
    key.push({ column, value: part })
    column = undefined
    part = ""
    return true
  }
  for (let i = 0; i < text.length; i++) {
    const character = text[i]!
    if (character === "\\" && i + 1 < text.length) part += text[++i]
    else if (character === "=" && column === undefined) {
      column = part
      part = ""
    } else if (character === ",") {
      if (!end()) return Result.fail("must be column=value, or column=value,column=value")
    } else part += character
  }
  if (!end()) return Result.fail("must be column=value, or column=value,column=value")
  return key.length > MAX_KEY_COLUMNS ? Result.fail(`has more than ${MAX_KEY_COLUMNS} columns`) : Result.succeed(key)
}

/** What is wrong with the name of a table. */
export const tableProblem = (table: string): string | undefined =>
  table.includes(".") ? undefined : "must be schema.table, such as public.orders"

interface BodyColumn {
  readonly name?: unknown
  readonly value?: unknown
}

const asText = (value: unknown): string | undefined =>
  typeof value === "string" ? value : value === null || value === undefined ? undefined : JSON.stringify(value)

/**
 * Numbers are kept as they are written: a reviver sees the text of each.
 */
const exactNumbers = (_name: string, value: unknown, context?: { readonly source?: string }): unknown =>
  typeof value === "number" && context?.source !== undefined ? context.source : value

const decoder = new TextDecoder("utf-8")

/** Columns and identity of a body, by name; `undefined`: it is none of ours, such as a frame that could not be decoded. */
const valuesOf = (body: Uint8Array): ReadonlyArray<BodyColumn> | undefined => {
  try {
    const parsed = JSON.parse(decoder.decode(body), exactNumbers as (name: string, value: unknown) => unknown) as {
      readonly Data?: { readonly columns?: ReadonlyArray<BodyColumn> | null; readonly identity?: ReadonlyArray<BodyColumn> | null }
    }
    const { columns, identity } = parsed.Data ?? {}
    return [...identity ?? [], ...columns ?? []]
  } catch {
    return undefined
  }
}

/** Whether the row before or after the change has these values. */
export const hasKey = (body: Uint8Array, key: ReadonlyArray<KeyValue>): boolean => {
  const values = valuesOf(body)
  return values !== undefined
    && key.every(({ column, value }) => values.some((each) => each.name === column && asText(each.value) === value))
}

interface Selectable {
  readonly endpointId: string
  readonly id: string
  readonly table: string
  readonly state: SelectedState
  /** ms since 1970: stands for the commit time where the id has none. */
  readonly parkedAtMs: number
}

/** Whether it is meant, but for the key, which needs the body. */
export const selects = (selector: DeliverySelector, delivery: Selectable): boolean => {
  const { endpointId, fromMs = -Infinity, ids, state, table, toMs = Infinity } = selector
  if (endpointId !== undefined && delivery.endpointId !== endpointId) return false
  if (ids !== undefined && !ids.includes(delivery.id)) return false
  if (state !== undefined && delivery.state !== state) return false
  if (table !== undefined && delivery.table !== table) return false
  const at = committedAtMs(delivery.id) ?? delivery.parkedAtMs
  return at >= fromMs && at < toMs
}

/** The same, key included, of what waits in memory or in segments since `waitsSinceMs`. */
export const selectsWaiting = (
  selector: DeliverySelector, event: Omit<Selectable, "state" | "parkedAtMs"> & { readonly body: Uint8Array }, waitsSinceMs: number
): boolean =>
  selects(selector, { ...event, state: "waiting", parkedAtMs: waitsSinceMs })
  && (selector.key === undefined || hasKey(event.body, selector.key))

/** By a single id its place in the stream is known without a look at others. */
export const soughtAt = ({ ids }: DeliverySelector): Lsn | undefined => (ids?.length === 1 ? commitLsnOf(ids[0]!) : undefined)

/** Nothing narrows it: it means every delivery. */
export const isAll = (selector: DeliverySelector): boolean => Object.values(selector).every((value) => value === undefined)

/** In words, for a log line; no value of a row: keys are named by their columns. */
export const describe = ({ endpointId, fromMs, ids, key, state, table, toMs }: DeliverySelector): string => {
  const parts = [
    ...(endpointId === undefined ? [] : [`endpoint ${endpointId}`]),
    ...(ids === undefined ? [] : [ids.length === 1 ? `id ${ids[0]}` : `${ids.length} ids`]),
    ...(state === undefined ? [] : [`state ${state}`]),
    ...(table === undefined ? [] : [`table ${table}`]),
    ...(key === undefined ? [] : [`a key (${key.map(({ column }) => column).join(", ")})`]),
    ...(fromMs === undefined ? [] : [`from ${new Date(fromMs).toISOString()}`]),
    ...(toMs === undefined ? [] : [`before ${new Date(toMs).toISOString()}`])
  ]
  return parts.length === 0 ? "all" : parts.join(", ")
}
