/**
 * The part of the HTTP API that is about endpoints: how events are sent. No answer shows a secret, a header's value, a
 * token, a password or a certificate; a signing secret that was made is shown once, in the answer that made it.
 */
import * as HttpApiEndpoint from "effect/http-api/HttpApiEndpoint"
import * as HttpApiGroup from "effect/http-api/HttpApiGroup"
import * as OpenApi from "effect/http-api/OpenApi"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import * as CustomHeaders from "../domain/CustomHeaders.ts"
import { DEFAULT_OVERLAP_SECONDS, MAX_OVERLAP_SECONDS } from "../domain/Sending.ts"
import * as Signature from "../domain/Signature.ts"
import * as Problems from "./ApiProblems.ts"
import { NamedFields } from "./ApiNamedFields.ts"
import { absolute } from "./ApiUrl.ts"

/** Of a token, and of a user name and a password. */
const MAX_TOKEN_BYTES = 4 * 1_024
/** PEM of authorities; of a certificate with its chain; of a key. */
export const MAX_PEM_BYTES = 24 * 1_024
export const MAX_CONCURRENCY = 10_000
/** Requests a second; events in a batch; ms. */
export const MAX_RATE = 100_000
export const MAX_BATCH_EVENTS = 1_000
export const MAX_BATCH_DELAY_MS = 10_000

const MUST_BE_OBJECT = "must be a JSON object; {} where there is nothing to say"

const headersText = Schema.makeFilter((headers: Readonly<Record<string, string>>) => {
  const found = CustomHeaders.problems(headers)
  return found.length === 0
    || found.map(({ name, problem }) => (name === undefined ? problem : `${JSON.stringify(name)} ${problem}`)).join("; ")
})

const Headers = Schema.Record(Schema.String, Schema.String.annotate({ message: "must be a string" }))
  .annotate({ message: "must be an object of header names and values" })
  .check(headersText)

const TOKEN = /^[\x21-\x7e]+$/
// eslint-disable-next-line no-control-regex
const CONTROL = /[\u0000-\u001f\u007f]/

interface AuthFields {
  readonly type: "bearer" | "basic"
  readonly token?: string
  readonly username?: string
  readonly password?: string
}

const authProblem = ({ password, token, type, username }: AuthFields): string | undefined => {
  if (type === "bearer") {
    if (username !== undefined || password !== undefined) return "of type bearer has a token alone"
    return token !== undefined && TOKEN.test(token) && token.length <= MAX_TOKEN_BYTES
      ? undefined
      : `of type bearer needs a token: 1 to ${MAX_TOKEN_BYTES} visible ASCII characters`
  }
  if (token !== undefined) return "of type basic has a username and a password alone"
  if (username === undefined || password === undefined) return "of type basic needs a username and a password"
  if (username.includes(":")) return "of type basic cannot have a colon in its username"
  if (CONTROL.test(username + password)) return "of type basic cannot have control characters"
  return Buffer.byteLength(username + password) <= MAX_TOKEN_BYTES ? undefined : `is longer than ${MAX_TOKEN_BYTES} bytes`
}

const text = Schema.String.annotate({ message: "must be a string" })

const AUTH = "must be an object such as {\"type\": \"bearer\", \"token\": \"…\"}, or null"
const Auth = Schema.Struct({
  type: Schema.Literals(["bearer", "basic"]).annotate({ message: "must be \"bearer\" or \"basic\"" })
    .annotateKey({ messageMissingKey: "is missing: \"bearer\" or \"basic\"" }),
  token: Schema.optionalKey(text),
  username: Schema.optionalKey(text),
  password: Schema.optionalKey(text)
}).annotate({
  message: AUTH,
  messageUnexpectedKey: "is not known. Known are type, token, username and password"
}).check(Schema.makeFilter((auth: AuthFields) => authProblem(auth) ?? true))

const Pem = Schema.String.annotate({ message: "must be a string in PEM form" }).check(Schema.makeFilter((pem: string) =>
  Buffer.byteLength(pem) <= MAX_PEM_BYTES || `is longer than ${MAX_PEM_BYTES} bytes`
))

