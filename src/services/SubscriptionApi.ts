/**
 * The HTTP API of subscriptions: what is asked and answered, for the server, a client, and
 * `/openapi.json`.
 *
 * Errors are problem documents (RFC 9457) with a stable `code`; no error shows a value of the
 * request. `[]`, null and an absent `event_types` all mean every kind of row change; `""`, null and
 * an absent `schema` or `table` mean each.
 */
import * as HttpApi from "effect/http-api/HttpApi"
import * as HttpApiEndpoint from "effect/http-api/HttpApiEndpoint"
import * as HttpApiGroup from "effect/http-api/HttpApiGroup"
import * as OpenApi from "effect/http-api/OpenApi"
import * as Schema from "effect/Schema"
import { MUST_BE_OBJECT, NamedFields } from "./ApiNamedFields.ts"
import * as Problems from "./ApiProblems.ts"
import { absolute, EXPECTED_URL, url } from "./ApiUrl.ts"
import * as CopyApi from "./CopyApi.ts"
import * as DeliveryApi from "./DeliveryApi.ts"
import * as EndpointApi from "./EndpointApi.ts"
import * as EndpointToolsApi from "./EndpointToolsApi.ts"

/** Longest name of a schema or table, in bytes (NAMEDATALEN - 1): Postgres cuts what is longer. */
export const MAX_NAME_BYTES = 63
/** Longest body of a request, in bytes. */
export const MAX_BODY_BYTES = 64 * 1024

export const EVENT_TYPES = ["I", "U", "D", "T", "M"] as const

/** Postgres text holds no NUL. */
const withoutNul = Schema.makeFilter((text: string) =>
  !text.includes("\0") || "holds a NUL character, which Postgres cannot store"
)

const fits = (bytes: number) =>
  Schema.makeFilter((text: string) =>
    Buffer.byteLength(text) <= bytes || `is longer than ${bytes} bytes, the most that a name in Postgres has`)

/** May be left out, or null as some clients write what they leave out. */
const absent = <S extends Schema.Constraint>(schema: S, message: string) =>
  Schema.optionalKey(Schema.NullOr(schema).annotate({ message }))

const missingUrl = { messageMissingKey: `is missing. ${EXPECTED_URL}` }

const mustBeName = (what: string) => `must be a string: the name of a ${what}, or "" for every one`

const nameOf = (what: string) =>
  absent(Schema.String.check(withoutNul, fits(MAX_NAME_BYTES)), mustBeName(what))

/** Rows that others wrote with SQL may have any name; they can be removed, too. */
const anyNameOf = (what: string) => absent(Schema.String.check(withoutNul), mustBeName(what))

const kind = Schema.Literals(EVENT_TYPES).annotate({
  message: "must be one of I (insert), U (update), D (delete), T (truncate), M (logical message), "
    + "in upper case"
})

export const SubscribeRequest = Schema.Struct({
  url: absolute.annotateKey({
    ...missingUrl,
    description: "Where events are sent. Userinfo is sent as Basic authorization."
  }),
  schema: nameOf("schema").annotateKey({ description: "Exact, case-sensitive. Empty: every schema." }),
  table: nameOf("table").annotateKey({ description: "Exact, case-sensitive. Empty: every table." }),
  event_types: absent(Schema.Array(kind), "must be a list, such as [\"I\", \"U\"]")
    .annotateKey({
      description: "I insert, U update, D delete, T truncate, M logical message. Empty or absent: all but M."
    }),
  snapshot: absent(Schema.Boolean, "must be true or false")
    .annotateKey({ description: "true: send the rows that are there, too, to this subscription alone." })
}).annotate({
  identifier: "SubscribeRequest",
  message: MUST_BE_OBJECT,
  messageUnexpectedKey: "is not known. Known are url, schema, table, event_types and snapshot"
})

export const UpdateSubscriptionRequest = Schema.Struct({
  event_types: Schema.Array(kind).annotate({ message: "must be a list, such as [\"I\", \"U\"]; [] for all but M" })
    .annotateKey({ messageMissingKey: "is missing: a list, such as [\"I\", \"U\"]; [] for all but M" })
}).annotate({
  identifier: "UpdateSubscriptionRequest",
  message: "must be a JSON object, such as {\"event_types\": [\"I\"]}",
  messageUnexpectedKey: "is not known. Known is event_types; the URL is the endpoint's, another table another subscription"
})

export const UnsubscribeRequest = Schema.Struct({
  url: url.check(withoutNul).annotateKey({ ...missingUrl, description: "Exactly as it was subscribed." }),
  schema: anyNameOf("schema").annotateKey({ description: "As it was subscribed; empty is a value of its own." }),
  table: anyNameOf("table").annotateKey({ description: "As it was subscribed; empty is a value of its own." })
}).annotate({
  identifier: "UnsubscribeRequest",
  message: MUST_BE_OBJECT,
  messageUnexpectedKey: "is not known. Known are url, schema and table; "
    + "to change the event types, subscribe again"
})

const subscriptionFields = {
  id: Schema.String,
  endpoint_id: Schema.String.annotateKey({
    description: "The header `webhook-endpoint`. Rows with one URL share an endpoint."
  }),
  url: Schema.String.annotateKey({ description: "Userinfo is shown as ***; with the scope read there is no query." }),
  schema: Schema.String,
  table: Schema.String,
  event_types: Schema.Array(Schema.String),
  created_at: Schema.String.annotateKey({ description: "RFC 3339, UTC." })
}

