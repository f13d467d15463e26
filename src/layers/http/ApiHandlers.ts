/** What the API does: subscriptions of the store, and what the running pipeline says to them. */
import * as Effect from "effect/Effect"
import * as HttpApiBuilder from "effect/http-api/HttpApiBuilder"
import * as HttpApiMiddleware from "effect/http-api/HttpApiMiddleware"
import * as Layer from "effect/Layer"
import * as SchemaIssue from "effect/SchemaIssue"
import type { EndpointId, Subscription } from "../../domain/Subscription.ts"
import * as WebhookUrl from "../../domain/WebhookUrl.ts"
import * as Problems from "../../services/ApiProblems.ts"
import { Endpoints } from "../../services/Endpoints.ts"
import { StreamBehind } from "../../services/StreamBehind.ts"
import { NamedFields } from "../../services/ApiNamedFields.ts"
import { MUST_BE_OBJECT, SubscriptionApi } from "../../services/SubscriptionApi.ts"
import { SubscriptionStore, type SubscriptionStoreError } from "../../services/SubscriptionStore.ts"
import { Withdrawals } from "../../services/Withdrawals.ts"
import * as EndpointHandlers from "./EndpointHandlers.ts"

/** An answer does not wait longer than this for what it only adds, ms. */
const ADDED_TIMEOUT_MS = 2_000

const view = (row: Subscription) => ({
  id: row.id,
  endpoint_id: row.endpointId,
  url: WebhookUrl.withoutUserinfo(row.url),
  schema: row.schema,
  table: row.table,
  event_types: row.eventTypes,
  created_at: new Date(row.createdAtUs / 1_000).toISOString()
})

const STORE_AWAY = "The store of the subscriptions does not answer now. Nothing was changed that is not in the "
  + "list; try again."
const STORE_REFUSED = "The store of the subscriptions answered with an error; the service's log has it. What is "
  + "wrong with it:   pgstream status"
const NOT_SUBSCRIBED = "No subscription has this url, schema and table; all three are compared exactly, and an "
  + "empty schema or table is a value of its own. What there is:   GET /webhooks/subscriptions"

const storeProblem = (
  error: SubscriptionStoreError
): Effect.Effect<never, Problems.StoreUnavailable | Problems.StoreRefused> =>
  error.unavailable
    ? Effect.fail(new Problems.StoreUnavailable({ detail: STORE_AWAY }))
    : Effect.andThen(
      Effect.logError("The store refused what the API asked of it.", error),
      Effect.fail(new Problems.StoreRefused({ detail: STORE_REFUSED }))
    )

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

    const endpointState = Effect.fn(function*(id: EndpointId) {
      const endpoint = yield* answersSoon(endpoints.fetch(id))
      if (endpoint === undefined) return {}
      return endpoint.pausedReason === undefined
        ? { paused: endpoint.paused }
        : { paused: endpoint.paused, paused_reason: endpoint.pausedReason }
    })

    return group.handleAll({
      subscribe: Effect.fn("SubscriptionApi.subscribe")(function*({ payload }) {
        const key = { url: payload.url, schema: payload.schema ?? "", table: payload.table ?? "" }
        const types = [...new Set(payload.event_types ?? [])]
        const row = yield* store.subscribe(key, types).pipe(Effect.catch(storeProblem))
        const [behind, state] = yield* Effect.all(
          [answersSoon(bytes), endpointState(row.endpointId)],
          { concurrency: "unbounded" }
        )
        const { endpointId, id: subscriptionId } = row
        yield* Effect.logInfo("A webhook was subscribed.").pipe(
          Effect.annotateLogs({ subscriptionId, endpointId, url: WebhookUrl.describe(row.url) })
        )
        return { ...view(row), ...state, ...(behind === undefined ? {} : { behind_bytes: behind }) }
      }),
      unsubscribe: Effect.fn("SubscriptionApi.unsubscribe")(function*({ payload }) {
        const key = { url: payload.url, schema: payload.schema ?? "", table: payload.table ?? "" }
        const removed = yield* store.unsubscribe(key).pipe(Effect.catch(storeProblem))
        if (!removed) {
          return yield* new Problems.NotSubscribed({ detail: NOT_SUBSCRIBED })
        }
        yield* withdraw(key)
        yield* Effect.logInfo("A webhook was unsubscribed.").pipe(
          Effect.annotateLogs({ url: WebhookUrl.describe(key.url) })
        )
        return { unsubscribed: true as const }
      }),
      list: Effect.fn("SubscriptionApi.list")(function*() {
        const rows = yield* store.list.pipe(Effect.catch(storeProblem))
        return { subscriptions: rows.map(view) }
      })
    })
  })
)

const formatIssues = SchemaIssue.makeFormatterStandardSchemaV1()

/** `event_types[0]` */
const fieldOf = (path: ReadonlyArray<PropertyKey | { readonly key: PropertyKey }> = []): string => {
  let name = ""
  for (const segment of path) {
    const key = typeof segment === "object" ? segment.key : segment
    if (typeof key === "number") name += `[${key}]`
    else name += name === "" ? String(key) : `.${String(key)}`
  }
  return name
}

/** Fields of one request that are named at most. */
const MAX_NAMED = 10

const namedFields = HttpApiMiddleware.layerSchemaErrorTransform(NamedFields, (error) => {
  const errors = formatIssues(error.cause.issue).issues
    .slice(0, MAX_NAMED)
    .map(({ message, path }) => ({ field: fieldOf(path), problem: message }))
    .map(({ field, problem }) => ({ field, problem: field === "" ? MUST_BE_OBJECT : problem }))
  const detail = errors.map(({ field, problem }) => `${field === "" ? "The body" : field} ${problem}`).join("; ")
  return Effect.fail(new Problems.InvalidRequest({ detail: `${detail}.`, errors }))
})

/** The groups with their middleware: what `HttpApiBuilder.layer(SubscriptionApi)` needs. */
export const layer = Layer.provideMerge(Layer.mergeAll(handlers, EndpointHandlers.layer), namedFields)
