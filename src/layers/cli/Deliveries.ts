/** `pgstream deliveries list | show` */
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as WebhookUrl from "../../domain/WebhookUrl.ts"
import * as Audit from "../../services/Audit.ts"
import { BadCursor, DeliveryAdmin, type ListedDelivery, type ListedState, MAX_PAGE } from "../../services/DeliveryAdmin.ts"
import * as Views from "../../services/DeliveryViews.ts"
import { administer, type Connection, failed, type Output, usage } from "./Admin.ts"
import { asked, noSuchDelivery, type Selecting, selectorOf, stream } from "./DeliveriesFlags.ts"
import { print, printJson, say } from "./Globals.ts"
import * as Find from "./SubscriptionsFind.ts"
import { seconds, shortId, table } from "./TextTable.ts"

export interface ListFlags extends Connection, Output, Selecting {
  readonly state: Option.Option<ListedState>
  readonly blocking: boolean
  readonly counts: boolean
  readonly oldest: boolean
  readonly limit: number
  readonly cursor: Option.Option<string>
}

const number = (sequence: number): string => (sequence === 0 ? "-" : String(sequence))

const lineOf = (it: ListedDelivery): ReadonlyArray<string> => [
  it.id === "" ? "-" : it.id, shortId(it.endpointId), it.state, number(it.sequence), it.table, it.kind, String(it.attempts),
  it.dueAtMs === undefined ? seconds(it.atMs) : `due ${seconds(it.dueAtMs)}`, it.lastError ?? "-"
]
const HEAD = ["ID", "ENDPOINT", "STATE", "NUMBER", "TABLE", "KIND", "TRIES", "AT", "LAST ERROR"]

const blocking = Effect.fnUntraced(function*(flags: ListFlags) {
  const { endpointId } = yield* selectorOf(flags, undefined)
  const found = yield* (yield* DeliveryAdmin).blocking(yield* stream, endpointId).pipe(Effect.mapError(asked))
  if (flags.json) return yield* printJson(Views.blocking(found))
  yield* print(table(
    ["BEHIND", "BLOCKS", ...HEAD],
    found.blocking.map(({ behind, delivery, kind }) => [String(behind), kind === "row" ? "a key" : "a table", ...lineOf(delivery)])
  ))
  for (const [id, count] of found.partly) yield* say(`Of endpoint ${id} the first ${count} that wait were looked at; there are more.`)
  if (found.blocking.length > 0) {
    yield* say("To try one again now:   pgstream deliveries retry --id ID       To give it up:   pgstream deliveries purge --id ID")
  }
})

const counts = Effect.fnUntraced(function*(flags: ListFlags) {
  const all = yield* (yield* DeliveryAdmin).counts(yield* stream).pipe(Effect.mapError(asked))
  if (flags.json) return yield* printJson(Views.counts(all))
  const urls = new Map((yield* Find.endpoints).map(({ id, url }) => [id, WebhookUrl.withoutUserinfo(url)]))
  yield* print(table(["ENDPOINT", "WAITING", "BEHIND", "DEAD", "OLDEST", "URL"], all.map((each) => [
    shortId(each.endpointId), String(each.waiting), String(each.behind), String(each.dead),
    each.oldestMs === undefined ? "-" : seconds(each.oldestMs), urls.get(each.endpointId) ?? "-"
  ])))
})

const page = Effect.fnUntraced(function*(flags: ListFlags) {
  const selector = yield* selectorOf(flags, undefined)
  const query = {
    selector, state: Option.getOrUndefined(flags.state), oldestFirst: flags.oldest, limit: flags.limit, cursor: Option.getOrUndefined(flags.cursor)
  }
  const found = yield* (yield* DeliveryAdmin).list(yield* stream, query).pipe(Effect.mapError((error) =>
    error.cause instanceof BadCursor ? usage("--cursor: it is not that of a page of this very list") : asked(error)))
  if (flags.json) return yield* printJson(Views.page(found))
  yield* print(table(HEAD, found.deliveries.map(lineOf)))
  if (found.next !== undefined) yield* say(`There may be more:   --cursor ${found.next}`)
})

export const list = (flags: ListFlags) => {
  if (flags.limit < 1 || flags.limit > MAX_PAGE) return Effect.fail(usage(`--limit must be from 1 to ${MAX_PAGE}`))
  if (flags.blocking && flags.counts) return Effect.fail(usage("--blocking and --counts are two lists"))
  return administer(flags, flags.blocking ? blocking(flags) : flags.counts ? counts(flags) : page(flags))
}

export interface ShowFlags extends Connection, Output {
  readonly id: string
  readonly endpoint: Option.Option<string>
  readonly body: boolean
}

/** Of which endpoint it is, where that is not said. */
const endpointOf = Effect.fnUntraced(function*(id: string) {
  const admin = yield* DeliveryAdmin
  const ids = new Set<string>()
  for (const state of [undefined, "delivered", "failed"] as const) {
    const query = { selector: { ids: [id] }, state, oldestFirst: true, limit: 1_000, cursor: undefined }
    const { deliveries } = yield* admin.list(yield* stream, query).pipe(Effect.mapError(asked))
    for (const { endpointId } of deliveries) ids.add(endpointId)
  }
  const [only, ...others] = ids
  if (only === undefined) return yield* noSuchDelivery(id)
  if (others.length > 0) {
    return yield* failed(1, `${ids.size} endpoints have a delivery with this id; say of which:   --endpoint ID`, "Ambiguous", [...ids])
  }
  return only
})

export const show = (flags: ShowFlags) =>
  administer(flags, Effect.gen(function*() {
    const endpoint = Option.isSome(flags.endpoint) ? (yield* Find.endpoint(flags.endpoint.value)).id : yield* endpointOf(flags.id)
    const found = yield* (yield* DeliveryAdmin).show(yield* stream, endpoint, flags.id, flags.body).pipe(Effect.mapError(asked))
    if (found === undefined) return yield* noSuchDelivery(flags.id)
    if (flags.body) yield* Audit.record({ action: "deliveries.show-body", details: { endpointId: endpoint, id: flags.id } })
    const view = Views.shown(found, "manage", flags.body)
    if (flags.json) return yield* printJson(view)
    const { facts } = found
    yield* print(table(HEAD, [lineOf(facts)]))
    yield* print("")
    yield* print(table(["TRY", "AT", "TOOK", "ANSWER", "ITS START"], found.attempts.map((attempt) => [
      String(attempt.attempt), seconds(attempt.atMs), `${Math.round(attempt.tookMs)} ms`,
      attempt.reason === "" ? `HTTP ${attempt.status}` : attempt.reason, JSON.stringify(attempt.answerStart ?? "").slice(1, -1)
    ])))
    if (flags.body) yield* print(`\n${view.body ?? "(its body is not kept)"}`)
  }))
