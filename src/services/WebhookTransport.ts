/**
 * One attempt: a POST and its answer. No retries, no order: those are the Notifier's.
 *
 * Plain callbacks: there is one per event (FACTS.md). Connections are kept alive; as many as requests in flight. A batch
 * is one request: its body and id are made by `domain/Batch`, and it has no number.
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import type { AttemptResult } from "../domain/Delivery.ts"
import type { Endpoint } from "../domain/Subscription.ts"

export interface OutgoingRequest {
  readonly body: Uint8Array
  /** `webhook-id`, `webhook-sequence` (0 = none), `webhook-endpoint`, `webhook-epoch`. `webhook-timestamp` is made per attempt. */
  readonly id: string
  readonly sequence: number
  readonly endpointId: string
  readonly epoch: string
}

export interface EndpointConnection {
  /** `done` is called exactly once, never before `send` returned. The body may be used again only after it. */
  send(request: OutgoingRequest, done: (result: AttemptResult) => void): void
}

/** One request where there is not one per event. */
export const sendOnce = (connection: EndpointConnection, request: OutgoingRequest): Effect.Effect<AttemptResult> =>
  Effect.callback((resume) => connection.send(request, (result) => resume(Effect.succeed(result))))

export class WebhookTransport extends Context.Service<WebhookTransport, {
  /** Sockets end with the scope. Requests in flight then end with `NoAnswer`. */
  open(endpoint: Endpoint): Effect.Effect<EndpointConnection, never, Scope.Scope>
}>()("pgstream/services/WebhookTransport") {}
