/** `--order`, `--concurrency`, `--rate`, `--batch` and `--gzip`: how the endpoint of a subscription is sent to. */
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type { BatchLimits, Endpoint, OrderMode } from "../../domain/Subscription.ts"
import * as Audit from "../../services/Audit.ts"
import { MAX_BATCH_DELAY_MS, MAX_BATCH_EVENTS, MAX_CONCURRENCY, MAX_RATE } from "../../services/EndpointApi.ts"
import { type EndpointChange, EndpointStore } from "../../services/EndpointStore.ts"
import { endpointWrite, failed, usage } from "./Admin.ts"
import { CommandFailed } from "./Failure.ts"
import { count } from "./TextTable.ts"

export interface SendingFlags {
  readonly order: Option.Option<OrderMode>
  readonly concurrency: Option.Option<string>
  readonly rate: Option.Option<string>
  readonly batch: Option.Option<string>
  readonly gzip: Option.Option<boolean>
}

const within = (digits: string | undefined, least: number, most: number): number | undefined => {
  const value = Number(digits)
  return digits !== undefined && value >= least && value <= most ? value : undefined
}

/** `clear`: the word that takes back what was set. `undefined`: it is neither that nor a value. */
const read = <A>(text: Option.Option<string>, clear: string, value: (text: string) => A | undefined, wrong: string) => {
  if (Option.isNone(text)) return Effect.succeed(undefined)
  if (text.value === clear) return Effect.succeed(null)
  const found = value(text.value)
  return found === undefined ? Effect.fail(usage(wrong)) : Effect.succeed(found)
}

const concurrencyOf = (text: string) => within(/^(\d{1,6})$/.exec(text)?.[1], 1, MAX_CONCURRENCY)
const rateOf = (text: string) => within(/^(\d{1,7})(?:\/s)?$/.exec(text)?.[1], 1, MAX_RATE)

/** `100/50ms` */
const batchOf = (text: string): BatchLimits | undefined => {
  const [, events, delay, unit] = /^(\d{1,5})\/(\d{1,6})(ms|s)$/.exec(text) ?? []
  const maxEvents = within(events, 2, MAX_BATCH_EVENTS)
  const maxDelayMs = within(delay === undefined ? undefined : String(Number(delay) * (unit === "s" ? 1_000 : 1)), 0, MAX_BATCH_DELAY_MS)
  return maxEvents === undefined || maxDelayMs === undefined ? undefined : { maxEvents, maxDelayMs }
}

/** `undefined`: none of the flags is given. */
export const changeOf = Effect.fnUntraced(function*(flags: SendingFlags) {
  const concurrency = yield* read(flags.concurrency, "default", concurrencyOf,
    `--concurrency: write a number from 1 to ${MAX_CONCURRENCY}, or default: the setting of the service`)
  const rate = yield* read(flags.rate, "none", rateOf, `--rate: write a number from 1 to ${MAX_RATE}, such as 50/s, or none`)
  const batch = yield* read(flags.batch, "none", batchOf,
    `--batch: write 2 to ${MAX_BATCH_EVENTS} events and a delay of at most ${MAX_BATCH_DELAY_MS / 1_000}s, such as 100/50ms, or none`)
  const [order, gzip] = [Option.getOrUndefined(flags.order), Option.getOrUndefined(flags.gzip)]
  const change: EndpointChange = {
    ...(order === undefined ? {} : { order }), ...(concurrency === undefined ? {} : { concurrency }),
    ...(rate === undefined ? {} : { rate }), ...(batch === undefined ? {} : { batch }), ...(gzip === undefined ? {} : { gzip })
  }
  return Object.keys(change).length === 0 ? undefined : change
})

/** `done`: what was changed before, for the case that this fails. */
export const apply = Effect.fnUntraced(function*(endpointId: string, change: EndpointChange, done: string) {
  const store = yield* EndpointStore
  const endpoint = yield* endpointWrite(store.update(endpointId, change)).pipe(
    Effect.flatMap((changed) => (changed === undefined ? Effect.fail(failed(1, "The endpoint ended just now", "NoSuchEndpoint")) : Effect.succeed(changed))),
    Effect.mapError((error) => new CommandFailed({ exitCode: error.exitCode, text: error.text.replace("Nothing was changed.", done) }))
  )
  const changed = Object.keys(change).join(", ")
  yield* Audit.record({ action: "endpoint.update", url: endpoint.url, details: { endpointId, changed } })
  return endpoint
})

/** In words, as it is now. */
export const describe = ({ batch, concurrency, gzip, order, rate }: Endpoint): string => [
  `order ${order}`, `${count(concurrency, "request")} at once`,
  ...(rate === undefined ? [] : [`at most ${rate}/s`]),
  ...(batch === undefined ? [] : [`batches of ${batch.maxEvents} events or ${batch.maxDelayMs} ms`]),
  ...(gzip === true ? ["gzip"] : [])
].join(", ")
