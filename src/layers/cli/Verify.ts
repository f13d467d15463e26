/** `pgstream verify` */
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import { createReadStream } from "node:fs"
import { createInterface } from "node:readline"
import * as Lookup from "../../domain/Lookup.ts"
import * as Ranges from "../../domain/Ranges.ts"
import { SeenNumbers } from "../../domain/SeenNumbers.ts"
import type { StreamId } from "../../domain/StreamId.ts"
import * as Numbers from "../../domain/Verify.ts"
import * as WebhookUrl from "../../domain/WebhookUrl.ts"
import * as Views from "../../services/DeliveryViews.ts"
import { type KnownEndpoint, Verify } from "../../services/Verify.ts"
import { administer, type Connection, failed, type Output, usage } from "./Admin.ts"
import { asked, stream } from "./DeliveriesFlags.ts"
import { CommandFailed } from "./Failure.ts"
import { print, printJson, say } from "./Globals.ts"
import * as Find from "./SubscriptionsFind.ts"
import { shortId, table } from "./TextTable.ts"

export interface Flags extends Connection, Output {
  readonly endpoint: Option.Option<string>
  readonly received: Option.Option<string>
}

/** Ids without a number that are held; a list with numbers may be of any length. */
const MAX_IDS = 5_000_000
/** Ranges and ids that are named in text; --json has more. */
const NAMED = 20

interface List {
  readonly numbers: SeenNumbers
  readonly ids: Map<string, number>
  /** Lines of other endpoints or epochs, and lines that cannot be read. */
  others: number
  unread: number
}

const take = (list: List, { endpointId, epoch }: KnownEndpoint, line: string): void => {
  if (line.trim() === "") return
  const read = Numbers.parseLine(line)
  if (read === undefined) list.unread++
  else if ((read.endpointId ?? endpointId) !== endpointId || (read.epoch ?? epoch) !== epoch) list.others++
  else if (read.sequence !== undefined) {
    if (!list.numbers.add(read.sequence)) list.unread++
    // A copied row has an id and no number in JSON: it is none of those that were numbered.
  } else if (read.id !== undefined && !/^(?:s|test|notice|b)-/.test(read.id)) {
    if (list.ids.size >= MAX_IDS && !list.ids.has(read.id)) throw new RangeError("ids")
    list.ids.set(read.id, (list.ids.get(read.id) ?? 0) + 1)
  }
}

const readList = (known: KnownEndpoint, file: string) =>
  Effect.tryPromise({
    try: async () => {
      const list: List = { numbers: new SeenNumbers(), ids: new Map(), others: 0, unread: 0 }
      const input = file === "-" ? process.stdin : createReadStream(file)
      for await (const line of createInterface({ input, crlfDelay: Infinity })) take(list, known, line)
      return list
    },
    catch: (error) => error instanceof RangeError
      ? usage(`--received: more than ${MAX_IDS} ids without a number; record webhook-sequence, or split the list`)
      : usage(`--received: ${JSON.stringify(file)} cannot be read`)
  })

const HEAD = ["ENDPOINT", "GIVEN", "DELIVERED", "WAITING", "DEAD", "SUSPENDED", "WITHDRAWN", "PURGED", "EPOCH", "URL"]

/** Numbers are those of the last checkpoint: the first events may be with their receivers by then. */
const NOTHING_YET = "No number is settled yet: they are known once everything at or below them is delivered or kept."

const lineOf = (known: KnownEndpoint): ReadonlyArray<string> => {
  const { accounts, delivered, given } = Numbers.balance(known)
  const size = (ranges: Ranges.Ranges) => String(Ranges.size(ranges))
  return [
    shortId(known.endpointId), String(given), size(delivered), ...Numbers.states.map((state) => size(accounts[state])), known.epoch,
    known.url === "" ? "(ended)" : WebhookUrl.withoutUserinfo(known.url)
  ]
}

const named = Effect.fnUntraced(function*(known: KnownEndpoint) {
  const { accounts } = Numbers.balance(known)
  for (const state of Numbers.states) {
    if (accounts[state].length > 0) yield* print(`${state}: ${Ranges.format(accounts[state], NAMED)}`)
  }
  if (known.earlier > 0) yield* print(`of earlier epochs ${known.earlier} wait or are dead`)
})

