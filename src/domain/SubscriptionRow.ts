/**
 * A row change of `pgstream.webhook_subscriptions`, read from the stream: text forms of both plugins.
 *
 * The table has REPLICA IDENTITY FULL: an old row is whole, and holds what the new one leaves out as unchanged.
 * Rows from before the columns `id` and `endpoint_id` were there (a slot that is behind a takeover) have no id: they
 * say nothing that the definitions stored by `init` do not have.
 */
import { type Change, type ChangeKind, NULL, type Row, UNCHANGED } from "./Change.ts"
import type { Subscription, SubscriptionId } from "./Subscription.ts"

export const isSubscriptionsTable = (change: Change): boolean => {
  const relation = change.relation
  return relation !== undefined && relation.table === "webhook_subscriptions" && relation.schema === "pgstream"
}

/** `undefined`: no such column here, or not sent. */
const valueIn = (row: Row | undefined, name: string): string | null | undefined => {
  if (row === undefined) return undefined
  for (let i = 0; i < row.columns.length; i++) {
    if (row.columns[i]!.name !== name) continue
    const start = row.spans[2 * i]!
    if (start === UNCHANGED) return undefined
    return start === NULL ? null : row.bytes.toString("utf8", start, row.spans[2 * i + 1]!)
  }
  return undefined
}

/**
 * Elements of a one-dimensional `text[]` in text form: `{I,"U",NULL}`. NULL is `""`, which is no kind: an array of
 * nothing else selects nothing, as in the database, and must not become the empty array that selects all.
 */
export const parseTextArray = (text: string): ReadonlyArray<string> => {
  const elements: Array<string> = []
  const body = text.slice(text.indexOf("{") + 1, text.lastIndexOf("}"))
  const pattern = /"((?:[^"\\]|\\.)*)"|([^,]+)/gs
  for (const [, quoted, bare] of body.matchAll(pattern)) {
    if (quoted !== undefined) elements.push(quoted.replaceAll(/\\(.)/gs, "$1"))
    else if (bare !== undefined) elements.push(bare === "NULL" ? "" : bare)
  }
  return elements
}

const TIMESTAMP =
  /^(\d{4,})-(\d\d)-(\d\d) (\d\d):(\d\d):(\d\d)(?:\.(\d{1,6}))?(?:([+-])(\d\d)(?::(\d\d))?(?::(\d\d))?)?$/

/** `2026-11-24 00:12:21.22944+00` as µs since 1970; `0` for what is no such text (infinity). */
export const parseTimestampUs = (text: string): number => {
  const match = TIMESTAMP.exec(text)
  if (match === null) return 0
  const part = (i: number): number => Number(match[i] ?? 0)
  const ms = Date.UTC(part(1), part(2) - 1, part(3), part(4), part(5), part(6))
  const zoneMs = (part(9) * 3600 + part(10) * 60 + part(11)) * 1000 * (match[8] === "-" ? -1 : 1)
  return (ms - zoneMs) * 1000 + Number((match[7] ?? "").padEnd(6, "0"))
}

export type RowChange =
  | { readonly _tag: "Put"; readonly row: Subscription }
  | { readonly _tag: "Remove"; readonly id: SubscriptionId }
  | { readonly _tag: "RemoveAll" }
  /** Carries no id: see above. */
  | { readonly _tag: "Unknown" }

export const read = (change: Change): RowChange => {
  if (change.kind === "T") return { _tag: "RemoveAll" }
  const [next, old] = [change.newRow(), change.oldRow()]
  const value = (name: string): string | null => valueIn(next, name) ?? valueIn(old, name) ?? null
  if (change.kind === "D") {
    const id = valueIn(old, "id")
    return typeof id === "string" ? { _tag: "Remove", id } : { _tag: "Unknown" }
  }
  const [id, endpointId, url] = [value("id"), value("endpoint_id"), value("url")]
  if (id === null || endpointId === null || url === null) return { _tag: "Unknown" }
  const newTypes = valueIn(next, "event_types")
  const types = newTypes === undefined ? valueIn(old, "event_types") ?? null : newTypes
  return {
    _tag: "Put",
    row: {
      id,
      endpointId,
      url,
      schema: value("schema_name") ?? "",
      table: value("table_name") ?? "",
      eventTypes: types === null ? [] : parseTextArray(types) as ReadonlyArray<ChangeKind>,
      createdAtUs: parseTimestampUs(value("created_at") ?? "")
    }
  }
}
