/** Says which field is wrong and how it is mended, where HttpApi alone answers with an empty 400. */
import * as HttpApiMiddleware from "effect/http-api/HttpApiMiddleware"
import * as Problems from "./ApiProblems.ts"

export class NamedFields extends HttpApiMiddleware.Service<NamedFields>()(
  "pgstream/services/SubscriptionApi/NamedFields",
  { error: Problems.InvalidRequest }
) {}
