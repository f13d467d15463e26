/** The delivery log in memory: as many failures as `DeliveryLogPg` holds between two flushes, and the last successes. */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { type HeldAttempt, MAX_FAILURES_OF_ENDPOINT, SUCCESSES } from "../../domain/AttemptBuffer.ts"
import * as RetryPolicy from "../../domain/RetryPolicy.ts"
import { format } from "../../domain/StreamId.ts"
import { DeliveryLog } from "../../services/DeliveryLog.ts"
import { DeliveryLogSettings } from "../../services/DeliverySettings.ts"

export interface Logged extends HeldAttempt {
  readonly stream: string
  /** Rises with each. */
  readonly number: number
}

export class LogTables extends Context.Service<LogTables, {
  /** By stream and endpoint, oldest first. */
  readonly failures: Map<string, Array<Logged>>
  readonly successes: Map<string, Array<Logged>>
}>()("pgstream/layers/memory/LogTables") {}

export const tables: Layer.Layer<LogTables> = Layer.sync(LogTables, () => ({ failures: new Map(), successes: new Map() }))

export const layer: Layer.Layer<never> = Layer.effect(DeliveryLog, Effect.gen(function*() {
  const { failures, successes } = yield* LogTables
  const { bodies } = yield* DeliveryLogSettings
  let number = 0
  return {
    attempted: (stream, delivery, result, atMs, tookMs) => {
      const accepted = result._tag === "Accepted"
      const [table, most] = accepted ? [successes, SUCCESSES] : [failures, MAX_FAILURES_OF_ENDPOINT]
      const key = `${format(stream)} ${delivery.endpointId}`
      const list = table.get(key) ?? []
      table.set(key, list)
      if (list.length === most) list.shift()
      const { body, ...facts } = delivery
      list.push({
        ...facts, stream: format(stream), number: ++number, atMs, tookMs, body: bodies ? new Uint8Array(body) : undefined,
        status: result._tag === "NoAnswer" ? undefined : result.status,
        reason: accepted ? "" : RetryPolicy.describe(result),
        answerStart: result._tag === "Refused" ? result.bodyStart : undefined
      })
    }
  }
})).pipe(Layer.provide(tables))
