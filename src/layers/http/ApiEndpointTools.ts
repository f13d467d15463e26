/** One endpoint of the API: shown, and tested. */
import * as Effect from "effect/Effect"
import * as HttpApiBuilder from "effect/http-api/HttpApiBuilder"
import { ApiCaller } from "../../services/ApiCaller.ts"
import * as Problems from "../../services/ApiProblems.ts"
import * as ApiViews from "../../services/ApiViews.ts"
import * as Audit from "../../services/Audit.ts"
import { EndpointStore, type EndpointStoreError } from "../../services/EndpointStore.ts"
import { EndpointTests } from "../../services/EndpointTests.ts"
import { SubscriptionApi } from "../../services/SubscriptionApi.ts"

const NOT_THERE = "No endpoint has this id. What there is:   GET /webhooks/endpoints"
const STORE_AWAY = "The store of the endpoints does not answer now; try again."
const STORE_REFUSED = "The store of the endpoints answered with an error; the service's log has it. What is wrong "
  + "with it:   pgstream status"

const storeProblem = (
  error: EndpointStoreError
): Effect.Effect<never, Problems.StoreUnavailable | Problems.StoreRefused> =>
  error.unavailable
    ? Effect.fail(new Problems.StoreUnavailable({ detail: STORE_AWAY }))
    : Effect.andThen(
      Effect.logError("The store refused what the API asked of it.", error),
      Effect.fail(new Problems.StoreRefused({ detail: STORE_REFUSED }))
    )

export const layer = HttpApiBuilder.group(
  SubscriptionApi,
  "endpointTools",
  Effect.fn(function*(group) {
    const store = yield* EndpointStore
    const tests = yield* EndpointTests
    const found = Effect.fnUntraced(function*(id: string) {
      const endpoints = yield* store.list.pipe(Effect.catch(storeProblem))
      const endpoint = endpoints.find((one) => one.id === id)
      return endpoint ?? (yield* new Problems.NoSuchEndpoint({ detail: NOT_THERE }))
    })
    return group.handleAll({
      get: Effect.fn("EndpointApi.get")(function*({ params: { id } }) {
        const { scope } = yield* ApiCaller
        return ApiViews.endpoint(yield* found(id), Date.now(), scope)
      }),
      test: Effect.fn("EndpointApi.test")(function*({ params: { id } }) {
        const endpoint = yield* found(id)
        yield* Audit.record({ action: "endpoint.test", url: endpoint.url, details: { endpointId: id } })
        const tested = yield* tests.send(endpoint)
        return ApiViews.tested(endpoint, tested)
      })
    })
  })
)
