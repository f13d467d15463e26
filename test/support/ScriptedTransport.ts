/**
 * A transport that plays a script and records what it was asked to send.
 *
 * The body of a request must stay as it is until its answer, and be the one of its event: the memory of bodies is used again.
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

/** Position in the body of one event; not that of a batch. */
const lsnIn = ({ id, body }: OutgoingRequest): number | undefined => {
  const found = !/^[0-9a-f]{16}-/.test(id) ? null : /"lsn":"([0-9A-F]+)\/([0-9A-F]+)"/.exec(Buffer.from(body).toString("latin1"))
  return found === null ? undefined : Number.parseInt(found[1]!, 16) * 2 ** 32 + Number.parseInt(found[2]!, 16)
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
  /** What the position in a body is below that of the commit in its event's id. */
  readonly beforeCommit: number
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
          const before = Buffer.from(body)
          const lsn = lsnIn(request)
          if (lsn !== undefined && lsn !== Number.parseInt(id.slice(0, 16), 16) - options.beforeCommit) throw new Error(`${id} is sent with another's body`)
          const { answer, arriveMs, replyMs } = options.play(received)
          options.started?.(received)
          options.later(arriveMs, () => {
            options.arrived?.(received, accepts(answer))
            options.later(replyMs, () => {
              if (!before.equals(body)) throw new Error(`the body of ${id} was written to before its answer`)
              const result = resultOf(answer)
              options.ended?.(received, result)
              done(result)
            })
          })
        }
      })
  })
