/** What is read of a stream's segments. Also for tools beside the service: nothing here relies on what that remembers. */
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import * as Lsn from "../../../domain/Lsn.ts"
import { encode } from "../../../domain/SegmentCodec.ts"
import { erase as eraseFrom, isErased, type NumberRange, partsOf, rangesOf, type SegmentEvent } from "../../../domain/Segment.ts"
import type { EndpointId } from "../../../domain/Subscription.ts"
import type { Backlog, Segment, SegmentCursor, SegmentsError } from "../../../services/Segments.ts"
import { pack } from "./SegmentData.ts"
import type { SegmentTable } from "./SegmentLog.ts"
import { allEvents, ownEvents } from "./SegmentRow.ts"
import * as Sql from "./SegmentsPgSql.ts"
import type { SegmentStore } from "./SegmentsPgStore.ts"

type Table = Pick<SegmentTable, "number" | "end">

export const tablesOf = (store: SegmentStore, stream: string): Effect.Effect<ReadonlyArray<Table>, SegmentsError> =>
  Effect.map(store.run("read tables", Sql.tables(store.sql, stream)), (rows) =>
    rows.flatMap((row) => row.dropped ? [] : [
      { number: Number(row.number), end: row.end_segment === null ? undefined : Number(row.end_segment) }
    ]))

export const reaches = ({ end }: Table, segment: number): boolean => end === undefined || end > segment

export const read = Effect.fnUntraced(function*(
  store: SegmentStore, stream: string, known: ReadonlyArray<Table> | undefined, endpoint: EndpointId, from: SegmentCursor
) {
  const tables = known ?? (yield* tablesOf(store, stream))
  for (const table of tables) {
    for (let at = from.segment; reaches(table, at);) {
      const [row] = yield* store.run("read", Sql.read(store.sql, table.number, endpoint, at))
      if (row === undefined) break
      const number = Number(row.number)
      const events = yield* ownEvents(store, "read", table.number, row, endpoint, number === from.segment ? from.index : 0)
      if (events.length > 0) return { number, events } satisfies Segment
      at = number + 1
    }
  }
  return undefined
})

interface Found {
  readonly cursor: SegmentCursor
  readonly events: number
  /** Without those of the cursor's segment where that is not at its first event. */
  readonly bytes: number
  readonly oldestMs: number
  readonly lowestLsn: Lsn.Lsn
  /** `undefined`: nothing waits. */
  readonly last: number | undefined
  readonly lastCount: number
}

/** By endpoint that has a cursor. */
export const waiting = Effect.fnUntraced(function*(store: SegmentStore, stream: string, tables: ReadonlyArray<Table>) {
  const found = new Map<EndpointId, Found>()
  const rows = yield* store.run("read cursors", Sql.cursors(store.sql, stream))
  for (const row of rows) {
    const cursor = { segment: Number(row.segment), index: row.index }
    found.set(row.endpoint_id, { cursor, events: 0, bytes: 0, oldestMs: 0, lowestLsn: Infinity, last: undefined, lastCount: 0 })
  }
  const lowest = Math.min(...Array.from(found.values(), ({ cursor }) => cursor.segment))
  for (const table of tables) {
    if (found.size === 0 || !reaches(table, lowest)) continue
    for (const row of yield* store.run("read backlog", Sql.waiting(store.sql, table.number, stream, lowest))) {
      const before = found.get(row.endpoint_id)
      if (before === undefined) continue
      found.set(row.endpoint_id, {
        cursor: before.cursor,
        events: before.events + Number(row.events),
        bytes: before.bytes + Number(row.bytes),
        oldestMs: before.oldestMs === 0 ? row.oldest.getTime() : before.oldestMs,
        lowestLsn: Math.min(before.lowestLsn, Result.getOrThrow(Lsn.parse(row.lowest_lsn))),
        last: Number(row.last),
        lastCount: row.last_count
      })
    }
  }
  return found
})

const backlogOf = (endpointId: EndpointId, { bytes, cursor, events, lowestLsn, oldestMs }: Found): Backlog =>
  ({ endpointId, cursor, events, bytes, oldestMs, lowestLsn })

/** With the bytes of the segments in which cursors are: those are read. */
export const exact = Effect.fnUntraced(function*(
  store: SegmentStore, tables: ReadonlyArray<Table>, found: ReadonlyMap<EndpointId, Found>
) {
  const backlogs: Array<Backlog> = []
  for (const [endpoint, each] of found) {
    if (each.last === undefined) continue
    const { index, segment } = each.cursor
    const table = index === 0 ? undefined : tables.find((candidate) => reaches(candidate, segment))
    const [row] = table === undefined ? [] : yield* store.run("read backlog", Sql.read(store.sql, table.number, endpoint, segment))
    const rest = table === undefined || row === undefined || Number(row.number) !== segment
      ? []
      : yield* ownEvents(store, "read backlog", table.number, row, endpoint, index)
    backlogs.push(backlogOf(endpoint, { ...each, bytes: each.bytes + rest.reduce((sum, { body }) => sum + body.byteLength, 0) }))
  }
  return backlogs
})

