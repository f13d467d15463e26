/** Deliveries that wait in segments, before they are rows: a page of them, and one of them by its id. */
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import * as DeliverySelector from "../../../domain/DeliverySelector.ts"
import * as Lsn from "../../../domain/Lsn.ts"
import { compare, type Part, type Position } from "../../../domain/Merge.ts"
import type { SegmentEvent } from "../../../domain/Segment.ts"
import type { StreamId } from "../../../domain/StreamId.ts"
import { DeliveryAdminError, type DeliveryQuery, type ListedDelivery } from "../../../services/DeliveryAdmin.ts"
import type { Segments, WaitingSegment } from "../../../services/Segments.ts"

/** Segments that one page looks through: they are read with their bodies. */
const MAX_SEGMENTS = 64

/** What was looked at last: number of the segment, and position in it. */
export type SegmentPlace = readonly [segment: string, commitLsn: string, ordinal: string, endpointId: string, id: string]
export const START: SegmentPlace = ["", "", "", "", ""]

interface Waiting {
  readonly event: SegmentEvent
  readonly position: Position
  readonly listed: ListedDelivery
}

const listedOf = ({ id, kind, table }: SegmentEvent, { endpointId, epoch, sequence }: SegmentEvent["targets"][number], atMs: number): ListedDelivery => ({
  endpointId, id, state: "waiting", sequence, epoch, table, kind, attempts: 0, atMs, dueAtMs: undefined, lastError: undefined, tookMs: undefined
})

/** One for each endpoint of each event, in order. */
const waitingIn = ({ events, madeAtMs }: WaitingSegment, newestFirst: boolean): ReadonlyArray<Waiting> => {
  const all = events.flatMap((event) => event.targets.map((target): Waiting => ({
    event, listed: listedOf(event, target, madeAtMs),
    position: { commitLsn: event.commitLsn, ordinal: event.ordinal, endpointId: target.endpointId, id: event.id }
  })))
  return all.sort((a, b) => (newestFirst ? compare(b.position, a.position) : compare(a.position, b.position)))
}

const placeOf = (segment: number, { commitLsn, endpointId, id, ordinal }: Position): SegmentPlace =>
  [String(segment), Lsn.format(commitLsn), String(ordinal), endpointId, id]

const positionOf = ([, lsn, ordinal, endpointId, id]: SegmentPlace): Position =>
  ({ commitLsn: Result.getOrElse(Lsn.parse(lsn), () => Lsn.zero), ordinal: Number(ordinal), endpointId, id })

const isMeant = (selector: DeliverySelector.DeliverySelector, { event: { body }, listed }: Waiting): boolean =>
  DeliverySelector.selectsWaiting(selector, { ...listed, body }, listed.atMs)

const failure = (operation: string) => (cause: unknown) => new DeliveryAdminError({ operation, unavailable: false, cause })

type Store = Segments["Service"]

/** Positions of an earlier life of the database may be above later ones: for the merge each counts as the furthest before. */
export const page = Effect.fnUntraced(function*(segments: Store, stream: StreamId, query: DeliveryQuery, start: SegmentPlace) {
  const { limit, oldestFirst, selector: { state: _, ...selector } } = query
  const [newestFirst, sign] = [!oldestFirst, oldestFirst ? 1 : -1]
  const look = { endpoint: selector.endpointId, newestFirst, position: DeliverySelector.soughtAt(selector) }
  const found: Array<Part<ListedDelivery, SegmentPlace>["found"][number]> = []
  let [from, furthest, place] = [start[0] === "" ? undefined : Number(start[0]), undefined as Position | undefined, start]
  for (let looked = 0; looked < MAX_SEGMENTS; looked++) {
    const segment = yield* segments.look(stream, { ...look, from }).pipe(Effect.mapError(failure("list")))
    if (segment === undefined) return { found, looked: undefined, start } satisfies Part<ListedDelivery, SegmentPlace>
    const isDone = (position: Position) => String(segment.number) === start[0] && sign * compare(position, positionOf(start)) <= 0
    for (const each of waitingIn(segment, newestFirst)) {
      if (isDone(each.position)) continue
      if (furthest === undefined || sign * compare(each.position, furthest) > 0) furthest = each.position
      place = placeOf(segment.number, each.position)
      if (!isMeant(selector, each)) continue
      found.push({ item: each.listed, position: furthest, place })
      if (found.length === limit) return { found, looked: { position: furthest, place }, start } satisfies Part<ListedDelivery, SegmentPlace>
    }
    from = segment.number + sign
  }
  return { found, looked: furthest === undefined ? undefined : { position: furthest, place }, start } satisfies Part<ListedDelivery, SegmentPlace>
})

/**
 * The event with its body, as it waits for the endpoint; `undefined`: it waits in no segment, or, of an id that names no
 * position (a copied row), in none of the first `MAX_SEGMENTS`.
 */
export const find = Effect.fnUntraced(function*(segments: Store, stream: StreamId, endpoint: string, id: string) {
  const selector = { endpointId: endpoint, ids: [id] }
  const look = { endpoint, newestFirst: false, position: DeliverySelector.soughtAt(selector) }
  for (let [looked, from] = [0, undefined as number | undefined]; looked < MAX_SEGMENTS; looked++) {
    const segment = yield* segments.look(stream, { ...look, from }).pipe(Effect.mapError(failure("show")))
    if (segment === undefined) return undefined
    const found = waitingIn(segment, false).find((each) => isMeant(selector, each))
    if (found !== undefined) return { facts: found.listed, body: found.event.body }
    from = segment.number + 1
  }
  return undefined
})
