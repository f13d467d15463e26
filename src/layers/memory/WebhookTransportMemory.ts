/**
 * A receiver inside the process instead of HTTP, for embedders and tests. Same contract as `WebhookTransportHttp`;
 * `test/suites/WebhookTransportSuite.ts` runs against both.
 */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type { AttemptResult } from "../../domain/Delivery.ts"
import type { Endpoint } from "../../domain/Subscription.ts"
import { type OutgoingRequest, WebhookTransport } from "../../services/WebhookTransport.ts"

/**
 * `answer` may be called at once or later; calls after the first, or after the end of the scope, do nothing. The bytes of
 * `request.body` hold until then: who keeps them for longer keeps a copy.
 */
export type Receive = (endpoint: Endpoint, request: OutgoingRequest, answer: (result: AttemptResult) => void) => void

const stopped: AttemptResult = { _tag: "NoAnswer", reason: "stopped" }

const connection = (endpoint: Endpoint, receive: Receive) => {
  const open = new Set<(result: AttemptResult) => void>()
  let closed = false
  return {
    send: (request: OutgoingRequest, done: (result: AttemptResult) => void): void => {
      let returned = false
      const end = (result: AttemptResult): void => {
        if (!open.delete(end)) return
        if (returned) done(result)
        else queueMicrotask(() => done(result))
      }
      open.add(end)
      if (closed) end(stopped)
      else receive(endpoint, request, end)
      returned = true
    },
    close: (): void => {
      closed = true
      for (const end of open) end(stopped)
    }
  }
}

export const layer = (receive: Receive): Layer.Layer<WebhookTransport> =>
  Layer.succeed(WebhookTransport, {
    open: (endpoint) =>
      Effect.acquireRelease(
        Effect.sync(() => connection(endpoint, receive)),
        ({ close }) => Effect.sync(close)
      )
  })