const CLIENT = "must be an object {\"certificate\": \"…\", \"key\": \"…\"}, or null"
const ClientCertificate = Schema.Struct({
  certificate: Pem.annotateKey({ messageMissingKey: "is missing: the certificate and its chain in PEM form" }),
  key: Pem.annotateKey({ messageMissingKey: "is missing: the key in PEM form, not encrypted" })
}).annotate({
  message: CLIENT,
  messageUnexpectedKey: "is not known. Known are certificate and key"
})

const between = (least: number, most: number, what: string) => {
  const message = `must be a whole number from ${least} to ${most}${what}`
  return Schema.Number.annotate({ message }).check(
    Schema.isInt({ message }),
    Schema.isBetween({ minimum: least, maximum: most }, { message })
  )
}

/** `message`: of what is of another kind altogether. */
const clears = <S extends Schema.Constraint>(schema: S, message: string) =>
  Schema.optionalKey(Schema.NullOr(schema).annotate({ message }))

const NUMBER_OR_NULL = "must be a whole number, or null"

const flag = Schema.Boolean.annotate({ message: "must be true or false" })

const BATCH = "must be an object {\"max_events\": 100, \"max_delay_ms\": 500}, or null"
const Batch = Schema.Struct({
  max_events: between(2, MAX_BATCH_EVENTS, "")
    .annotateKey({ messageMissingKey: "is missing: events in one request at most" }),
  max_delay_ms: between(0, MAX_BATCH_DELAY_MS, "")
    .annotateKey({ messageMissingKey: "is missing: how long the first event of a batch waits for more, ms" })
}).annotate({
  message: BATCH,
  messageUnexpectedKey: "is not known. Known are max_events and max_delay_ms"
})

export const UpdateEndpointRequest = Schema.Struct({
  url: Schema.optionalKey(absolute)
    .annotateKey({ description: "Also of what is parked. Its subscriptions get it, too." }),
  order: Schema.optionalKey(
    Schema.Literals(["key", "total", "none"]).annotate({ message: "must be \"key\", \"total\" or \"none\"" })
  ),
  concurrency: clears(between(1, MAX_CONCURRENCY, ", or null: the setting of the service"), NUMBER_OR_NULL)
    .annotateKey({ description: "Requests in flight at most. null: the setting of the service." }),
  paused: Schema.optionalKey(flag)
    .annotateKey({ description: "true: events are kept, not sent. false: resumes what is paused, disabled or suspended." }),
  rate: clears(between(1, MAX_RATE, ", or null: no limit"), NUMBER_OR_NULL)
    .annotateKey({ description: "Requests started a second at most, a tenth of them at once. null: no limit." }),
  batch: clears(Batch, BATCH).annotateKey({ description: "Several events in one request; null: one a request." }),
  gzip: Schema.optionalKey(flag).annotateKey({ description: "Bodies are sent compressed." }),
  headers: clears(Headers, "must be an object of header names and values, or null").annotateKey({
    description: `At most ${CustomHeaders.MAX_HEADERS}, ${CustomHeaders.MAX_HEADERS_BYTES} bytes in all. Replaces those that `
      + "there are; null: none."
  }),
  auth: clears(Auth, AUTH).annotateKey({ description: "Bearer or Basic; null: none. Needs PGSTREAM_SECRET_KEY." }),
  ca: clears(Pem, "must be a string in PEM form, or null").annotateKey({ description: "PEM: the only authorities that are trusted; null: those of the system." }),
  client_certificate: clears(ClientCertificate, CLIENT).annotateKey({ description: "PEM; null: none. Needs PGSTREAM_SECRET_KEY." })
}).annotate({
  identifier: "UpdateEndpointRequest",
  message: MUST_BE_OBJECT,
  messageUnexpectedKey: "is not known. Known are url, order, concurrency, rate, batch, gzip, paused, headers, auth, ca and client_certificate"
})

const secretText = Schema.makeFilter((secret: string) => {
  const key = Signature.parseSecret(secret)
  return Result.isSuccess(key) || `is no signing secret: ${key.failure.problem}`
})

export const RotateSecretRequest = Schema.Struct({
  secret: Schema.optionalKey(Schema.String.annotate({ message: "must be a string: whsec_…" }).check(secretText))
    .annotateKey({ description: "whsec_ and base64 of 24 to 64 bytes. Absent: one is made, and shown in the answer." }),
  overlap_seconds: Schema.optionalKey(between(0, MAX_OVERLAP_SECONDS, ""))
    .annotateKey({
      description: `For so long the secrets before count, too. 0: they end now. Default ${DEFAULT_OVERLAP_SECONDS}.`
    })
}).annotate({
  identifier: "RotateSecretRequest",
  message: MUST_BE_OBJECT,
  messageUnexpectedKey: "is not known. Known are secret and overlap_seconds"
})

