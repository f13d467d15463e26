/** One endpoint of the HTTP API: shown, and tested. */
import * as HttpApiEndpoint from "effect/http-api/HttpApiEndpoint"
import * as HttpApiGroup from "effect/http-api/HttpApiGroup"
import * as OpenApi from "effect/http-api/OpenApi"
import * as Schema from "effect/Schema"
import { NamedFields } from "./ApiNamedFields.ts"
import * as Problems from "./ApiProblems.ts"
import { EndpointView } from "./EndpointApi.ts"

export const TestRequest = Schema.Struct({}).annotate({
  identifier: "TestRequest",
  message: "must be a JSON object: {}",
  messageUnexpectedKey: "is not known: a test takes nothing"
})

export const EndpointTestedView = Schema.Struct({
  endpoint_id: Schema.String,
  id: Schema.String.annotateKey({ description: "The header `webhook-id` of the request: `test-…`." }),
  accepted: Schema.Boolean.annotateKey({ description: "It answered 2xx." }),
  status: Schema.NullOr(Schema.Int).annotateKey({ description: "null: there was no answer." }),
  reason: Schema.NullOr(Schema.String).annotateKey({ description: "Why it was not accepted; null: it was." }),
  took_ms: Schema.Int
}).annotate({ identifier: "EndpointTested" })

const params = { id: Schema.String }
const refused = [Problems.Unauthorized, Problems.NotAllowed, Problems.ScopeTooSmall] as const
const store = [Problems.StoreUnavailable, Problems.StoreRefused] as const

export const EndpointTools = HttpApiGroup.make("endpointTools")
  .add(
    HttpApiEndpoint.get("get", "/webhooks/endpoints/:id", {
      params,
      success: EndpointView,
      error: [Problems.Unauthorized, Problems.NotAllowed, ...store, Problems.NoSuchEndpoint]
    }).annotateMerge(OpenApi.annotations({ summary: "One endpoint" })),
    HttpApiEndpoint.post("test", "/webhooks/endpoints/:id/test", {
      params,
      payload: TestRequest,
      success: EndpointTestedView,
      error: [...refused, ...store, Problems.NotJson, Problems.TooLarge, Problems.NoSuchEndpoint]
    }).annotateMerge(OpenApi.annotations({
      summary: "Send a test event",
      description: "One signed request, also to an endpoint that is paused: a logical message with the prefix "
        + "`pgstream.test`, without a number. 200 says that it was tried; `accepted` whether it arrived."
    }))
  )
  .middleware(NamedFields)
  .annotateMerge(OpenApi.annotations({ title: "Endpoints" }))