const told = Effect.fnUntraced(function*(found: Numbers.Comparison, list: List) {
  const some = (ids: ReadonlyArray<string>) => `${ids.slice(0, NAMED).join(", ")}${ids.length > NAMED ? ` and ${ids.length - NAMED} more` : ""}`
  if (found.missing.length > 0) yield* print(`MISSING: ${Ranges.format(found.missing, NAMED)} (${Ranges.size(found.missing)})`)
  if (found.unproven.length > 0) {
    yield* print(`MISSING, unless among the ${list.ids.size} lines that have an id and no number: ${Ranges.format(found.unproven, NAMED)} (${Ranges.size(found.unproven)})`)
  }
  if (found.missingIds.length > 0) yield* print(`MISSING: ${some(found.missingIds)}`)
  if (found.fewer > 0) {
    yield* print(`MISSING: at least ${found.fewer} events; ids alone do not say which. Let the receiver record webhook-sequence and webhook-epoch.`)
  }
  if (found.twice.length > 0) yield* print(`received twice: ${Ranges.format(found.twice, NAMED)}`)
  if (found.twiceIds.length > 0) yield* print(`received twice: ${some(found.twiceIds)}`)
  if (found.anyway.length > 0) yield* print(`received, though not counted as delivered: ${Ranges.format(found.anyway, NAMED)}`)
  if (found.unsettled.length > 0) yield* print(`not settled yet: ${Ranges.format(found.unsettled, NAMED)}`)
  if (list.others > 0) yield* say(`${list.others} lines are of another endpoint or epoch.`)
  if (list.unread > 0) yield* say(`${list.unread} lines hold neither a number nor an id.`)
  if (Numbers.isMissing(found)) return
  yield* print(found.exact || list.numbers.count > 0
    ? "Nothing is missing."
    : "Nothing is seen to be missing: as many came as were delivered. Ids alone prove no more; let the receiver record webhook-sequence and webhook-epoch.")
})

/** One that ended is listed, too, until the service starts again; so it can be named by what the list shows, which is asked for only then. */
const chosenOf = (current: StreamId, text: string) =>
  Effect.map(Find.endpoint(text), ({ id }) => id).pipe(Effect.catch(Effect.fnUntraced(function*(none) {
    const known = yield* (yield* Verify).known(current, undefined).pipe(Effect.mapError(asked))
    const found = Lookup.find(text, known.map(({ endpointId }) => ({ id: endpointId, names: [] })))
    return found._tag === "One" ? found.item.id : yield* Effect.fail(none)
  })))

const MISSING = new CommandFailed({ exitCode: 1, text: "" })

export const run = (flags: Flags) =>
  administer(flags, Effect.gen(function*() {
    const current = yield* stream
    const chosen = Option.isNone(flags.endpoint) ? undefined : yield* chosenOf(current, flags.endpoint.value)
    const known = yield* (yield* Verify).known(current, chosen).pipe(Effect.mapError(asked))
    if (Option.isNone(flags.received)) {
      if (flags.json) return yield* printJson({ endpoints: known.map((each) => Views.numbers(each, "manage")) })
      yield* print(table(HEAD, known.map(lineOf)))
      if (known.length === 0) yield* say(NOTHING_YET)
      if (chosen !== undefined) for (const each of known) yield* named(each)
      return
    }
    const [only] = known
    if (only === undefined || known.length > 1) {
      return yield* failed(1, known.length > 1 ? "A list is one endpoint's; say of which:   --endpoint ID" : NOTHING_YET.slice(0, -1), "Ambiguous",
        known.map(({ endpointId, url }) => `${endpointId}  ${WebhookUrl.withoutUserinfo(url)}`))
    }
    const list = yield* readList(only, flags.received.value)
    const found = Numbers.compare(only, list)
    if (flags.json) {
      const view = { ...Views.numbers(only, "manage"), received: { ...Views.comparison(found), other_lines: list.others, unread_lines: list.unread } }
      yield* printJson(view)
    } else {
      yield* print(table(HEAD, [lineOf(only)]))
      yield* named(only)
      yield* told(found, list)
    }
    if (Numbers.isMissing(found)) return yield* MISSING
  }))
