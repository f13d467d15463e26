/** Says which field is wrong and how it is mended, where HttpApi alone answers with an empty 400. */
import * as HttpApiMiddleware from "effect/http-api/HttpApiMiddleware"
import * as SchemaIssue from "effect/SchemaIssue"
import * as Problems from "./ApiProblems.ts"

export class NamedFields extends HttpApiMiddleware.Service<NamedFields>()(
  "pgstream/services/SubscriptionApi/NamedFields",
  { error: Problems.InvalidRequest }
) {}

/** A body that is JSON and no object. */
export const MUST_BE_OBJECT = "must be a JSON object, such as {\"url\": \"http://localhost:9910/webhook\"}"

const format = SchemaIssue.makeFormatterStandardSchemaV1()

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

type FieldProblem = typeof Problems.FieldProblem.Type

/** Each field with what is wrong with it; no value of the request. */
export const fieldProblems = (issue: Parameters<typeof format>[0]): ReadonlyArray<FieldProblem> =>
  format(issue).issues
    .slice(0, MAX_NAMED)
    .map(({ message, path }) => ({ field: fieldOf(path), problem: message }))
    .map(({ field, problem }) => ({ field, problem: field === "" ? MUST_BE_OBJECT : problem }))

export const inWords = (problems: ReadonlyArray<FieldProblem>): string =>
  problems.map(({ field, problem }) => `${field === "" ? "The body" : field} ${problem}`).join("; ")
