/** What the API does with endpoints. Log lines name what was changed, never to what. */
import * as Effect from "effect/Effect"
import * as HttpApiBuilder from "effect/http-api/HttpApiBuilder"
import * as Redacted from "effect/Redacted"
import type { Auth, SendingContent } from "../../domain/Sending.ts"
import * as Sending from "../../domain/Sending.ts"
import { isUuid } from "../../domain/Subscription.ts"
import { AddressGuard, type AddressRefused } from "../../services/AddressGuard.ts"
import { ApiCaller } from "../../services/ApiCaller.ts"
import * as Problems from "../../services/ApiProblems.ts"
import * as ApiViews from "../../services/ApiViews.ts"
import * as Audit from "../../services/Audit.ts"
import type { UpdateEndpointRequest } from "../../services/EndpointApi.ts"
import { type EndpointChange, type EndpointRefused, EndpointStore } from "../../services/EndpointStore.ts"
import { Endpoints } from "../../services/Endpoints.ts"
import { SubscriptionApi } from "../../services/SubscriptionApi.ts"
import * as certificates from "./certificates.ts"
import { inForce } from "./inForce.ts"
import { storeProblem } from "./storeProblem.ts"

type Update = typeof UpdateEndpointRequest.Type

const batchOf = (batch: Update["batch"]): EndpointChange["batch"] =>
  batch ? { maxEvents: batch.max_events, maxDelayMs: batch.max_delay_ms } : batch

const NOT_THERE = "No endpoint has this id. What there is:   GET /webhooks/endpoints"
const refuses = storeProblem(
  "endpoints", "The store of the endpoints does not answer now, and nothing was changed; try again."
)

export const notThere = () => new Problems.NoSuchEndpoint({ detail: NOT_THERE })

const secretFields = ({ auth, client_certificate: client }: Pick<Update, "auth" | "client_certificate">) => [
  ...(auth === undefined || auth === null ? [] : ["auth"]),
  ...(client === undefined || client === null ? [] : ["client_certificate"])
]

const updateProblem = ({ detail, reason }: EndpointRefused, payload: Update) => {
  switch (reason) {
    case "UrlTaken":
      return new Problems.UrlTaken({ detail })
    case "SecretKeyMissing": {
      const problem = "needs PGSTREAM_SECRET_KEY: it is not stored in the clear"
      return new Problems.SecretKeyMissing({ detail, errors: secretFields(payload).map((field) => ({ field, problem })) })
    }
    default:
      return new Problems.SecretKeyUnknown({ detail })
  }
}

const authOf = ({ password = "", token = "", type, username = "" }: NonNullable<Update["auth"]>): Auth =>
  type === "bearer" ? { type, token } : { type, username, password }

/** `null` clears: a header list becomes an empty one. */
const sendingOf = (payload: Update): EndpointChange["sending"] => {
  const { auth, ca, client_certificate: client, headers } = payload
  const sending: Partial<Omit<SendingContent, "secrets">> = {
    ...(headers === undefined ? {} : { headers: headers ?? {} }),
    ...(auth === undefined ? {} : { auth: auth === null ? null : authOf(auth) }),
    ...(ca === undefined ? {} : { ca }),
    ...(client === undefined ? {} : { client })
  }
  return Object.keys(sending).length === 0 ? undefined : sending
}

const checkCertificates = (payload: Update): Effect.Effect<void, Problems.InvalidRequest> => {
  const { ca, client_certificate: client } = payload
  const found = [
    { field: "ca", problem: typeof ca === "string" ? certificates.authorityProblem(ca) : undefined },
    { field: "client_certificate", problem: client ? certificates.clientProblem(client) : undefined }
  ]
  const errors = found.flatMap(({ field, problem }) => (problem === undefined ? [] : [{ field, problem }]))
  if (errors.length === 0) return Effect.void
  const detail = errors.map(({ field, problem }) => `${field} ${problem}`).join("; ")
  return Effect.fail(new Problems.InvalidRequest({ detail: `${detail}.`, errors }))
}

const addressProblem = ({ message }: AddressRefused) =>
  Effect.fail(new Problems.AddressNotAllowed({ detail: message, errors: [{ field: "url", problem: message }] }))

export const layer = HttpApiBuilder.group(
  SubscriptionApi,
  "endpoints",
  Effect.fn(function*(group) {
    const store = yield* EndpointStore
    const guard = yield* AddressGuard
    const endpoints = yield* Endpoints
    return group.handleAll({
      list: Effect.fn("EndpointApi.list")(function*() {
        const all = yield* store.list.pipe(Effect.catch(refuses))
        const { scope } = yield* ApiCaller
        return { endpoints: all.map((endpoint) => ApiViews.endpoint(endpoint, Date.now(), scope)) }
      }),
      update: Effect.fn("EndpointApi.update")(function*({ params: { id }, payload }) {
        if (!isUuid(id)) return yield* notThere()
        yield* checkCertificates(payload)
        if (payload.url !== undefined) yield* guard.check(payload.url).pipe(Effect.catch(addressProblem))
        const { concurrency, gzip, order, paused, rate, url } = payload
        const change = { url, order, concurrency, rate, gzip, paused, batch: batchOf(payload.batch), sending: sendingOf(payload) }
        const endpoint = yield* store.update(id, change).pipe(
          Effect.catchTags({
            EndpointStoreError: refuses,
            EndpointRefused: (refused) => Effect.fail(updateProblem(refused, payload))
          })
        )
        if (endpoint === undefined) return yield* notThere()
        yield* Audit.record({
          action: "endpoint.update", url: endpoint.url, details: { endpointId: id, changed: Object.keys(payload).join(", ") }
        })
        yield* inForce(endpoints, endpoint)
        return ApiViews.endpoint(endpoint, Date.now(), "manage")
      }),
      rotateSecret: Effect.fn("EndpointApi.rotateSecret")(function*({ params: { id }, payload }) {
        if (!isUuid(id)) return yield* notThere()
        const { overlap_seconds: overlapSeconds = Sending.DEFAULT_OVERLAP_SECONDS, secret: given } = payload
        const request = { secret: given === undefined ? undefined : Redacted.make(given), overlapSeconds }
        const rotated = yield* store.rotateSecret(id, request).pipe(
          Effect.catchTags({
            EndpointStoreError: refuses,
            EndpointRefused: ({ detail, reason }) =>
              Effect.fail(reason === "TooManySecrets"
                ? new Problems.TooManySecrets({ detail })
                : new Problems.SecretKeyUnknown({ detail }))
          })
        )
        if (rotated === undefined) return yield* notThere()
        yield* Audit.record({ action: "endpoint.rotate-secret", url: rotated.url, details: { endpointId: id } })
        const { overlapUntilMs, secret } = rotated
        return {
          endpoint_id: id,
          ...(given === undefined ? { secret: Redacted.value(secret) } : {}),
          ...(overlapUntilMs === undefined ? {} : { overlap_until: new Date(overlapUntilMs).toISOString() })
        }
      })
    })
  })
)
