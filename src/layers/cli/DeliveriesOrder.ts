/** `pgstream deliveries retry | replay | purge | command | cancel`: ordered here, carried out by the service that runs. */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import * as Result from "effect/Result"
import { userInfo } from "node:os"
import * as DeliverySelector from "../../domain/DeliverySelector.ts"
import type { StreamId } from "../../domain/StreamId.ts"
import * as WebhookUrl from "../../domain/WebhookUrl.ts"
import { AddressGuard } from "../../services/AddressGuard.ts"
import * as Audit from "../../services/Audit.ts"
import { MAX_RATE } from "../../services/DeliveryApi.ts"
import { type CommandKind, type CommandView, DeliveryCommands } from "../../services/DeliveryCommands.ts"
import * as Views from "../../services/DeliveryViews.ts"
import { administer, type Connection, failed, type Output, usage } from "./Admin.ts"
import { asked, type Selecting, selectorOf, stream } from "./DeliveriesFlags.ts"
import { CommandFailed } from "./Failure.ts"
import { print, printJson, say } from "./Globals.ts"
import { count } from "./TextTable.ts"

export interface OrderFlags extends Connection, Output, Selecting {
  readonly state: Option.Option<DeliverySelector.SelectedState>
  readonly all: boolean
  readonly wait: boolean
}
export interface PacedFlags extends OrderFlags {
  readonly rate: Option.Option<string>
}
export interface ReplayFlags extends PacedFlags {
  readonly to: Option.Option<string>
}

/** How often it is looked at, how long a service may take to begin, and how often it is said that nothing moves, ms. */
const LOOK_EVERY_MS = 300
const BEGINS_WITHIN_MS = 10_000
const STILL_EVERY_MS = 10_000
/** Commands among which those before it are looked for. */
const LISTED = 100

/** `50/s`, or `50`. */
const rateOf = Effect.fnUntraced(function*(text: Option.Option<string>) {
  if (Option.isNone(text)) return undefined
  const [, digits] = /^([1-9]\d{0,6})(?:\/s)?$/.exec(text.value) ?? []
  const rate = Number(digits)
  return digits !== undefined && rate <= MAX_RATE ? rate : yield* usage(`--rate: write a number from 1 to ${MAX_RATE}, such as 50/s`)
})

const targetOf = Effect.fnUntraced(function*(text: Option.Option<string>) {
  if (Option.isNone(text)) return undefined
  if (Result.isFailure(WebhookUrl.parse(text.value))) return yield* usage("--to is no absolute http or https URL")
  yield* (yield* AddressGuard).check(text.value).pipe(Effect.mapError((refused) => failed(1, "Cannot replay there", "AddressNotAllowed", [refused.message])))
  return text.value
})

const counted = (deliveries: number): string => count(deliveries, "delivery", "deliveries")

const summary = ({ done, id, kind, note, skipped, state }: CommandView): string =>
  `Command ${id} (${kind}) is ${state}: ${counted(done)}${skipped === 0 ? "" : `, ${skipped} could not be`}.${note === "" ? "" : `\n${note}`}`

const get = Effect.fnUntraced(function*(current: StreamId, id: number) {
  const found = yield* (yield* DeliveryCommands).get(current, id).pipe(Effect.mapError(asked))
  return found ?? (yield* failed(1, `There is no command ${id}`, "NoSuchCommand", ["What there is:   pgstream deliveries commands"]))
})

/** One that was ordered earlier and has not ended: they are carried out one after the other. */
const before = (current: StreamId, id: number) =>
  Effect.gen(function*() {
    const all = yield* (yield* DeliveryCommands).list(current, LISTED).pipe(Effect.mapError(asked))
    return all.findLast((each) => each.id < id && each.endedAtMs === undefined)
  })

