/**
 * Same contract as `DeliveryAdminPg`; `test/suites/DeliveryAdminSuite.ts` runs against both. On the rows of
 * `ParkedDeliveriesMemory`, the segments of `SegmentsMemory`, and the attempts of `DeliveryLogMemory`.
 */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as BlockingRows from "../../domain/Blocking.ts"
import * as DeliverySelector from "../../domain/DeliverySelector.ts"
import * as Lsn from "../../domain/Lsn.ts"
import type { SegmentEvent, SegmentTarget } from "../../domain/Segment.ts"
import { format, type StreamId } from "../../domain/StreamId.ts"
import {
  BadCursor, type BlockingDelivery, DeliveryAdmin, DeliveryAdminError, type DeliveryCounts, type DeliveryQuery, type ListedDelivery,
  type MatchCursor
} from "../../services/DeliveryAdmin.ts"
import { Segments } from "../../services/Segments.ts"
import { type Logged, LogTables, tables as logTables } from "./DeliveryLogMemory.ts"
import { endpointsOf, layer as parkedTables, ParkedTables, type Row } from "./ParkedTables.ts"

const listedOf = (row: Row): ListedDelivery => ({
  endpointId: row.endpointId, id: row.id, state: row.state, sequence: row.sequence, epoch: row.epoch, table: row.table, kind: row.kind,
  attempts: row.attempts, atMs: row.parkedAtMs, dueAtMs: row.state === "waiting" ? row.dueAtMs : undefined, lastError: row.lastError,
  tookMs: undefined
})

interface Behind extends Placed {
  readonly state: "waiting"
  readonly table: string
  readonly parkedAtMs: number
  readonly body: Uint8Array
  readonly listed: ListedDelivery
}

const behind = ({ body, commitLsn, id, kind, ordinal, table }: SegmentEvent, { endpointId, epoch, sequence }: SegmentTarget, atMs: number): Behind => ({
  commitLsn, ordinal, endpointId, id, state: "waiting", table, parkedAtMs: atMs, body,
  listed: {
    endpointId, id, state: "waiting", sequence, epoch, table, kind, attempts: 0, atMs, dueAtMs: undefined, lastError: undefined, tookMs: undefined
  }
})

const attemptOf = (row: Logged): ListedDelivery => ({
  endpointId: row.endpointId, id: row.id, state: row.reason === "" ? "delivered" : "failed", sequence: row.sequence, epoch: row.epoch,
  table: row.table, kind: row.kind, attempts: row.attempts, atMs: row.atMs, dueAtMs: undefined,
  lastError: row.reason === "" ? undefined : row.reason, tookMs: row.tookMs
})

const text = (a: string, b: string): number => (a === b ? 0 : a < b ? -1 : 1)

interface Placed {
  readonly commitLsn: number
  readonly ordinal: number
  readonly endpointId: string
  readonly id: string
}

const inStreamOrder = (a: Placed, b: Placed): number =>
  a.commitLsn - b.commitLsn || a.ordinal - b.ordinal || text(a.endpointId, b.endpointId) || text(a.id, b.id)
const byEndpoint = (a: Placed, b: Placed): number => text(a.endpointId, b.endpointId) || inStreamOrder(a, b)

const meant = (selector: DeliverySelector.DeliverySelector, row: Row | Behind): boolean => DeliverySelector.selects(selector, row)
const withKey = ({ key }: DeliverySelector.DeliverySelector, body: Uint8Array | undefined): boolean =>
  key === undefined || (body !== undefined && DeliverySelector.hasKey(body, key))
const loggedMeant = ({ state: _, ...selector }: DeliverySelector.DeliverySelector, row: Logged): boolean =>
  DeliverySelector.selects(selector, { ...row, state: "dead", parkedAtMs: row.atMs })

const cursorOf = ({ commitLsn, endpointId, id, ordinal }: Placed): MatchCursor => ({ endpointId, commitLsn: Lsn.format(commitLsn), ordinal, id })

/** Sorted; after the cursor; the page, and the cursor of the next. */
const page = <A extends Placed>(rows: ReadonlyArray<A>, after: MatchCursor | undefined, limit: number) => {
  const sorted = rows.toSorted(byEndpoint)
  const from = after === undefined ? 0 : sorted.findIndex((row) =>
    byEndpoint(row, { ...after, commitLsn: parseInt(after.commitLsn.replace("/", ""), 16) }) > 0)
  if (from < 0) return { looked: [], next: undefined }
  const looked = sorted.slice(from, from + limit)
  return { looked, next: looked.length < limit ? undefined : cursorOf(looked.at(-1)!) }
}