export const backlog = Effect.fnUntraced(function*(store: SegmentStore, stream: string) {
  const found = yield* waiting(store, stream, yield* tablesOf(store, stream))
  return [...found].flatMap(([endpoint, each]) => each.last === undefined ? [] : [backlogOf(endpoint, each)])
})

const cursorOf = (store: SegmentStore, stream: string, endpoint: EndpointId): Effect.Effect<SegmentCursor | undefined, SegmentsError> =>
  Effect.map(store.run("read cursors", Sql.cursor(store.sql, stream, endpoint)), ([row]) =>
    row === undefined ? undefined : { segment: Number(row.segment), index: row.index })

/** Rows with what an endpoint has in them, from its cursor on. */
const rowsOf = Effect.fnUntraced(function*(store: SegmentStore, stream: string, endpoint: EndpointId) {
  const cursor = yield* cursorOf(store, stream, endpoint)
  if (cursor === undefined) return []
  const rows: Array<Sql.NumbersRow & { readonly table: number; readonly from: number }> = []
  for (const table of yield* tablesOf(store, stream)) {
    if (!reaches(table, cursor.segment)) continue
    for (const row of yield* store.run("read numbers", Sql.numbers(store.sql, table.number, endpoint, cursor.segment))) {
      rows.push({ ...row, table: table.number, from: Number(row.number) === cursor.segment ? cursor.index : 0 })
    }
  }
  return rows
})

export const count = (store: SegmentStore, stream: string, endpoint: EndpointId): Effect.Effect<number, SegmentsError> =>
  Effect.map(rowsOf(store, stream, endpoint), (rows) => rows.reduce((sum, row) => sum + Math.max(row.count - row.from, 0), 0))

const numbered = (events: ReadonlyArray<SegmentEvent>): ReadonlyArray<NumberRange> =>
  rangesOf(events.filter((event) => !isErased(event)).map(({ targets }) => targets[0]!))

/** Neighbours joined. */
const joined = (ranges: ReadonlyArray<NumberRange>): ReadonlyArray<NumberRange> => {
  const result: Array<NumberRange> = []
  for (const range of ranges) {
    const before = result.at(-1)
    if (before !== undefined && before.epoch === range.epoch && before.last + 1 === range.first) {
      result[result.length - 1] = { ...before, last: range.last }
    } else result.push(range)
  }
  return result
}

/** From the rows alone, where these know them; else from their data. */
export const numbers = Effect.fnUntraced(function*(store: SegmentStore, stream: string, endpoint: EndpointId) {
  const ranges: Array<NumberRange> = []
  for (const row of yield* rowsOf(store, stream, endpoint)) {
    const [first, last] = [Number(row.first), Number(row.last)]
    if (row.from === 0 && first >= 0) {
      if (first > 0) ranges.push({ epoch: row.epoch, first, last })
      continue
    }
    const [data] = yield* store.run("read numbers", Sql.read(store.sql, row.table, endpoint, Number(row.number)))
    if (data?.number === row.number) ranges.push(...numbered(yield* ownEvents(store, "read numbers", row.table, data, endpoint, row.from)))
  }
  return joined(ranges)
})

const rewrite = (store: SegmentStore, table: number, row: Sql.DataRow, events: ReadonlyArray<SegmentEvent>) =>
  Effect.gen(function*() {
    const data = yield* pack(store.seals, table, Number(row.number), encode(events))
    yield* store.run("erase", Sql.replace(store.sql, table, row, events, partsOf(events), data))
  })

/** Names one event of an endpoint. */
const nameOf = ({ id, targets }: SegmentEvent): string => `${targets[0]!.sequence} ${id}`

export const erase = <E>(
  store: SegmentStore, stream: string, endpoint: EndpointId, matches: (event: SegmentEvent) => boolean,
  before: (erased: ReadonlyArray<SegmentEvent>) => Effect.Effect<void, E>
): Effect.Effect<number, SegmentsError | E> =>
  Effect.gen(function*() {
    let total = 0
    for (const { from, number, table } of yield* rowsOf(store, stream, endpoint)) {
      const [row] = yield* store.run("erase", Sql.read(store.sql, table, endpoint, Number(number)))
      if (row === undefined || row.number !== number) continue
      const found = (yield* ownEvents(store, "erase", table, row, endpoint, from)).filter((event) => !isErased(event) && matches(event))
      if (found.length === 0) continue
      yield* before(found)
      const { events } = yield* allEvents(store, "erase", table, row)
      const names = new Set(found.map(nameOf))
      const own = (event: SegmentEvent) => ({ ...event, targets: event.targets.filter(({ endpointId }) => endpointId === endpoint) })
      const kept = eraseFrom(events, endpoint, (event) => names.has(nameOf(own(event))))
      if (kept !== undefined) yield* rewrite(store, table, row, kept.events)
      total += found.length
    }
    return total
  })