/** Follows it to its end, or until it is plain that nobody begins with it. */
const followed = Effect.fnUntraced(function*(current: StreamId, id: number) {
  const began = yield* Clock.currentTimeMillis
  for (let [told, saidAtMs] = [0, began]; ;) {
    const view = yield* get(current, id)
    const now = yield* Clock.currentTimeMillis
    if (view.endedAtMs !== undefined) return view
    if (view.state === "queued" && now - began > BEGINS_WITHIN_MS) return view
    if (view.done !== told) {
      yield* say(`${counted(view.done)} …`)
      saidAtMs = now
    } else if (view.state === "running" && now - saidAtMs >= STILL_EVERY_MS) {
      yield* say(`Still ${counted(told)}. The service that runs is at it; where none runs any more, the next   pgstream run   of this slot goes on. Ctrl-C here stops nothing.`)
      saidAtMs = now
    }
    told = view.done
    yield* Effect.sleep(LOOK_EVERY_MS)
  }
})

const ended = Effect.fnUntraced(function*(current: StreamId, view: CommandView, json: boolean) {
  if (json) yield* printJson(Views.command(view))
  if (view.state === "failed" || view.state === "cancelled") {
    return yield* new CommandFailed({ exitCode: 1, text: `${summary(view)}\n\nWhat was done stays done.  CommandFailed` })
  }
  if (!json) yield* print(summary(view))
  if (view.state === "queued") {
    const earlier = yield* before(current, view.id)
    yield* say(earlier === undefined
      ? `No service has begun with it. It is queued, and   pgstream run   of this slot carries it out. How far it is:   pgstream deliveries command ${view.id}`
      : `It is queued behind command ${earlier.id} (${earlier.kind}), which is ${earlier.state}. How far it is:   pgstream deliveries command ${view.id}`)
  }
})

const order = Effect.fnUntraced(function*(kind: CommandKind, flags: OrderFlags, rateText: Option.Option<string>, to: Option.Option<string>) {
  const selector = yield* selectorOf(flags, Option.getOrUndefined(flags.state))
  if (DeliverySelector.isAll(selector) && !flags.all) {
    return yield* usage(`Say which deliveries are meant (--endpoint, --id, --state, --table, --key, --since, --until), or --all`)
  }
  const rate = yield* rateOf(rateText)
  const url = yield* targetOf(to)
  const current = yield* stream
  const by = `command line, ${userInfo().username}`
  const request = { kind, selector, target: url === undefined ? undefined : Redacted.make(url), rate, by }
  const id = yield* (yield* DeliveryCommands).add(current, request).pipe(Effect.mapError(asked))
  yield* Audit.record({ action: `deliveries.${kind}`, url, details: { command: id, selection: DeliverySelector.describe(selector) } })
  yield* ended(current, flags.wait ? yield* followed(current, id) : yield* get(current, id), flags.json)
})

export const retry = (flags: PacedFlags) => administer(flags, order("retry", flags, flags.rate, Option.none()))
export const replay = (flags: ReplayFlags) => administer(flags, order("replay", flags, flags.rate, flags.to))
export const purge = (flags: OrderFlags) => administer(flags, order("purge", flags, Option.none(), Option.none()))

export const command = (flags: Connection & Output & { readonly number: number }) =>
  administer(flags, Effect.gen(function*() {
    const view = yield* get(yield* stream, flags.number)
    yield* (flags.json ? printJson(Views.command(view)) : print(summary(view)))
  }))

export const cancel = (flags: Connection & Output & { readonly number: number }) =>
  administer(flags, Effect.gen(function*() {
    const current = yield* stream
    yield* get(current, flags.number)
    yield* (yield* DeliveryCommands).cancel(current, flags.number).pipe(Effect.mapError(asked))
    const view = yield* get(current, flags.number)
    yield* (flags.json ? printJson(Views.command(view)) : print(summary(view)))
  }))

export const commands = (flags: Connection & Output) =>
  administer(flags, Effect.gen(function*() {
    const all = yield* (yield* DeliveryCommands).list(yield* stream, LISTED).pipe(Effect.mapError(asked))
    if (flags.json) return yield* printJson({ commands: all.map(Views.command) })
    for (const each of all) yield* print(summary(each))
  }))
