/** What the API does: subscriptions of the store, and what the running pipeline says to them. */
import * as Effect from "effect/Effect"
import * as HttpApiBuilder from "effect/http-api/HttpApiBuilder"
import * as HttpApiMiddleware from "effect/http-api/HttpApiMiddleware"
import * as Layer from "effect/Layer"
import { type EndpointId, isUuid } from "../../domain/Subscription.ts"
import { AddressGuard } from "../../services/AddressGuard.ts"
import { ApiCaller } from "../../services/ApiCaller.ts"
import * as Problems from "../../services/ApiProblems.ts"
import * as ApiViews from "../../services/ApiViews.ts"
import * as Audit from "../../services/Audit.ts"
import { CopyAsking } from "../../services/CopyAsking.ts"
import { Endpoints } from "../../services/Endpoints.ts"
import { StreamBehind } from "../../services/StreamBehind.ts"
import { fieldProblems, inWords, NamedFields } from "../../services/ApiNamedFields.ts"
import { SubscriptionApi } from "../../services/SubscriptionApi.ts"
import { SubscriptionStore, type TooManySubscriptions } from "../../services/SubscriptionStore.ts"
import { Withdrawals } from "../../services/Withdrawals.ts"
import { addressProblem } from "./addressProblem.ts"
import * as ApiEndpointTools from "./ApiEndpointTools.ts"
import * as CopyHandlers from "./CopyHandlers.ts"
import * as DeliveryHandlers from "./DeliveryHandlers.ts"
import * as EndpointHandlers from "./EndpointHandlers.ts"
import { storeProblem } from "./storeProblem.ts"

/** An answer does not wait longer than this for what it only adds, ms. */
const ADDED_TIMEOUT_MS = 2_000

const refuses = storeProblem(
  "subscriptions",
  "The store of the subscriptions does not answer now. Nothing was changed that is not in the list; try again."
)
const NOT_SUBSCRIBED = "No subscription has this url, schema and table; all three are compared exactly, and an "
  + "empty schema or table is a value of its own. What there is:   GET /webhooks/subscriptions"

const NOT_THERE = "No subscription has this id. What there is:   GET /webhooks/subscriptions"

const notThere = () => new Problems.NoSuchSubscription({ detail: NOT_THERE })

const tooMany = ({ max }: TooManySubscriptions) =>
  Effect.fail(new Problems.TooManySubscriptions({
    detail: `There are ${max} subscriptions, the most that are let in; one without a table or schema selects many at once. `
      + "More:   PGSTREAM_WEBHOOK_SUBSCRIPTION_MAX"
  }))

const answersSoon = <A, E>(effect: Effect.Effect<A | undefined, E>): Effect.Effect<A | undefined> =>
  effect.pipe(
    Effect.timeoutOrElse({ duration: ADDED_TIMEOUT_MS, orElse: () => Effect.succeed(undefined) }),
    Effect.catch(() => Effect.succeed(undefined))
  )

