/** What the API does with deliveries: reads, and orders that the running service carries out. */
import * as Effect from "effect/Effect"
import * as HttpApiBuilder from "effect/http-api/HttpApiBuilder"
import * as Redacted from "effect/Redacted"
import * as Result from "effect/Result"
import * as DeliverySelector from "../../domain/DeliverySelector.ts"
import { isUuid } from "../../domain/Subscription.ts"
import { AddressGuard } from "../../services/AddressGuard.ts"
import { ApiCaller } from "../../services/ApiCaller.ts"
import * as Problems from "../../services/ApiProblems.ts"
import * as Audit from "../../services/Audit.ts"
import { CurrentStream } from "../../services/CurrentStream.ts"
import { BadCursor, DeliveryAdmin, type DeliveryAdminError } from "../../services/DeliveryAdmin.ts"
import { DEFAULT_PAGE, type ListQuery, type ReplayRequest, timeOf } from "../../services/DeliveryApi.ts"
import { type CommandKind, DeliveryCommands } from "../../services/DeliveryCommands.ts"
import * as Views from "../../services/DeliveryViews.ts"
import { SubscriptionApi } from "../../services/SubscriptionApi.ts"
import { Verify } from "../../services/Verify.ts"
import { addressProblem } from "./addressProblem.ts"
import { type StoreProblem, storeProblem } from "./storeProblem.ts"

/** Commands in one answer. */
const MAX_COMMANDS = 100

const STORE_AWAY = "The store of the deliveries, or the source that names the stream, does not answer now; try again."
const NOT_THERE = "No delivery of this endpoint has this id among what is stored and what the log has. One that was delivered is not kept."
const NO_COMMAND = "No command has this id; they are kept for 30 days. What there is:   GET /webhooks/deliveries/commands"
const NOTHING_SAID = "does not say which deliveries are meant: name an endpoint, id, state, table, key or time, or say that all are: {\"all\": true}"

const isAway = (error: object): boolean =>
  ("unavailable" in error && error.unavailable === true) || ("_tag" in error && error._tag === "CurrentStreamError")

const problemOf = storeProblem("deliveries", STORE_AWAY)
const refuses = (error: object) => problemOf(isAway(error) ? { unavailable: true } : error)

const invalid = (field: string, problem: string) =>
  new Problems.InvalidRequest({ detail: `${field === "" ? "The body" : field} ${problem}.`, errors: [{ field, problem }] })

/** `what`: of those that only the scope `manage` sees. */
const unseen = (name: string, what: string) => new Problems.ScopeTooSmall({
  detail: `The token ${name} has the scope read, which sees no ${what}. One with more:   pgstream tokens add NAME --scope manage`
})

const listProblem = (error: DeliveryAdminError): Effect.Effect<never, StoreProblem | Problems.InvalidRequest> =>
  error.cause instanceof BadCursor
    ? Effect.fail(invalid("cursor", "is not `next` of a page of this very query"))
    : refuses(error)

type Selection = Omit<typeof ReplayRequest.Type, "rate" | "url">

const keyOf = (key: string | undefined) => (key === undefined ? {} : { key: Result.getOrThrow(DeliverySelector.parseKey(key)) })
const times = (from: string | undefined, to: string | undefined) => ({
  ...(from === undefined ? {} : { fromMs: timeOf(from)! }), ...(to === undefined ? {} : { toMs: timeOf(to)! })
})

const selectorOf = ({ endpoint, from, ids, key, state, table, to }: Selection): DeliverySelector.DeliverySelector => ({
  ...(endpoint === undefined ? {} : { endpointId: endpoint.toLowerCase() }), ...(ids === undefined ? {} : { ids }),
  ...(state === undefined ? {} : { state }), ...(table === undefined ? {} : { table }), ...keyOf(key), ...times(from, to)
})

const queryOf = ({ cursor, endpoint, from, id, key, limit, order, state, table, to }: typeof ListQuery.Type) => ({
  selector: {
    ...(endpoint === undefined ? {} : { endpointId: endpoint.toLowerCase() }), ...(id === undefined ? {} : { ids: [id] }),
    ...(table === undefined ? {} : { table }), ...keyOf(key), ...times(from, to)
  },
  state, cursor, oldestFirst: order === "oldest", limit: limit === undefined ? DEFAULT_PAGE : Number(limit)
})