export const EndpointView = Schema.Struct({
  id: Schema.String,
  url: Schema.String.annotateKey({ description: "Userinfo is shown as ***; with the scope read there is no query." }),
  order: Schema.String,
  concurrency: Schema.Int,
  rate: Schema.NullOr(Schema.Int).annotateKey({ description: "Requests a second; null: no limit." }),
  batch: Schema.NullOr(Schema.Struct({ max_events: Schema.Int, max_delay_ms: Schema.Int })),
  gzip: Schema.Boolean,
  state: Schema.Literals(["active", "paused", "disabled", "suspended"]).annotateKey({
    description: "paused by an operator · disabled by the service (410, or days of failure): events are kept, not sent · "
      + "suspended: its budget is used up, events are numbered, not kept. PATCH {\"paused\": false} resumes each."
  }),
  state_since: Schema.optionalKey(Schema.String).annotateKey({ description: "RFC 3339, UTC; of disabled and suspended." }),
  paused: Schema.Boolean.annotateKey({ description: "Any state but active." }),
  paused_reason: Schema.optionalKey(Schema.String),
  secrets_unreadable: Schema.optionalKey(Schema.Boolean).annotateKey({
    description: "true: what is stored of its secrets does not open, so nothing is sent. paused_reason names the key."
  }),
  headers: Schema.Array(Schema.String).annotateKey({ description: "Their names." }),
  auth: Schema.NullOr(Schema.Literals(["bearer", "basic"])),
  ca: Schema.Boolean,
  client_certificate: Schema.Boolean,
  secrets: Schema.Array(Schema.Struct({ expires_at: Schema.NullOr(Schema.String) })).annotateKey({
    description: "One for each signature that a request has; null: the current one. Empty: requests are not signed."
  })
}).annotate({ identifier: "Endpoint" })

export const EndpointList = Schema.Struct({ endpoints: Schema.Array(EndpointView) }).annotate({ identifier: "EndpointList" })

export const SecretRotated = Schema.Struct({
  endpoint_id: Schema.String,
  secret: Schema.optionalKey(Schema.String).annotateKey({ description: "The one that was made. It is not shown again." }),
  overlap_until: Schema.optionalKey(Schema.String).annotateKey({ description: "RFC 3339, UTC: from then it counts alone." })
}).annotate({ identifier: "SecretRotated" })

const params = { id: Schema.String }
const refused = [Problems.Unauthorized, Problems.NotAllowed] as const
const store = [Problems.StoreUnavailable, Problems.StoreRefused] as const
const changed = [
  ...refused, Problems.ScopeTooSmall, ...store, Problems.NotJson, Problems.TooLarge, Problems.NoSuchEndpoint, Problems.SecretKeyUnknown
] as const

export const Endpoints = HttpApiGroup.make("endpoints")
  .add(
    HttpApiEndpoint.get("list", "/webhooks/endpoints", { success: EndpointList, error: [...refused, ...store] })
      .annotateMerge(OpenApi.annotations({ summary: "All endpoints, oldest first" })),
    HttpApiEndpoint.patch("update", "/webhooks/endpoints/:id", {
      params,
      payload: UpdateEndpointRequest,
      success: EndpointView,
      error: [...changed, Problems.InvalidRequest, Problems.UrlTaken, Problems.SecretKeyMissing, Problems.AddressNotAllowed]
    }).annotateMerge(OpenApi.annotations({
      summary: "Change how an endpoint is sent to",
      description: "What is absent stays. In force at once, for what is parked, too."
    })),
    HttpApiEndpoint.post("rotateSecret", "/webhooks/endpoints/:id/rotate-secret", {
      params,
      payload: RotateSecretRequest,
      success: SecretRotated,
      error: [...changed, Problems.TooManySecrets]
    }).annotateMerge(OpenApi.annotations({
      summary: "Sign with a new secret",
      description: "The first one begins the signing. The secret before counts for the overlap: requests then have "
        + "a signature of each."
    }))
  )
  .middleware(NamedFields)
  .annotateMerge(OpenApi.annotations({ title: "Endpoints" }))
