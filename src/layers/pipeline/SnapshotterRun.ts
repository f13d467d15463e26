/**
 * The copy of one table: it is watched from a mark on, its ranges are read, several at a time, then the rows that events
 * did not tell all of are read again by their keys. Ends when each row is settled. May be interrupted, and run again.
 */
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import { MAX_ROWS } from "../../domain/copy/ChunkSize.ts"
import * as CopyKey from "../../domain/copy/CopyKey.ts"
import type { Bound, Range } from "../../domain/copy/Ranges.ts"
import type { TableWatch } from "../../domain/copy/TableWatch.ts"
import { TableReader, TableReaderError } from "../../services/TableReader.ts"
import { Again, persist, Restart } from "./SnapshotterPersist.ts"
import { rowOf } from "./SnapshotterRows.ts"
import type { SnapshotterTable } from "./SnapshotterTable.ts"
import * as Transfer from "./SnapshotterTransfer.ts"

/** Rows that are read again at a time, and how many may wait for it before the ranges do. */
const KEYS_AT_ONCE = 500
const MAX_PENDING = 10_000
/** The stream does not know the table yet: pause, ms, and how often it is asked. */
const UNKNOWN_PAUSE_MS = 500
const UNKNOWN_ATTEMPTS = 120
/** Before a table's copy starts again: what it is now may not be in the stream yet. */
const RESTART_PAUSE_MS = 250

const TOO_LARGE = "rows are larger than the limit of one and were left out; raise PGSTREAM_POSTGRES_REPLICATION_MAX_MESSAGE_BYTES, and copy the table again"

/** A mark says where in the stream the table is watched from, and what its key is there. */
const begin = Effect.fnUntraced(function*(job: SnapshotterTable) {
  const { stage } = job.options
  const reader = yield* TableReader
  for (let attempt = 0; attempt < UNKNOWN_ATTEMPTS; attempt++) {
    const mark = Transfer.newMark()
    const came = yield* Deferred.make<boolean>()
    stage.expect(mark, () => {
      const shape = stage.shapes.shapeOf(job.table.oid)
      if (shape !== undefined) job.begin(shape, undefined)
      Deferred.doneUnsafe(came, Effect.succeed(shape !== undefined))
      return []
    })
    const found = yield* persist(reader.mark(mark)).pipe(
      Effect.andThen(Deferred.await(came)),
      Effect.ensuring(Effect.sync(() => stage.forget(mark)))
    )
    if (found) return
    yield* Effect.sleep(UNKNOWN_PAUSE_MS)
  }
  return yield* new TableReaderError({ kind: "refused", summary: "the stream does not know the table: is it in the publication?" })
})

/** Another name is taken over; without one the table is gone, with the same one its key is another. */
const moved = Effect.fnUntraced(function*(job: SnapshotterTable) {
  const now = yield* (yield* TableReader).table(job.table.oid)
  if (now === undefined) return yield* new TableReaderError({ kind: "refused", summary: "the table was dropped while it was copied" })
  const renamed = now.schema !== job.table.schema || now.table !== job.table.table
  job.table = { ...now, filenode: job.table.filenode }
  job.changed = true
  if (!renamed) return yield* Effect.fail(new Restart())
})

type What = Pick<Transfer.Transfer, "from" | "to" | "keys" | "maxRows" | "opened" | "accepts" | "settled">

const transfer = Effect.fnUntraced(function*(job: SnapshotterTable, watch: TableWatch, what: What) {
  const { copy, entry, rules, settings, stage } = job.options
  const { generation } = job
  let differs = false
  const outcome = yield* Transfer.transfer({
    ...what, stage, watch, rules,
    key: job.key.names,
    table: job.table,
    where: copy.where,
    maxBytes: settings.rangeBytes,
    expectedRows: Math.max(1, Math.floor(job.size.rows)),
    accepts: (read) => {
      if (generation !== job.generation) return false
      differs = job.differs(read)
      return !differs && what.accepts(read)
    },
    enter: (place, read, rows, keys) => [
      ...entry(place, job.table.schema, job.table.oid),
      // A row pointer means another row in another file of the table.
      ...rows.map((row, i) => rowOf(copy, place, i + 1, read.relation, row, keys[i] || String(read.filenode)))
    ]
  })
  if (differs || generation !== job.generation) return yield* Effect.fail(new Restart())
  if (outcome === "moved") yield* moved(job)
  if (outcome !== "entered") return yield* Effect.fail(new Again())
})

/** Holds `bytes` of the budget from before `use` until it says that they are settled; if it fails, until then. */
const withBudget = <A, E, R>(job: SnapshotterTable, use: (give: () => void) => Effect.Effect<A, E, R>) =>
  Effect.uninterruptibleMask((restore) => {
    const { budget, settings } = job.options
    let held = true
    const give = () => {
      if (held) budget.give(settings.rangeBytes)
      held = false
    }
    return Effect.andThen(
      restore(budget.take(settings.rangeBytes)),
      Effect.suspend(() => restore(use(give)).pipe(Effect.onError(() => Effect.sync(give))))
    )
  })

