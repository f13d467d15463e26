/**
 * Erases what is stored of deliveries: rows, events of segments, and what the log has of bodies and answers. Their numbers
 * are recorded as `purged` before. What a kill leaves is erased when the command begins again.
 */
import * as Effect from "effect/Effect"
import * as DeliverySelector from "../../../domain/DeliverySelector.ts"
import { rangesOf, type SegmentEvent } from "../../../domain/Segment.ts"
import type { Command } from "../../../services/DeliveryCommands.ts"
import type { ParkedDelivery } from "../../../services/ParkedDeliveries.ts"
import { type CommandParts, Tally } from "./Parts.ts"

const STEP = 500

const record = ({ ranges, stream }: CommandParts, endpointId: string, numbered: Parameters<typeof rangesOf>[0]) => {
  const found = rangesOf(numbered).map((range) => ({ ...range, endpointId, state: "purged" as const }))
  return found.length === 0 ? Effect.void : ranges.add(stream, found)
}

const eraseRows = Effect.fnUntraced(function*(parts: CommandParts, endpointId: string, rows: ReadonlyArray<ParkedDelivery>) {
  if (rows.length === 0) return
  yield* record(parts, endpointId, rows)
  yield* parts.admin.erase(parts.stream, endpointId, rows.map(({ id }) => id))
})

const rowsOf = Effect.fnUntraced(function*(parts: CommandParts, command: Command, endpointId: string, tally: Tally) {
  const selector = { ...command.selector, endpointId }
  for (let after = undefined as Parameters<typeof parts.admin.matching>[3]; ;) {
    const { next, rows } = yield* parts.admin.matching(parts.stream, selector, command.orderedAtMs, after, STEP, false)
    yield* eraseRows(parts, endpointId, rows)
    tally.done += rows.length
    yield* tally.told("stored", undefined)
    if (next === undefined) return
    after = next
  }
})

/** Whatever the state: what waits in memory and in segments waits. */
const matcher = (selector: DeliverySelector.DeliverySelector, endpointId: string, atMs: number) =>
(event: { readonly id: string; readonly table: string; readonly body: Uint8Array }): boolean =>
  DeliverySelector.selectsWaiting({ ...selector, endpointId }, { ...event, endpointId }, atMs)

const segmentsOf = Effect.fnUntraced(function*(parts: CommandParts, endpointId: string, matches: (event: SegmentEvent) => boolean, tally: Tally) {
  const { segments, stream } = parts
  const before = (erased: ReadonlyArray<SegmentEvent>) => record(parts, endpointId, erased.flatMap(({ targets }) => targets))
  tally.done += yield* segments.erase(stream, endpointId, matches, before)
})

const endpointsOf = Effect.fnUntraced(function*({ admin, stream }: CommandParts, { endpointId }: DeliverySelector.DeliverySelector) {
  if (endpointId !== undefined) return [endpointId]
  return (yield* admin.counts(stream)).map((counts) => counts.endpointId)
})

export const run = Effect.fnUntraced(function*(parts: CommandParts, command: Command) {
  const { selector } = command
  const tally = new Tally(parts, command)
  for (const endpoint of yield* endpointsOf(parts, selector)) {
    const rows = rowsOf(parts, command, endpoint, tally)
    if (selector.state === "dead") {
      yield* rows
      continue
    }
    const matches = matcher(selector, endpoint, command.orderedAtMs)
    yield* parts.live.purge(endpoint, Effect.andThen(rows, segmentsOf(parts, endpoint, matches, tally)))
  }
  // What was delivered or stored as a row may be in segments still. Nobody reads it again, whoever it was for.
  const { endpointId: _, state: __, ...facts } = selector
  const passed = yield* parts.segments.erasePassed(parts.stream, (event) => {
    const [target] = event.targets
    return target !== undefined && matcher(facts, target.endpointId, command.orderedAtMs)(event)
  })
  const notes = passed === 0 ? [] : [`Of ${passed} events that nobody waits for, the bodies in segments were erased.`]
  if (selector.state === undefined) {
    const count = yield* parts.admin.eraseLogged(parts.stream, selector)
    if (count > 0) notes.push(`Of ${count} attempts in the log, what it had of bodies and answers was erased.`)
  }
  tally.note = notes.join("\n")
  return tally.progress("stored", undefined)
})