export const layer = HttpApiBuilder.group(
  SubscriptionApi,
  "deliveries",
  Effect.fn(function*(group) {
    const admin = yield* DeliveryAdmin
    const commands = yield* DeliveryCommands
    const guard = yield* AddressGuard
    const verify = yield* Verify
    const current = yield* CurrentStream
    const stream = current.identify.pipe(Effect.catch(refuses))

    const found = Effect.fnUntraced(function*(id: string) {
      const number = /^[1-9]\d{0,14}$/.test(id) ? Number(id) : 0
      const command = yield* commands.get(yield* stream, number).pipe(Effect.catch(refuses))
      return command === undefined ? yield* new Problems.NoSuchCommand({ detail: NO_COMMAND }) : Views.command(command)
    })

    const order = Effect.fnUntraced(function*(kind: CommandKind, selection: Selection, rate: number | undefined, url: string | undefined) {
      const selector = selectorOf(selection)
      if (DeliverySelector.isAll(selector) && selection.all !== true) return yield* invalid("", NOTHING_SAID)
      const { name: by } = yield* ApiCaller
      const target = url === undefined ? undefined : Redacted.make(url)
      const id = yield* commands.add(yield* stream, { kind, selector, target, rate, by }).pipe(Effect.catch(refuses))
      yield* Audit.record({ action: `deliveries.${kind}`, url, details: { command: id, selection: DeliverySelector.describe(selector) } })
      return yield* Effect.catchTag(found(String(id)), "NoSuchCommand", Effect.die)
    })

    return group.handleAll({
      list: Effect.fn("DeliveryApi.list")(function*({ query }) {
        const { name, scope } = yield* ApiCaller
        if (query.key !== undefined && scope === "read") return yield* unseen(name, "values of rows, so it cannot ask for a key")
        const page = yield* admin.list(yield* stream, queryOf(query)).pipe(Effect.catch(listProblem))
        return Views.page(page)
      }),
      blocking: Effect.fn("DeliveryApi.blocking")(function*({ query: { endpoint } }) {
        return Views.blocking(yield* admin.blocking(yield* stream, endpoint).pipe(Effect.catch(refuses)))
      }),
      counts: Effect.fn("DeliveryApi.counts")(function*() {
        return Views.counts(yield* admin.counts(yield* stream).pipe(Effect.catch(refuses)))
      }),
      commands: Effect.fn("DeliveryApi.commands")(function*() {
        const all = yield* commands.list(yield* stream, MAX_COMMANDS).pipe(Effect.catch(refuses))
        return { commands: all.map(Views.command) }
      }),
      command: Effect.fn("DeliveryApi.command")(function*({ params: { id } }) {
        return yield* found(id)
      }),
      cancel: Effect.fn("DeliveryApi.cancel")(function*({ params: { id } }) {
        const { id: number } = yield* found(id)
        yield* commands.cancel(yield* stream, number).pipe(Effect.catch(refuses))
        return yield* found(id)
      }),
      show: Effect.fn("DeliveryApi.show")(function*({ params: { endpoint, id }, query }) {
        const { name, scope } = yield* ApiCaller
        const withBody = query.body === "true"
        if (withBody && scope === "read") return yield* unseen(name, "bodies")
        const shown = isUuid(endpoint)
          ? yield* admin.show(yield* stream, endpoint.toLowerCase(), id, withBody).pipe(Effect.catch(refuses))
          : undefined
        if (shown === undefined) return yield* new Problems.NoSuchDelivery({ detail: NOT_THERE })
        if (withBody) yield* Audit.record({ action: "deliveries.show-body", details: { endpointId: endpoint, id } })
        return Views.shown(shown, scope, withBody)
      }),
      retry: Effect.fn("DeliveryApi.retry")(function*({ payload: { rate, ...selection } }) {
        return yield* order("retry", selection, rate, undefined)
      }),
      replay: Effect.fn("DeliveryApi.replay")(function*({ payload: { rate, url, ...selection } }) {
        if (url !== undefined) {
          yield* guard.check(url).pipe(Effect.catch(addressProblem))
        }
        return yield* order("replay", selection, rate, url)
      }),
      purge: Effect.fn("DeliveryApi.purge")(function*({ payload }) {
        return yield* order("purge", payload, undefined, undefined)
      }),
      verify: Effect.fn("DeliveryApi.verify")(function*({ query: { endpoint } }) {
        const { scope } = yield* ApiCaller
        const known = yield* verify.known(yield* stream, endpoint?.toLowerCase()).pipe(Effect.catch(refuses))
        return { endpoints: known.map((each) => Views.numbers(each, scope)) }
      })
    })
  })
)
