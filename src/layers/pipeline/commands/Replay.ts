/**
 * Sends again what is meant, under the same ids: to the endpoint (rows wait again; accepted ones of which the log has the
 * body become rows), or to another URL.
 */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import type { KeptDelivery, MatchCursor } from "../../../services/DeliveryAdmin.ts"
import type { Command } from "../../../services/DeliveryCommands.ts"
import type { ParkedDelivery } from "../../../services/ParkedDeliveries.ts"
import type { EndpointConnection } from "../../../services/WebhookTransport.ts"
import { byEndpoint, type CommandParts, Tally } from "./Parts.ts"
import * as Pace from "./Pace.ts"
import * as Behind from "./ReplayBehind.ts"
import * as Retry from "./Retry.ts"
import * as Sending from "./Sending.ts"

const NOT_KEPT = "What was delivered can be sent again only while the log has its body: the last 100 of each endpoint, with "
  + "PGSTREAM_WEBHOOK_DELIVERY_LOG_BODIES=true. Rows as they are now:   pgstream snapshot --subscription ID --tables …"

const rowOf = (delivery: KeptDelivery, now: number): ParkedDelivery => ({
  ...delivery, selectedBy: [], attempts: 0, state: "waiting", dueAtMs: now, retries: 0, lastError: undefined
})

/** An accepted one becomes a row that waits, in its place; of an endpoint that ended there is nothing to send to. */
const again = Effect.fnUntraced(function*({ endpoints, live, parked, stream }: CommandParts, deliveries: ReadonlyArray<KeptDelivery>) {
  let done = 0
  const now = yield* Clock.currentTimeMillis
  for (const [endpoint, own] of byEndpoint(deliveries)) {
    if (endpoints.get(endpoint) === undefined) continue
    yield* live.revive(endpoint, own, parked.write(stream, own.map((each) => rowOf(each, now))))
    done += own.length
  }
  return done
})

type Send = (events: ReadonlyArray<Sending.Replayed>) => Effect.Effect<void, string>

const sender = (connection: EndpointConnection): Send => (events) =>
  Effect.forEach(Sending.waves(events), (wave) =>
    Effect.forEach(wave, (event) => Sending.send(connection, event), { concurrency: Sending.CONCURRENCY, discard: true }), { discard: true })

const logged = Effect.fnUntraced(function*(parts: CommandParts, command: Command, tally: Tally, send: Send | undefined) {
  const { orderedAtMs, place, rate, selector } = command
  let after: MatchCursor | undefined = place?.phase === "logged" ? place.after : undefined
  for (;;) {
    const from = yield* Clock.currentTimeMillis
    const { deliveries, next, withoutBody } = yield* parts.admin.kept(parts.stream, selector, orderedAtMs, after, Pace.step(rate))
    const done = send === undefined ? yield* again(parts, deliveries) : yield* Effect.as(send(deliveries), deliveries.length)
    tally.done += done
    tally.skipped += withoutBody + deliveries.length - done
    if (next === undefined) return
    after = next
    yield* tally.told("logged", after)
    yield* Pace.wait(rate, deliveries.length, (yield* Clock.currentTimeMillis) - from)
  }
})

const storedTo = Effect.fnUntraced(function*(parts: CommandParts, command: Command, tally: Tally, send: Send) {
  const { orderedAtMs, place, rate, selector } = command
  let after = place?.after
  for (;;) {
    const from = yield* Clock.currentTimeMillis
    const { next, rows } = yield* parts.admin.matching(parts.stream, selector, orderedAtMs, after, Pace.step(rate), true)
    yield* send(rows)
    tally.done += rows.length
    if (next === undefined) return
    after = next
    yield* tally.told("stored", after)
    yield* Pace.wait(rate, rows.length, (yield* Clock.currentTimeMillis) - from)
  }
})

/** Sent as the requests of the endpoint with that URL are, where there is one; else bare. */
const connectionTo = Effect.fnUntraced(function*({ endpointStore, transport }: CommandParts, url: string) {
  const endpoint = (yield* endpointStore.list).find((each) => each.url === url)
  return yield* transport.open(endpoint ?? Sending.strangerAt(url))
})

export const run = Effect.fnUntraced(function*(parts: CommandParts, command: Command) {
  const tally = new Tally(parts, command)
  const send = command.target === undefined ? undefined : sender(yield* connectionTo(parts, Redacted.value(command.target)))
  const phase = command.place?.phase ?? "stored"
  if (phase === "stored") yield* send === undefined ? Retry.stored(parts, command, tally) : storedTo(parts, command, tally, send)
  // To its own endpoint they go by themselves.
  if (phase !== "logged" && send !== undefined && command.selector.state !== "dead") {
    if (phase === "stored") yield* tally.told("segments", undefined)
    yield* Behind.run(parts, command, tally, send)
  }
  if (command.selector.state === undefined) {
    yield* tally.told("logged", command.place?.phase === "logged" ? command.place.after : undefined)
    yield* logged(parts, command, tally, send)
    tally.note = NOT_KEPT
  }
  return tally.progress("logged", undefined)
}, Effect.scoped)
