/** `pgstream subscriptions list | add | update | remove` */
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import type { ChangeKind } from "../../domain/Change.ts"
import { stateOf, type Endpoint, type Subscription } from "../../domain/Subscription.ts"
import * as WebhookUrl from "../../domain/WebhookUrl.ts"
import { AddressGuard } from "../../services/AddressGuard.ts"
import { fieldProblems, inWords } from "../../services/ApiNamedFields.ts"
import * as ApiViews from "../../services/ApiViews.ts"
import * as Audit from "../../services/Audit.ts"
import { EndpointStore } from "../../services/EndpointStore.ts"
import { EVENT_TYPES, SubscribeRequest } from "../../services/SubscriptionApi.ts"
import { COUNTED_DELIVERIES, type RemovedSubscription, SubscriptionStore } from "../../services/SubscriptionStore.ts"
import { administer, type Connection, failed, type Output, storeFailed, usage } from "./Admin.ts"
import { print, printJson, say } from "./Globals.ts"
import * as Find from "./SubscriptionsFind.ts"
import * as Sending from "./SubscriptionsSending.ts"
import { count, shortId, table } from "./TextTable.ts"

/** What is only added to an answer: without it, its state is not known. */
const statesOf = EndpointStore.use((store) => store.list).pipe(
  Effect.map((all) => new Map(all.map((endpoint) => [endpoint.id, endpoint]))),
  Effect.catch(() =>
    Effect.as(say("The states of the endpoints cannot be read now; they are left out."), new Map<string, Endpoint>()))
)

const withState = (row: Subscription, endpoint: Endpoint | undefined) => ({
  ...ApiViews.subscription(row, "manage"), ...(endpoint === undefined ? {} : ApiViews.state(endpoint))
})


export const list = (flags: Connection & Output) =>
  administer(flags, Effect.gen(function*() {
    const rows = yield* Find.listed
    const states = yield* statesOf
    if (flags.json) {
      return yield* printJson({ subscriptions: rows.map((row) => withState(row, states.get(row.endpointId))) })
    }
    const lines = rows.map((row) => {
      const endpoint = states.get(row.endpointId)
      return [
        shortId(row.id), shortId(row.endpointId), Find.tableOf(row), Find.kindsOf(row),
        endpoint === undefined ? "-" : stateOf(endpoint), WebhookUrl.withoutUserinfo(row.url)
      ]
    })
    yield* print(table(["ID", "ENDPOINT", "TABLE", "EVENTS", "STATE", "URL"], lines))
  }))

const isKind = (text: string): text is ChangeKind => EVENT_TYPES.some((known) => known === text)

/** `I,U` · `all`: none by name. */
const kinds = (text: string): Effect.Effect<ReadonlyArray<ChangeKind>, Error> => {
  if (text === "all") return Effect.succeed([])
  const given = text.split(",").map((part) => part.trim())
  const unknown = given.find((part) => !isKind(part))
  return unknown === undefined
    ? Effect.succeed([...new Set(given.filter(isKind))])
    : Effect.fail(usage(`--event-types: ${JSON.stringify(unknown)} is none of I, U, D, T, M; write for example I,U, or all`))
}

export interface AddFlags extends Connection, Output, Sending.SendingFlags {
  readonly url: string
  readonly schema: string
  readonly table: string
  readonly eventTypes: string
}

const decode = Schema.decodeUnknownResult(SubscribeRequest, { errors: "all" })

const stateLines = (endpoint: Endpoint | undefined): ReadonlyArray<string> => {
  if (endpoint === undefined || !endpoint.paused) return []
  const state = stateOf(endpoint)
  const why = endpoint.pausedReason === undefined ? "" : `: ${endpoint.pausedReason}`
  return [`The endpoint is ${state}${why}. To send:   pgstream subscriptions resume ${endpoint.id}`]
}

const sendingView = (changed: Endpoint | undefined) =>
  changed === undefined ? {} : { endpoint: ApiViews.endpoint(changed, Date.now(), "manage") }
const sendingLine = (endpoint: Endpoint): string => `Its endpoint ${endpoint.id}, for all its subscriptions: ${Sending.describe(endpoint)}.`