const handlers = HttpApiBuilder.group(
  SubscriptionApi,
  "webhooks",
  Effect.fn(function*(group) {
    const store = yield* SubscriptionStore
    const endpoints = yield* Endpoints
    const { bytes } = yield* StreamBehind
    const { withdraw } = yield* Withdrawals

    const guard = yield* AddressGuard
    const asking = yield* CopyAsking

    /** After the subscription: what is committed from then on comes with the stream. Removed meanwhile: nothing to copy. */
    const snapshots = (id: string) =>
      CopyHandlers.ask(CopyHandlers.wholeOf(id)).pipe(
        Effect.map(({ copies }) => copies.map((copy) => copy.id)),
        Effect.catchTags({
          NoSuchSubscription: () => Effect.succeed([]),
          CopyRefused: ({ detail, errors }) =>
            Effect.fail(new Problems.CopyRefused({ detail: `The subscription was made, its copy was not: ${detail}`, errors }))
        }),
        Effect.provideService(CopyAsking, asking)
      )

    const endpointState = Effect.fn(function*(id: EndpointId) {
      const endpoint = yield* answersSoon(endpoints.fetch(id))
      return endpoint === undefined ? {} : ApiViews.state(endpoint)
    })

    return group.handleAll({
      subscribe: Effect.fn("SubscriptionApi.subscribe")(function*({ payload }) {
        const { scope } = yield* ApiCaller
        const key = { url: payload.url, schema: payload.schema ?? "", table: payload.table ?? "" }
        const types = [...new Set(payload.event_types ?? [])]
        yield* guard.check(key.url).pipe(Effect.catch(addressProblem))
        const row = yield* store.subscribe(key, types).pipe(
          Effect.catchTags({ SubscriptionStoreError: refuses, TooManySubscriptions: tooMany })
        )
        yield* Audit.record({
          action: "subscribe", url: row.url, details: { subscriptionId: row.id, endpointId: row.endpointId }
        })
        const copied = payload.snapshot === true ? { snapshots: yield* snapshots(row.id) } : {}
        const [behind, state] = yield* Effect.all(
          [answersSoon(bytes), endpointState(row.endpointId)],
          { concurrency: "unbounded" }
        )
        return { ...ApiViews.subscription(row, scope), ...state, ...copied, ...(behind === undefined ? {} : { behind_bytes: behind }) }
      }),
      unsubscribe: Effect.fn("SubscriptionApi.unsubscribe")(function*({ payload }) {
        const key = { url: payload.url, schema: payload.schema ?? "", table: payload.table ?? "" }
        const removed = yield* store.unsubscribe(key).pipe(Effect.catch(refuses))
        if (!removed) {
          return yield* new Problems.NotSubscribed({ detail: NOT_SUBSCRIBED })
        }
        yield* Audit.record({ action: "unsubscribe", url: key.url })
        yield* withdraw(key)
        return { unsubscribed: true as const }
      }),
      list: Effect.fn("SubscriptionApi.list")(function*() {
        const { scope } = yield* ApiCaller
        const rows = yield* store.list.pipe(Effect.catch(refuses))
        return { subscriptions: rows.map((row) => ApiViews.subscription(row, scope)) }
      }),
      get: Effect.fn("SubscriptionApi.get")(function*({ params: { id } }) {
        const { scope } = yield* ApiCaller
        const rows = yield* store.list.pipe(Effect.catch(refuses))
        const row = rows.find((one) => one.id === id.toLowerCase())
        return row === undefined ? yield* notThere() : ApiViews.subscription(row, scope)
      }),
      update: Effect.fn("SubscriptionApi.update")(function*({ params: { id }, payload }) {
        if (!isUuid(id)) return yield* notThere()
        const row = yield* store.update(id, [...new Set(payload.event_types)]).pipe(Effect.catch(refuses))
        if (row === undefined) return yield* notThere()
        yield* Audit.record({ action: "subscription.update", url: row.url, details: { subscriptionId: row.id } })
        return ApiViews.subscription(row, "manage")
      }),
      remove: Effect.fn("SubscriptionApi.remove")(function*({ params: { id } }) {
        if (!isUuid(id)) return yield* notThere()
        const removed = yield* store.remove(id).pipe(Effect.catch(refuses))
        if (removed === undefined) return yield* notThere()
        const { endpointId, id: subscriptionId, schema, table, url } = removed.subscription
        yield* Audit.record({ action: "unsubscribe", url, details: { subscriptionId, endpointId } })
        yield* withdraw({ url, schema, table })
        return ApiViews.removed(removed, "manage")
      })
    })
  })
)

const namedFields = HttpApiMiddleware.layerSchemaErrorTransform(NamedFields, (error) => {
  const errors = fieldProblems(error.cause.issue)
  return Effect.fail(new Problems.InvalidRequest({ detail: `${inWords(errors)}.`, errors }))
})

/** The groups with their middleware: what `HttpApiBuilder.layer(SubscriptionApi)` needs. */
export const layer = Layer.provideMerge(Layer.mergeAll(handlers, EndpointHandlers.layer, ApiEndpointTools.layer, CopyHandlers.layer, DeliveryHandlers.layer), namedFields)
