/** Rows that are meant wait again, due now: dead ones with their keys, so that they take their place in the order. */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import type { Command } from "../../../services/DeliveryCommands.ts"
import type { ParkedDelivery } from "../../../services/ParkedDeliveries.ts"
import { byEndpoint, type CommandParts, Tally } from "./Parts.ts"
import * as Pace from "./Pace.ts"

const revive = ({ admin, live, stream }: CommandParts, rows: ReadonlyArray<ParkedDelivery>) =>
  Effect.forEach(byEndpoint(rows), ([endpoint, own]) =>
    // Keys of those that wait are held already.
    live.revive(endpoint, own.filter(({ state }) => state === "dead"), admin.revive(stream, endpoint, own.map(({ id }) => id))),
  { discard: true })

export const stored = Effect.fnUntraced(function*(parts: CommandParts, command: Command, tally: Tally) {
  const { orderedAtMs, place, rate, selector } = command
  let after = place?.after
  for (;;) {
    const from = yield* Clock.currentTimeMillis
    const { next, rows } = yield* parts.admin.matching(parts.stream, selector, orderedAtMs, after, Pace.step(rate), false)
    yield* revive(parts, rows)
    tally.done += rows.length
    if (next === undefined) return
    after = next
    yield* tally.told("stored", after)
    yield* Pace.wait(rate, rows.length, (yield* Clock.currentTimeMillis) - from)
  }
})

export const run = Effect.fnUntraced(function*(parts: CommandParts, command: Command) {
  const tally = new Tally(parts, command)
  yield* stored(parts, command, tally)
  return tally.progress("stored", undefined)
})