export const add = Effect.fnUntraced(function*(flags: AddFlags) {
  const types = yield* kinds(flags.eventTypes)
  const request = { url: flags.url, schema: flags.schema, table: flags.table, event_types: types }
  const valid = decode(request)
  if (Result.isFailure(valid)) return yield* usage(inWords(fieldProblems(valid.failure.issue)))
  const change = yield* Sending.changeOf(flags)
  yield* administer(flags, Effect.gen(function*() {
    yield* AddressGuard.use((guard) => guard.check(flags.url)).pipe(
      Effect.mapError(({ message }) => failed(1, message.replace(/\.$/, ""), "AddressNotAllowed"))
    )
    const key = { url: flags.url, schema: flags.schema, table: flags.table }
    const row = yield* SubscriptionStore.use((store) => store.subscribe(key, types)).pipe(Effect.catchTags({
      SubscriptionStoreError: (error) => Effect.fail(storeFailed(error)),
      TooManySubscriptions: ({ max }) => Effect.fail(failed(
        1, `There are ${max} subscriptions, the most that are let in`, "TooManySubscriptions", ["More:   PGSTREAM_WEBHOOK_SUBSCRIPTION_MAX"]
      ))
    }))
    yield* Audit.record({ action: "subscribe", url: row.url, details: { subscriptionId: row.id, endpointId: row.endpointId } })
    const changed = change === undefined ? undefined : yield* Sending.apply(row.endpointId, change, `It is subscribed as ${row.id}.`)
    const endpoint = (yield* statesOf).get(row.endpointId)
    if (flags.json) return yield* printJson({ ...withState(row, endpoint), ...sendingView(changed) })
    yield* print(row.id)
    yield* say(`Subscribed ${WebhookUrl.withoutUserinfo(row.url)} to ${Find.tableOf(row)} (${Find.kindsOf(row)}): `
      + "changes that commit from now on are sent.")
    if (changed !== undefined) yield* say(sendingLine(changed))
    for (const line of stateLines(endpoint)) yield* say(line)
  }))
})

export interface UpdateFlags extends Connection, Output, Sending.SendingFlags {
  readonly name: string
  readonly eventTypes: Option.Option<string>
}

const retype = Effect.fnUntraced(function*(found: Subscription, types: ReadonlyArray<ChangeKind>) {
  const row = yield* SubscriptionStore.use((store) => store.update(found.id, types)).pipe(Effect.mapError(storeFailed))
  if (row === undefined) return yield* failed(1, "It was removed just now", "NoSuchSubscription")
  yield* Audit.record({ action: "subscription.update", url: row.url, details: { subscriptionId: row.id } })
  return row
})

export const update = Effect.fnUntraced(function*(flags: UpdateFlags) {
  const types = Option.isNone(flags.eventTypes) ? undefined : yield* kinds(flags.eventTypes.value)
  const change = yield* Sending.changeOf(flags)
  if (types === undefined && change === undefined) {
    return yield* usage("Say what to change: --event-types, --order, --concurrency, --rate, --batch or --gzip")
  }
  yield* administer(flags, Effect.gen(function*() {
    const found = yield* Find.subscription(flags.name, yield* Find.listed)
    const row = types === undefined ? found : yield* retype(found, types)
    const done = types === undefined ? "Nothing was changed." : "The event types were changed."
    const changed = change === undefined ? undefined : yield* Sending.apply(row.endpointId, change, done)
    if (flags.json) return yield* printJson({ ...ApiViews.subscription(row, "manage"), ...sendingView(changed) })
    if (types !== undefined) {
      yield* say(`${WebhookUrl.withoutUserinfo(row.url)} gets ${Find.kindsOf(row)} of ${Find.tableOf(row)}, for changes that commit from now on.`)
    }
    if (changed !== undefined) yield* say(sendingLine(changed))
  }))
})

export interface RemoveFlags extends Connection, Output {
  readonly name: string
  readonly all: boolean
}

/** One by its id or URL; with `--all`, every one of a URL. */
const meant = (flags: RemoveFlags, rows: ReadonlyArray<Subscription>) => {
  const same = rows.filter(({ url }) => [url, WebhookUrl.withoutUserinfo(url)].includes(flags.name))
  return flags.all && same.length > 0
    ? Effect.succeed(same)
    : Effect.map(Find.subscription(flags.name, rows), (row) => [row])
}

const removedLine = ({ endpointEnded, subscription: row, withdrawn }: RemovedSubscription): string => {
  const counted = withdrawn >= COUNTED_DELIVERIES ? `at least ${withdrawn} deliveries` : count(withdrawn, "parked delivery").replace(/ys$/, "ies")
  const what = withdrawn === 0 ? "Nothing was parked for it alone" : `${counted} of it alone will not be sent`
  const ended = endpointEnded ? " It was the last one of its endpoint, which ends with all that waits for it." : ""
  return `Removed ${row.id}: ${Find.tableOf(row)} to ${WebhookUrl.withoutUserinfo(row.url)}. ${what}.${ended}`
}

export const remove = (flags: RemoveFlags) =>
  administer(flags, Effect.gen(function*() {
    const rows = yield* meant(flags, yield* Find.listed)
    const store = yield* SubscriptionStore
    const removed: Array<RemovedSubscription> = []
    for (const { id } of rows) {
      const one = yield* store.remove(id).pipe(Effect.mapError(storeFailed))
      if (one === undefined) continue
      removed.push(one)
      const { endpointId, url } = one.subscription
      yield* Audit.record({ action: "unsubscribe", url, details: { subscriptionId: id, endpointId } })
    }
    if (flags.json) return yield* printJson({ removed: removed.map((one) => ApiViews.removed(one, "manage")) })
    for (const one of removed) yield* say(removedLine(one))
  }))