/** Until its rows are in the stream. */
const readRange = (job: SnapshotterTable, range: Range, watch: TableWatch) => {
  const { generation, ranges, size } = job
  let entered = false
  const read = (give: () => void) => Effect.gen(function*() {
    const reader = yield* TableReader
    const once = Effect.suspend(() => {
      const begunMs = performance.now()
      return transfer(job, watch, {
        from: range.from, to: range.to, maxRows: MAX_ROWS,
        accepts: (read) => {
          const looked = read.last === undefined ? Math.max(range.rows, read.rows.length) : read.rows.length
          if (read.last !== undefined) ranges.cut(range, read.last, read.rows.length)
          size.read(looked, read.bytes, performance.now() - begunMs)
          job.tooLarge += read.tooLarge
          return entered = true
        },
        settled: (read, rows) => {
          give()
          if (generation !== job.generation) return
          ranges.settle(range)
          job.count(read, rows)
          job.settled.openUnsafe()
        }
      })
    })
    const smaller = Effect.gen(function*() {
      if (!size.tooLong()) return false
      const at = yield* reader.bound(job.table, job.key.names, range.from, range.to, size.rows)
      if (at !== undefined) ranges.cut(range, at, size.rows)
      return at !== undefined
    })
    yield* persist(once, smaller)
  })
  return withBudget(job, read).pipe(Effect.onError(() => Effect.sync(() => {
    if (!entered) ranges.giveBack(range)
  })))
}

/** The next free range, planned if need be. */
const nextRange = (job: SnapshotterTable) =>
  job.planning.withPermit(Effect.gen(function*() {
    const reader = yield* TableReader
    const { ranges } = job
    const free = ranges.take()
    if (free !== undefined || ranges.planned) return free
    const bound = yield* persist(
      Effect.suspend(() => reader.bound(job.table, job.key.names, ranges.next, undefined, job.size.rows)),
      Effect.sync(() => job.size.tooLong())
    )
    ranges.plan(bound, job.size.rows)
    return ranges.take()
  }))

/** Takes ranges until there is none left, or many rows wait to be read again. */
const worker = Effect.fnUntraced(function*(job: SnapshotterTable, watch: TableWatch) {
  while (watch.pending.size <= MAX_PENDING) {
    const range = yield* nextRange(job)
    if (range === undefined) return
    yield* readRange(job, range, watch)
  }
})

/** Rows by their keys, up to `to`; those above are read with their range. Ends when they are settled. */
const readAgain = (job: SnapshotterTable, watch: TableWatch, to: Bound) => {
  let keys: ReadonlyArray<CopyKey.CopyKey> = [...watch.pending].slice(0, KEYS_AT_ONCE)
  const batch = keys
  let entered = false
  const settled = Deferred.makeUnsafe<void>()
  const { generation } = job
  const once = (give: () => void) => Effect.suspend(() => transfer(job, watch, {
    from: undefined, to, maxRows: KEYS_AT_ONCE,
    keys: keys.map(CopyKey.valuesOf),
    // What events make of these keys from here on counts.
    opened: () => { for (const key of keys) watch.pending.delete(key) },
    accepts: (read) => {
      entered = true
      if (read.last === undefined) return true
      // The bytes were used up: what was not read waits for the next time.
      const seen = new Set(read.rows.map(({ row }) => CopyKey.keyOf(CopyKey.valuesIn(job.key.names, row, undefined)!)))
      for (const key of keys) if (!seen.has(key)) watch.readAgain(key)
      return true
    },
    settled: (read, rows) => {
      give()
      Deferred.doneUnsafe(settled, Effect.void)
      if (generation === job.generation) job.count(read, rows)
    }
  }))
  const smaller = Effect.sync(() => {
    const less = Math.ceil(keys.length / 8)
    const can = less < keys.length
    for (const key of keys.slice(less)) watch.readAgain(key)
    keys = keys.slice(0, less)
    return can
  })
  return withBudget(job, (give) => persist(once(give), smaller)).pipe(
    Effect.onError(() => Effect.sync(() => {
      if (!entered) for (const key of batch) watch.readAgain(key)
    })),
    Effect.andThen(Deferred.await(settled))
  )
}

/** Waits until no range is being read or unsettled. */
const whenSettled = (job: SnapshotterTable): Effect.Effect<void> =>
  Effect.suspend(() => {
    if (job.ranges.open === 0) return Effect.void
    job.settled.closeUnsafe()
    return Effect.andThen(job.settled.await, whenSettled(job))
  })

const copy = Effect.fnUntraced(function*(job: SnapshotterTable) {
  if (job.watch === undefined) yield* begin(job)
  const watch = job.watch!
  const workers = Array.from({ length: job.options.settings.ranges }, () => worker(job, watch))
  for (;;) {
    yield* Effect.all(workers, { concurrency: "unbounded", discard: true })
    yield* whenSettled(job)
    const { done, next } = job.ranges
    if (done && watch.pending.size === 0) return
    if (!done && next === undefined) watch.pending.clear()
    else if (watch.pending.size > 0) yield* readAgain(job, watch, done ? undefined : next)
  }
})

/** Never fails: the table says so itself. */
export const run = Effect.fnUntraced(function*(job: SnapshotterTable) {
  if (job.over) return
  job.state = "running"
  job.changed = true
  for (;;) {
    const ended = yield* Effect.result(copy(job))
    if (ended._tag === "Success") {
      return job.finish(job.tooLarge === 0 ? undefined : `${job.tooLarge} ${TOO_LARGE}`)
    }
    if (ended.failure._tag !== "Restart") return job.finish(ended.failure.summary)
    yield* Effect.logInfo("A table changed while it was copied; its copy starts again.").pipe(
      Effect.annotateLogs({ copy: job.options.copy.id, table: job.name }))
    job.forget()
    yield* Effect.sleep(RESTART_PAUSE_MS)
  }
})
