/** `EndpointTests` over any `WebhookTransport`: a connection of its own, beside those of the stream. */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { randomBytes } from "node:crypto"
import type { AttemptResult } from "../../domain/Delivery.ts"
import type { Endpoint } from "../../domain/Subscription.ts"
import * as TestEvent from "../../domain/TestEvent.ts"
import { EndpointTests } from "../../services/EndpointTests.ts"
import { sendOnce, WebhookTransport } from "../../services/WebhookTransport.ts"

const ID_BYTES = 12
/** Unsigned, or without its authorization, nothing is sent. */
const unreadable: AttemptResult = { _tag: "NoAnswer", reason: "its secrets do not open" }

const reasonOf = (result: AttemptResult): string | undefined => {
  if (result._tag === "Accepted") return undefined
  return result._tag === "NoAnswer" ? result.reason : `answered ${result.status}`
}

export const layer: Layer.Layer<EndpointTests, never, WebhookTransport> = Layer.effect(
  EndpointTests,
  Effect.gen(function*() {
    const transport = yield* WebhookTransport
    return EndpointTests.of({
      send: Effect.fn("EndpointTests.send")(function*(endpoint: Endpoint) {
        const nowMs = yield* Clock.currentTimeMillis
        const id = `${TestEvent.ID_PREFIX}${randomBytes(ID_BYTES).toString("hex")}`
        const body = Buffer.from(TestEvent.body(nowMs), "utf8")
        const began = performance.now()
        const result = endpoint.unreadable === true ? unreadable : yield* Effect.scoped(Effect.flatMap(
          transport.open(endpoint), (connection) => sendOnce(connection, { body, id, sequence: 0, endpointId: endpoint.id, epoch: "" })
        ))
        return {
          id,
          accepted: result._tag === "Accepted",
          status: result._tag === "NoAnswer" ? undefined : result.status,
          reason: reasonOf(result),
          tookMs: Math.round(performance.now() - began)
        }
      })
    })
  })
)
