/**
 * A transport that plays a script and records what it was asked to send.
 *
 * `LostReply`: the receiver accepted it and the answer did not arrive. Without a script for an endpoint, or after its
 * end, everything is accepted.
 */
import * as Effect from "effect/Effect"
import type { AttemptResult } from "../../src/domain/Delivery.ts"
import type { Endpoint } from "../../src/domain/Subscription.ts"
import { type OutgoingRequest, WebhookTransport } from "../../src/services/WebhookTransport.ts"

export type Answer = "Ok" | "LostReply" | "NoAnswer" | { readonly status: number; readonly retryAfterMs?: number }

export interface Received {
  readonly endpoint: Endpoint
  readonly request: OutgoingRequest
  /** Its events: one, but in a batch. */
  readonly items: ReadonlyArray<{ readonly id: string; readonly sequence: number }>
}

const itemsOf = ({ id, sequence, body }: OutgoingRequest): Received["items"] => {
  if (!id.startsWith("b-")) return [{ id, sequence }]
  const items = JSON.parse(Buffer.from(body).toString("utf8")) as ReadonlyArray<{ readonly id: string; readonly sequence?: number }>
  return items.map((item) => ({ id: item.id, sequence: item.sequence ?? 0 }))
}

export interface Play {
  readonly answer: Answer
  /** The receiver has it after this; the answer is there after `replyMs` more. */
  readonly arriveMs: number
  readonly replyMs: number
}

export interface ScriptedOptions {
  /** Calls `run` after `ms`, never at once. */
  readonly later: (ms: number, run: () => void) => void
  readonly play: (received: Received) => Play
  readonly started?: (received: Received) => void
  readonly arrived?: (received: Received, accepted: boolean) => void
  readonly ended?: (received: Received, result: AttemptResult) => void
}

export const accepts = (answer: Answer): boolean =>
  answer === "Ok" || answer === "LostReply" || (typeof answer === "object" && answer.status >= 200 && answer.status < 300)

export const resultOf = (answer: Answer): AttemptResult => {
  if (answer === "Ok") return { _tag: "Accepted", status: 200 }
  if (typeof answer === "string") return { _tag: "NoAnswer", reason: "timeout after 10 s" }
  if (accepts(answer)) return { _tag: "Accepted", status: answer.status }
  return { _tag: "Refused", status: answer.status, retryAfterMs: answer.retryAfterMs, bodyStart: undefined }
}

export const service = (options: ScriptedOptions): WebhookTransport["Service"] =>
  WebhookTransport.of({
    open: (endpoint) =>
      Effect.succeed({
        send: (outgoing, done) => {
          const { body, id, sequence, endpointId, epoch } = outgoing
          const request = { body, id, sequence, endpointId, epoch }
          const received: Received = { endpoint, request, items: itemsOf(request) }
          const { answer, arriveMs, replyMs } = options.play(received)
          options.started?.(received)
          options.later(arriveMs, () => {
            options.arrived?.(received, accepts(answer))
            options.later(replyMs, () => {
              const result = resultOf(answer)
              options.ended?.(received, result)
              done(result)
            })
          })
        }
      })
  })
