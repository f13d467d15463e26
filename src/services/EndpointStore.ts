/** What an operator does to endpoints: behind the API. Every layer passes `test/suites/EndpointStoreSuite.ts`. */
import * as Context from "effect/Context"
import type * as Effect from "effect/Effect"
import type * as Redacted from "effect/Redacted"
import * as Schema from "effect/Schema"
import type { SendingContent } from "../domain/Sending.ts"
import type { BatchLimits, Endpoint, EndpointId, OrderMode } from "../domain/Subscription.ts"

/** What is absent stays as it is. */
export interface EndpointChange {
  readonly url?: string | undefined
  readonly order?: OrderMode | undefined
  /** `null`: the setting `notifier.concurrency`. */
  readonly concurrency?: number | null | undefined
  /** For the stream of this process alone. `false` ends all that holds it up: paused, disabled, suspended. */
  readonly paused?: boolean | undefined
  /** Requests started a second at most; `null`: no limit. */
  readonly rate?: number | null | undefined
  /** Several events in one request; `null`: one a request. */
  readonly batch?: BatchLimits | null | undefined
  readonly gzip?: boolean | undefined
  /** Each part replaces the one that is there, as a whole. */
  readonly sending?: Partial<Omit<SendingContent, "secrets">> | undefined
}

export interface SecretRequest {
  /** `whsec_…`; absent: one is made. */
  readonly secret: Redacted.Redacted | undefined
  /** How long the secrets before count for, s. With 0 they end now. */
  readonly overlapSeconds: number
}

export interface RotatedSecret {
  /** Of the endpoint. */
  readonly url: string
  /** The only time that it is handed out. */
  readonly secret: Redacted.Redacted
  /** ms since 1970, from which only `secret` counts; `undefined`: it does already. */
  readonly overlapUntilMs: number | undefined
}

type StoreError = EndpointStoreError | EndpointRefused

export class EndpointStore extends Context.Service<EndpointStore, {
  /** All of them, oldest first. */
  readonly list: Effect.Effect<ReadonlyArray<Endpoint>, EndpointStoreError>
  /** All of it or nothing; durable before it returns, in force soon after. `undefined`: no such endpoint. */
  update(id: EndpointId, change: EndpointChange): Effect.Effect<Endpoint | undefined, StoreError>
  /** `undefined`: there is no such endpoint. */
  rotateSecret(id: EndpointId, request: SecretRequest): Effect.Effect<RotatedSecret | undefined, StoreError>
}>()("pgstream/services/EndpointStore") {}

/**
 * Nothing was changed.
 * - UrlTaken: another endpoint has the URL.
 * - SecretKeyMissing: what was given is not stored in the clear.
 * - SecretKeyUnknown: what is stored does not open; `detail` names the key by its id.
 * - TooManySecrets: so many would count at once.
 */
export class EndpointRefused extends Schema.TaggedError<EndpointRefused>()("EndpointRefused", {
  reason: Schema.Literals(["UrlTaken", "SecretKeyMissing", "SecretKeyUnknown", "TooManySecrets"]),
  detail: Schema.String
}) {
  override get message() {
    return `The endpoint cannot be changed: ${this.reason}. ${this.detail}`
  }
}

export class EndpointStoreError extends Schema.TaggedError<EndpointStoreError>()("EndpointStoreError", {
  operation: Schema.Literals(["list", "update", "rotateSecret"]),
  /** The store cannot be reached now: 503, try again. */
  unavailable: Schema.Boolean,
  cause: Schema.Defect()
}) {}
