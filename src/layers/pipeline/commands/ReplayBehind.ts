/** Replay to another URL of what waits in segments: read there one after another, and left as it is. */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import * as DeliverySelector from "../../../domain/DeliverySelector.ts"
import * as Lsn from "../../../domain/Lsn.ts"
import { compare, type Position } from "../../../domain/Merge.ts"
import type { Command, CommandPlace } from "../../../services/DeliveryCommands.ts"
import type { WaitingSegment } from "../../../services/Segments.ts"
import * as Pace from "./Pace.ts"
import type { CommandParts, Tally } from "./Parts.ts"
import type { Replayed } from "./Sending.ts"

interface Waiting extends Replayed {
  readonly commitLsn: Lsn.Lsn
  readonly ordinal: number
  readonly table: string
}

/** One for each endpoint of each event, in the order by which a command goes on after a kill. */
const waitingIn = ({ events }: WaitingSegment): ReadonlyArray<Waiting> =>
  events.flatMap(({ body, commitLsn, id, ordinal, table, targets }) =>
    targets.map(({ endpointId, epoch, keys, sequence }) => ({ commitLsn, ordinal, endpointId, id, epoch, sequence, table, body, keys }))
  ).sort(compare)

/** Nothing of a segment is behind it. */
const END: Position = { commitLsn: Number.MAX_SAFE_INTEGER, ordinal: Number.MAX_SAFE_INTEGER, endpointId: "", id: "" }

const placeIn = (segment: number, { commitLsn, endpointId, id, ordinal }: Position): CommandPlace =>
  ({ phase: "segments", segment, after: { commitLsn: Lsn.format(commitLsn), ordinal, endpointId, id } })

const isBehind = (place: CommandPlace | undefined, segment: number) => (event: Waiting): boolean => {
  if (place?.segment !== segment || place.after === undefined) return true
  const commitLsn = Result.getOrElse(Lsn.parse(place.after.commitLsn), () => Lsn.zero)
  return compare(event, { ...place.after, commitLsn }) > 0
}

/** What was appended before the command was ordered. `send` sends a step of them. */
export const run = Effect.fnUntraced(function*<E>(
  { segments, stream }: CommandParts, command: Command, tally: Tally, send: (events: ReadonlyArray<Replayed>) => Effect.Effect<void, E>
) {
  const { orderedAtMs, place, rate, selector } = command
  const look = { endpoint: selector.endpointId, newestFirst: false, position: DeliverySelector.soughtAt(selector) }
  for (let from = place?.segment; ;) {
    const segment = yield* segments.look(stream, { ...look, from })
    if (segment === undefined || segment.madeAtMs > orderedAtMs) return
    const events = waitingIn(segment).filter(isBehind(place, segment.number))
      .filter((event) => DeliverySelector.selectsWaiting(selector, event, segment.madeAtMs))
    for (let i = 0; i < events.length; i += Pace.step(rate)) {
      const began = yield* Clock.currentTimeMillis
      const step = events.slice(i, i + Pace.step(rate))
      yield* send(step)
      tally.done += step.length
      yield* tally.toldAt(placeIn(segment.number, step.at(-1)!))
      yield* Pace.wait(rate, step.length, (yield* Clock.currentTimeMillis) - began)
    }
    if (events.length === 0) yield* tally.toldAt(placeIn(segment.number, END))
    from = segment.number + 1
  }
})