export const SubscriptionView = Schema.Struct(subscriptionFields).annotate({ identifier: "Subscription" })

export const Subscribed = Schema.Struct({
  ...subscriptionFields,
  behind_bytes: Schema.optionalKey(Schema.Number).annotateKey({
    description: "Bytes of WAL that the stream is behind: changes committed from now on arrive after those."
  }),
  state: Schema.optionalKey(Schema.String).annotateKey({
    description: "Of the endpoint: active, paused, disabled or suspended."
  }),
  state_since: Schema.optionalKey(Schema.String),
  paused: Schema.optionalKey(Schema.Boolean).annotateKey({
    description: "The endpoint does not get its events now: any state but active."
  }),
  paused_reason: Schema.optionalKey(Schema.String),
  secrets_unreadable: Schema.optionalKey(Schema.Boolean),
  snapshots: Schema.optionalKey(Schema.Array(Schema.String)).annotateKey({
    description: "Ids of copies, where one was asked for: GET /webhooks/snapshots/{id}. Empty: nothing matches now."
  })
}).annotate({ identifier: "Subscribed", httpApiStatus: 201 })

export const Unsubscribed = Schema.Struct({
  unsubscribed: Schema.Literal(true)
}).annotate({ identifier: "Unsubscribed" })

export const Removed = Schema.Struct({
  ...subscriptionFields,
  endpoint_ended: Schema.Boolean.annotateKey({ description: "It was the last subscription of its endpoint." }),
  withdrawn: Schema.Int.annotateKey({
    description: "Parked and dead deliveries that it alone selected: they are not sent. Those in segments are not counted."
  })
}).annotate({ identifier: "SubscriptionRemoved" })

export const SubscriptionList = Schema.Struct({
  subscriptions: Schema.Array(SubscriptionView)
}).annotate({ identifier: "SubscriptionList" })

const refused = [Problems.Unauthorized, Problems.NotAllowed] as const
const refusedWrite = [...refused, Problems.ScopeTooSmall] as const
const refusedBody = [...refusedWrite, Problems.NotJson, Problems.TooLarge] as const
const store = [Problems.StoreUnavailable, Problems.StoreRefused] as const
const params = { id: Schema.String }

export const Webhooks = HttpApiGroup.make("webhooks")
  .add(
    HttpApiEndpoint.post("subscribe", "/webhooks/subscribe", {
      payload: SubscribeRequest,
      success: Subscribed,
      error: [
        ...refusedBody, ...store, Problems.TooManySubscriptions, Problems.AddressNotAllowed,
        Problems.SourceUnavailable, Problems.SourceRefused, Problems.CopyRefused
      ]
    }).annotateMerge(OpenApi.annotations({
      summary: "Subscribe a webhook",
      description: "Every change that is committed after the answer is delivered. Again with the same url, "
        + "schema and table: the event types are replaced."
    })),
    HttpApiEndpoint.post("unsubscribe", "/webhooks/unsubscribe", {
      payload: UnsubscribeRequest,
      success: Unsubscribed,
      error: [...refusedBody, Problems.NotSubscribed, ...store]
    }).annotateMerge(OpenApi.annotations({
      summary: "Remove a subscription",
      description: "No request that only this subscription selects starts after the answer."
    })),
    HttpApiEndpoint.get("list", "/webhooks/subscriptions", {
      success: SubscriptionList,
      error: [...refused, ...store]
    }).annotateMerge(OpenApi.annotations({ summary: "All subscriptions, oldest first" })),
    HttpApiEndpoint.get("get", "/webhooks/subscriptions/:id", {
      params,
      success: SubscriptionView,
      error: [...refused, ...store, Problems.NoSuchSubscription]
    }).annotateMerge(OpenApi.annotations({ summary: "One subscription" })),
    HttpApiEndpoint.patch("update", "/webhooks/subscriptions/:id", {
      params,
      payload: UpdateSubscriptionRequest,
      success: SubscriptionView,
      error: [...refusedBody, ...store, Problems.NoSuchSubscription]
    }).annotateMerge(OpenApi.annotations({
      summary: "Change the event types of a subscription",
      description: "It holds for the transactions that commit after the answer."
    })),
    HttpApiEndpoint.delete("remove", "/webhooks/subscriptions/:id", {
      params,
      success: Removed,
      error: [...refusedWrite, ...store, Problems.NoSuchSubscription]
    }).annotateMerge(OpenApi.annotations({
      summary: "Remove a subscription by its id",
      description: "No request that only this subscription selects starts after the answer."
    }))
  )
  .middleware(NamedFields)
  .annotateMerge(OpenApi.annotations({ title: "Webhooks" }))

export const SubscriptionApi = HttpApi.make("pgstream")
  .add(Webhooks)
  .add(EndpointApi.Endpoints)
  .add(EndpointToolsApi.EndpointTools)
  .add(CopyApi.Copies)
  .add(DeliveryApi.Deliveries)
  .annotate(HttpApi.PayloadParseOptions, { errors: "all", onExcessProperty: "error" })
  .annotate(HttpApi.QueryParseOptions, { errors: "all", onExcessProperty: "error" })
  .annotateMerge(OpenApi.annotations({
    title: "pgstream",
    version: "1",
    description: "Subscriptions of webhooks to the changes of a Postgres database."
  }))

