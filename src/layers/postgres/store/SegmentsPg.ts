/**
 * Segments in the store: tables `pgstream.webhook_segments_<n>` (docs/adr/0010), one segment a row. Appended by one
 * process, which remembers which tables there are and what waits for whom; every write is fenced (StreamWriters), and
 * repeated while the store is away.
 */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as SqlClient from "effect/sql/SqlClient"
import * as Segment from "../../../domain/Segment.ts"
import * as SegmentCodec from "../../../domain/SegmentCodec.ts"
import * as StreamId from "../../../domain/StreamId.ts"
import { Segments, type SegmentsError } from "../../../services/Segments.ts"
import { SecretSettings } from "../../../services/Settings.ts"
import { StoreSql } from "../Sql.ts"
import { Seals } from "./Seals.ts"
import { pack } from "./SegmentData.ts"
import { defaultLimits, type SegmentLimits, type SegmentLog } from "./SegmentLog.ts"
import * as Open from "./SegmentsPgOpen.ts"
import * as Look from "./SegmentsPgLook.ts"
import * as Passed from "./SegmentsPgPassed.ts"
import * as Read from "./SegmentsPgRead.ts"
import { make as makeStore, type SegmentStore } from "./SegmentsPgStore.ts"
import * as Sql from "./SegmentsPgSql.ts"
import * as StreamWriters from "./StreamWriters.ts"
import { trim, trimAgain } from "./SegmentTables.ts"

/** The next table, before the first segment and when the one before is full. That one then is ended. */
const makeRoom = (store: SegmentStore, log: SegmentLog, first: number): Effect.Effect<void, SegmentsError> => {
  if (!log.isFull(store.limits)) return Effect.void
  const { sql } = store
  const full = log.current
  const made = Effect.gen(function*() {
    if (full !== undefined) yield* Sql.endTable(sql, full.number, first)
    const [row] = yield* Sql.makeTable(sql, log.stream, first)
    return Number(row!.number)
  })
  return store.fenced("make table", log.stream, made).pipe(
    Effect.map((number) => {
      if (full !== undefined) full.end = first
      log.tables.push({ number, first, end: undefined, segments: 0, bytes: 0 })
    }),
    // A full one can be written to all the same.
    Effect.catch((error) => full === undefined || error.takenOver === true ? Effect.fail(error)
      : Effect.logWarning("The next table of segments cannot be made; going on with the full one.", error))
  )
}

const append = (store: SegmentStore, log: SegmentLog, events: ReadonlyArray<Segment.SegmentEvent>) =>
  Effect.gen(function*() {
    const name = Segment.nameOfBatch(events)
    if (log.batch?.name === name && log.batch.done) return log.batch.number
    const number = log.numberFor(name)
    yield* makeRoom(store, log, number)
    const table = log.current!
    const parts = Segment.partsOf(events)
    const data = yield* pack(store.seals, table.number, number, SegmentCodec.encode(events))
    const segment: Sql.NewSegment = {
      table: table.number, number, lineage: log.lineage, first: events[0]!, last: events.at(-1)!, events: events.length,
      bytes: events.reduce((sum, { body }) => sum + body.byteLength, 0), parts, data
    }
    yield* store.holding("append", log.stream, (fence) => Sql.append(store.sql, fence, log.stream, segment))
    log.appended(number, parts, data.byteLength, yield* Clock.currentTimeMillis)
    return number
  })

/** `limits`: when a table is full, or given up. */
export const make = Effect.fnUntraced(function*(limits: SegmentLimits) {
  const sql: SqlClient.SqlClient = yield* StoreSql
  const store = makeStore(sql, yield* StreamWriters.StreamWriters, new Seals(yield* SecretSettings), limits)
  /** Of the streams that this process writes for. */
  const logs = new Map<string, SegmentLog>()
  /** One that is not open is loaded as it is. */
  const logOf = (id: StreamId.StreamId) =>
    Effect.suspend(() => {
      const log = logs.get(StreamId.format(id))
      if (log !== undefined) return Effect.succeed(log)
      return Effect.tap(Open.load(store, StreamId.format(id)), (loaded) => Effect.sync(() => logs.set(loaded.stream, loaded)))
    })
  /** One write of a stream after the other. */
  const alone = <A, E>(id: StreamId.StreamId, work: (log: SegmentLog) => Effect.Effect<A, E>) =>
    Effect.flatMap(logOf(id), (log) => log.lock.withPermits(1)(Effect.suspend(() => work(log))))

  const trimAll = Effect.suspend(() =>
    Effect.forEach([...logs.values()], (log) => log.lock.withPermits(1)(trimAgain(store, log)), { discard: true }))
  yield* Effect.sleep(limits.trimEveryMs).pipe(Effect.andThen(trimAll), Effect.forever, Effect.forkScoped)

  return Segments.of({
    open: (id, position) =>
      Effect.gen(function*() {
        const { backlogs, log } = yield* Open.open(store, StreamId.format(id), position)
        logs.set(log.stream, log)
        yield* trim(store, log)
        return backlogs
      }),
    append: (id, events) => alone(id, (log) => append(store, log, events)),
    read: (id, endpoint, from) =>
      Effect.suspend(() => {
        const log = logs.get(StreamId.format(id))
        if (log?.isPast(endpoint, from) === true) return Effect.undefined
        return Read.read(store, StreamId.format(id), log?.tables, endpoint, from)
      }),
    pass: (id, cursors) =>
      alone(id, (log) =>
        Effect.gen(function*() {
          const { finished, moved } = log.moves(cursors)
          if (moved.size + finished.length > 0) {
            yield* store.holding("pass", log.stream, (fence) => Sql.pass(sql, fence, log.stream, moved, finished))
            log.passed(moved, finished)
          }
          yield* trim(store, log)
        })),
    numbers: (id, endpoint) => Read.numbers(store, StreamId.format(id), endpoint),
    backlog: (id) => Read.backlog(store, StreamId.format(id)),
    look: (id, look) => Look.look(store, StreamId.format(id), look),
    erase: (id, endpoint, matches, before) => Read.erase(store, StreamId.format(id), endpoint, matches, before),
    erasePassed: (id, matches) => Passed.erase(store, StreamId.format(id), matches),
    end: (id, endpoint) =>
      alone(id, (log) =>
        Effect.gen(function*() {
          const count = yield* Read.count(store, log.stream, endpoint)
          yield* store.fenced("end", log.stream, Sql.removeCursors(sql, log.stream, [endpoint]))
          log.passed(new Map(), [endpoint])
          yield* trim(store, log)
          return count
        }))
  })
})

export const layerOf = (limits: SegmentLimits): Layer.Layer<Segments, never, StoreSql> =>
  Layer.effect(Segments, make(limits)).pipe(Layer.provide(StreamWriters.layer))

export const layer = layerOf(defaultLimits)
