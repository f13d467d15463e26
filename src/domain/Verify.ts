/**
 * Whether every number that an endpoint was given is accounted for, and, with the receiver's own list, which numbers
 * it has not got (`pgstream verify`).
 *
 * given (at the checkpoint) = delivered + waiting + dead + suspended + withdrawn + purged. Delivered ones are not
 * recorded one by one, so they are what is left: a receiver's list is what proves them.
 */
import * as EventId from "./EventId.ts"
import * as Ranges from "./Ranges.ts"
import type { SeenNumbers } from "./SeenNumbers.ts"

/**
 * waiting: parked, in rows or segments · dead: not tried any more · suspended: over the budget, counted and not stored ·
 * withdrawn: only a removed subscription selected it · purged: erased by an operator.
 */
export type AccountState = "waiting" | "dead" | "suspended" | "withdrawn" | "purged"

/** Of two states of one number the first counts: what is still there before what is only recorded. */
export const states: ReadonlyArray<AccountState> = ["waiting", "dead", "suspended", "withdrawn", "purged"]

/** What the store knows of one endpoint in its epoch in force. */
export interface Known {
  readonly endpointId: string
  readonly epoch: string
  /** Numbers given at the checkpoint: 1 … given. What is above is not settled yet. */
  readonly given: number
  readonly accounts: Readonly<Partial<Record<AccountState, Ranges.Ranges>>>
  /** Deliveries that the log has as accepted, newest first: what ids alone can be compared with. */
  readonly accepted: ReadonlyArray<{ readonly id: string; readonly sequence: number }>
}

export interface Balance {
  readonly given: number
  readonly delivered: Ranges.Ranges
  readonly accounts: Readonly<Record<AccountState, Ranges.Ranges>>
}

/** Each number from 1 to `given` in exactly one place. */
export const balance = ({ accounts, given }: Pick<Known, "accounts" | "given">): Balance => {
  let left = Ranges.between(1, given)
  const found = {} as Record<AccountState, Ranges.Ranges>
  for (const state of states) {
    found[state] = Ranges.intersect(left, accounts[state] ?? Ranges.empty)
    left = Ranges.subtract(left, found[state])
  }
  return { given, delivered: left, accounts: found }
}

/** The receiver's list, as far as it is about this endpoint and epoch. */
export interface Received {
  readonly numbers: SeenNumbers
  /** How often each id came, of lines that have no number. */
  readonly ids: ReadonlyMap<string, number>
}

export interface Comparison {
  /** Delivered, says the service, and not in the list. */
  readonly missing: Ranges.Ranges
  /** The same of a list with numbers that has ids without one, too: they may be among these, or be of events that it has by number. */
  readonly unproven: Ranges.Ranges
  /** Ids that the log has as accepted and the list has not; only where the list has ids alone. */
  readonly missingIds: ReadonlyArray<string>
  /** Ids alone: so many events fewer than were delivered. 0 where the list has numbers. */
  readonly fewer: number
  readonly twice: Ranges.Ranges
  readonly twiceIds: ReadonlyArray<string>
  /** In the list and above the checkpoint: not settled yet. */
  readonly unsettled: Ranges.Ranges
  /** In the list though they wait, are dead, withdrawn or erased: the answer was lost, or came too late. */
  readonly anyway: Ranges.Ranges
  /** The list has numbers: `missing` is exact. */
  readonly exact: boolean
}

export const compare = (known: Known, { ids, numbers }: Received): Comparison => {
  const { delivered } = balance(known)
  const seen = numbers.seen(1)
  const settled = Ranges.intersect(seen, Ranges.between(1, known.given))
  const exact = ids.size === 0
  const lacks = Ranges.subtract(delivered, seen)
  return {
    missing: exact ? lacks : Ranges.empty,
    unproven: exact || seen.length === 0 ? Ranges.empty : lacks,
    missingIds: exact ? [] : [...new Set(known.accepted.flatMap(({ id, sequence }) =>
      ids.has(id) || sequence === 0 || Ranges.has(seen, sequence) ? [] : [id]))],
    fewer: exact ? 0 : Math.max(0, Ranges.size(lacks) - ids.size),
    twice: numbers.seen(2),
    twiceIds: [...ids].flatMap(([id, times]) => (times > 1 ? [id] : [])),
    unsettled: Ranges.subtract(seen, settled),
    anyway: Ranges.subtract(settled, delivered),
    exact
  }
}

/** Something that the service takes for delivered is not in the list, or may not be. */
export const isMissing = ({ fewer, missing, missingIds, unproven }: Comparison): boolean =>
  missing.length > 0 || unproven.length > 0 || missingIds.length > 0 || fewer > 0

/** One line of a receiver's list. */
export interface ReceivedLine {
  readonly endpointId: string | undefined
  readonly epoch: string | undefined
  readonly sequence: number | undefined
  readonly id: string | undefined
}

const textOf = (value: unknown): string | undefined =>
  typeof value === "string" && value !== "" ? value : typeof value === "number" ? String(value) : undefined

const sequenceOf = (text: string | undefined): number | undefined =>
  text !== undefined && /^[1-9]\d{0,15}$/.test(text) ? Number(text) : undefined

const fromJson = (line: string): ReceivedLine | undefined => {
  let parsed: unknown
  try {
    parsed = JSON.parse(line)
  } catch {
    return undefined
  }
  if (typeof parsed !== "object" || parsed === null) return undefined
  const all = parsed as Readonly<Record<string, unknown>>
  const headers = typeof all["headers"] === "object" && all["headers"] !== null ? all["headers"] : {}
  const fields = new Map(Object.entries({ ...all, ...headers }).map(([name, value]) => [name.toLowerCase(), value]))
  const field = (name: string) => textOf(fields.get(`webhook-${name}`) ?? fields.get(name))
  const read = { endpointId: field("endpoint"), epoch: field("epoch"), sequence: sequenceOf(field("sequence")), id: field("id") }
  return read.sequence === undefined && (read.id === undefined || !EventId.isOne(read.id)) ? undefined : read
}

/**
 * A number; an id; `epoch number`; or a JSON object with `webhook-id`, `webhook-sequence`, `webhook-epoch` and
 * `webhook-endpoint` as far as it has them, also under `headers`. `undefined`: none of them.
 */
export const parseLine = (text: string): ReceivedLine | undefined => {
  const line = text.trim()
  if (line.startsWith("{")) return fromJson(line)
  const parts = line.split(/[\s,;]+/)
  const [first = "", second] = parts
  const none = { endpointId: undefined, epoch: undefined, sequence: undefined, id: undefined }
  if (first === "" || parts.length > 2) return undefined
  if (second !== undefined) {
    const sequence = sequenceOf(second)
    return sequence === undefined ? undefined : { ...none, epoch: first, sequence }
  }
  const sequence = sequenceOf(first)
  if (sequence !== undefined) return { ...none, sequence }
  // A heading, say, is none: as an id it would stand for an event that came.
  return EventId.isOne(first) ? { ...none, id: first } : undefined
}
