/** One endpoint of the API: shown, and tested. */
import * as Effect from "effect/Effect"
import * as HttpApiBuilder from "effect/http-api/HttpApiBuilder"
import { ApiCaller } from "../../services/ApiCaller.ts"
import * as ApiViews from "../../services/ApiViews.ts"
import * as Audit from "../../services/Audit.ts"
import { EndpointStore } from "../../services/EndpointStore.ts"
import { EndpointTests } from "../../services/EndpointTests.ts"
import { SubscriptionApi } from "../../services/SubscriptionApi.ts"
import { notThere } from "./EndpointHandlers.ts"
import { storeProblem } from "./storeProblem.ts"

const refuses = storeProblem("endpoints", "The store of the endpoints does not answer now; try again.")

export const layer = HttpApiBuilder.group(
  SubscriptionApi,
  "endpointTools",
  Effect.fn(function*(group) {
    const store = yield* EndpointStore
    const tests = yield* EndpointTests
    const found = Effect.fnUntraced(function*(id: string) {
      const endpoints = yield* store.list.pipe(Effect.catch(refuses))
      const endpoint = endpoints.find((one) => one.id === id.toLowerCase())
      return endpoint ?? (yield* notThere())
    })
    return group.handleAll({
      get: Effect.fn("EndpointApi.get")(function*({ params: { id } }) {
        const { scope } = yield* ApiCaller
        return ApiViews.endpoint(yield* found(id), Date.now(), scope)
      }),
      test: Effect.fn("EndpointApi.test")(function*({ params: { id } }) {
        const endpoint = yield* found(id)
        yield* Audit.record({ action: "endpoint.test", url: endpoint.url, details: { endpointId: endpoint.id } })
        const tested = yield* tests.send(endpoint)
        return ApiViews.tested(endpoint, tested)
      })
    })
  })
)