/** The cursor is how many were shown: nothing is removed between two pages of the same listing that a test makes. */
const paged = (query: DeliveryQuery, all: ReadonlyArray<ListedDelivery>) =>
  Effect.suspend(() => {
    const name = `${query.state ?? ""} ${query.oldestFirst} `
    const from = query.cursor === undefined ? 0 : query.cursor.startsWith(name) ? Number(query.cursor.slice(name.length)) : Number.NaN
    if (!Number.isSafeInteger(from)) {
      return Effect.fail(new DeliveryAdminError({ operation: "list", unavailable: false, cause: new BadCursor() }))
    }
    const end = from + query.limit
    return Effect.succeed({ deliveries: all.slice(from, end), next: all.length > end ? `${name}${end}` : undefined })
  })

const make = Effect.gen(function*() {
  const tables = yield* ParkedTables
  const log = yield* LogTables
  const segments = yield* Segments
  const rowsOf = (stream: StreamId): ReadonlyArray<Row> => [...endpointsOf(tables, stream).values()].flatMap((rows) => [...rows.values()])
  const logged = (stream: StreamId, table: ReadonlyMap<string, Array<Logged>>): ReadonlyArray<Logged> =>
    [...table.values()].flat().filter((row) => row.stream === format(stream)).toSorted((a, b) => a.atMs - b.atMs || a.number - b.number)
  const rewrite = (stream: StreamId, changed: (row: Logged) => boolean): number => {
    let count = 0
    for (const list of [...log.failures.values(), ...log.successes.values()]) {
      list.forEach((row, at) => {
        if (row.stream !== format(stream) || (row.body === undefined && row.answerStart === undefined) || !changed(row)) return
        list[at] = { ...row, body: undefined, answerStart: undefined }
        count++
      })
    }
    return count
  }
  /** What waits in segments and is no row. */
  const behindOf = Effect.fnUntraced(function*(stream: StreamId) {
    const found: Array<Behind> = []
    for (let from: number | undefined; ;) {
      const segment = yield* Effect.mapError(segments.look(stream, { endpoint: undefined, from, newestFirst: false, position: undefined }), (cause) =>
        new DeliveryAdminError({ operation: "look", unavailable: false, cause }))
      if (segment === undefined) return found
      for (const event of segment.events) {
        for (const target of event.targets) {
          if (!endpointsOf(tables, stream).get(target.endpointId)?.has(event.id)) found.push(behind(event, target, segment.madeAtMs))
        }
      }
      from = segment.number + 1
    }
  })
  return DeliveryAdmin.of({
    list: (stream, query) =>
      Effect.flatMap(behindOf(stream), (behind) => {
        const { oldestFirst, selector, state } = query
        const listed = state === "delivered" || state === "failed"
          ? logged(stream, state === "failed" ? log.failures : log.successes)
            .filter((row) => loggedMeant(selector, row) && withKey(selector, row.body)).map(attemptOf)
          : [...rowsOf(stream), ...(state === "dead" ? [] : behind)].filter((row) => meant({ ...selector, ...(state === undefined ? {} : { state }) }, row) && withKey(selector, row.body))
            .toSorted(inStreamOrder).map((row) => ("listed" in row ? row.listed : listedOf(row)))
        return paged(query, oldestFirst ? listed : listed.toReversed())
      }),
    show: (stream, endpoint, id, withBody) =>
      Effect.map(behindOf(stream), (behind) => {
        const waits = behind.find((each) => each.endpointId === endpoint && each.id === id)
        const row = endpointsOf(tables, stream).get(endpoint)?.get(id)
        const found = [...logged(stream, log.failures), ...logged(stream, log.successes)]
          .filter((each) => each.endpointId === endpoint && each.id === id).toSorted((a, b) => a.atMs - b.atMs || a.attempts - b.attempts)
        const last = found.at(-1)
        const facts = row !== undefined ? listedOf(row) : waits?.listed ?? (last === undefined ? undefined : attemptOf(last))
        if (facts === undefined) return undefined
        const attempts = found.map(({ answerStart, atMs, attempts: attempt, reason, status, tookMs }) =>
          ({ attempt, atMs, tookMs, status, reason, answerStart }))
        const body = row?.body ?? found.findLast((each) => each.body !== undefined)?.body ?? waits?.body
        return { facts, attempts, body: withBody ? body : undefined }
      }),
    blocking: (stream, endpoint) =>
      Effect.map(segments.backlog(stream), (backlogs) => {
        const inSegments = new Map(backlogs.map(({ endpointId, events }) => [endpointId, events]))
        const found: Array<BlockingDelivery> = []
        for (const [id, rows] of endpointsOf(tables, stream)) {
          if (endpoint !== undefined && endpoint !== id) continue
          const waiting = [...rows.values()].filter(({ state }) => state === "waiting").toSorted(inStreamOrder)
          for (const { behind, delivery, kind } of BlockingRows.find(waiting, inSegments.get(id))) found.push({ delivery: listedOf(delivery), kind, behind })
        }
        return { blocking: found.sort((a, b) => b.behind - a.behind), partly: new Map() }
      }).pipe(Effect.mapError((cause) => new DeliveryAdminError({ operation: "blocking", unavailable: false, cause }))),
    counts: (stream) =>
      Effect.map(segments.backlog(stream), (backlogs) => {
        const ids = new Set([...endpointsOf(tables, stream).keys(), ...backlogs.map(({ endpointId }) => endpointId)])
        return [...ids].sort(text).flatMap((endpointId): ReadonlyArray<DeliveryCounts> => {
          const rows = [...endpointsOf(tables, stream).get(endpointId)?.values() ?? []]
          const waiting = rows.filter(({ state }) => state === "waiting")
          const behind = backlogs.find((backlog) => backlog.endpointId === endpointId)?.events ?? 0
          if (rows.length === 0 && behind === 0) return []
          const oldestMs = waiting.length === 0 ? undefined : Math.min(...waiting.map(({ parkedAtMs }) => parkedAtMs))
          return [{ endpointId, waiting: waiting.length, dead: rows.length - waiting.length, behind, oldestMs }]
        })
      }).pipe(Effect.mapError((cause) => new DeliveryAdminError({ operation: "counts", unavailable: false, cause }))),
    matching: (stream, selector, beforeMs, after, limit, withBodies) =>
      Effect.sync(() => {
        const { looked, next } = page(rowsOf(stream).filter((row) => row.parkedAtMs <= beforeMs && meant(selector, row)), after, limit)
        const rows = looked.filter((row) => withKey(selector, row.body)).map(({ diedAtMs: _, parkedAtMs: __, ...row }) =>
          (withBodies ? row : { ...row, body: new Uint8Array() }))
        return { rows, next }
      }),
    kept: (stream, selector, beforeMs, after, limit) =>
      Effect.sync(() => {
        const { looked, next } = page(logged(stream, log.successes).filter((row) => row.atMs <= beforeMs && loggedMeant(selector, row)), after, limit)
        const deliveries = looked.flatMap(({ body, commitLsn, endpointId, epoch, id, keys, kind, ordinal, sequence, table }) =>
          (body === undefined || !withKey(selector, body) ? [] : [{ body, commitLsn, endpointId, epoch, id, keys, kind, ordinal, sequence, table }]))
        return { deliveries, withoutBody: looked.filter(({ body }) => body === undefined).length, next }
      }),
    revive: (stream, endpoint, ids) =>
      Effect.map(Clock.currentTimeMillis, (dueAtMs) => {
        const rows = endpointsOf(tables, stream).get(endpoint)
        for (const id of ids) {
          const row = rows?.get(id)
          if (row !== undefined) rows!.set(id, { ...row, state: "waiting", dueAtMs, retries: 0, diedAtMs: undefined })
        }
      }),
    erase: (stream, endpoint, ids) =>
      Effect.sync(() => {
        const erased = new Set(ids)
        for (const id of ids) endpointsOf(tables, stream).get(endpoint)?.delete(id)
        rewrite(stream, (row) => row.endpointId === endpoint && erased.has(row.id))
      }),
    eraseLogged: (stream, selector) =>
      Effect.sync(() => rewrite(stream, (row) => loggedMeant(selector, row) && (row.body === undefined || withKey(selector, row.body))))
  })
})

export const layer: Layer.Layer<DeliveryAdmin, never, Segments> = Layer.effect(DeliveryAdmin, make).pipe(
  Layer.provide(Layer.mergeAll(parkedTables, logTables))
)
