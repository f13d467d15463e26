/**
 * The write buffer: what goes to the table of parked deliveries, in the order in which it was decided, in batches.
 * A failing store is tried again for ever: events wait, nothing is dropped. A stream that another process has taken
 * over ends the Notifier: what it knows of the table is out of date.
 */
import * as Effect from "effect/Effect"
import * as Latch from "effect/Latch"
import type { ParkedDeliveries, ParkedDeliveriesError } from "../../../services/ParkedDeliveries.ts"
import type { Core } from "./Core.ts"
import { type Entry, toRow } from "./Entry.ts"

/** Rows and bytes of bodies in one batch at most (one larger body goes alone). */
const BATCH_ROWS = 500
const BATCH_BYTES = 4 * 1024 * 1024
/** Writes that wait for the store; over it the Dispatcher waits. Their bodies are bounded apart, but some have none. */
const MAX_WAITING = 100_000
/** Pauses after a failed write, ms: doubled from the first to the second. */
const RETRY_MIN_MS = 100
const RETRY_MAX_MS = 5_000

/** Whom to tell that it is durable. */
export interface WriteOwner {
  readonly id: string
  written(entry: Entry): void
  removed(id: string): void
}

interface Write {
  readonly owner: WriteOwner
  readonly entry: Entry
  /** insert: not in the table yet · update: attempts, due time, state · remove: it was delivered. */
  readonly kind: "insert" | "update" | "remove"
}

export class ParkWriter {
  private queue: Array<Write> = []
  private underWay = 0
  private readonly work = Latch.makeUnsafe(false)
  private readonly core: Core
  private readonly store: ParkedDeliveries["Service"]

  constructor(core: Core, store: ParkedDeliveries["Service"]) {
    this.core = core
    this.store = store
  }

  /** Writes that are not durable yet. */
  get size(): number {
    return this.queue.length + this.underWay
  }

  push(owner: WriteOwner, entry: Entry, kind: Write["kind"]): void {
    this.queue.push({ owner, entry, kind })
    if (this.size > MAX_WAITING) this.core.holdStream("rows", true)
    this.work.openUnsafe()
  }

  /** Never ends by itself; fails when the stream was taken over. */
  readonly loop: Effect.Effect<never, ParkedDeliveriesError> = Effect.suspend(() => {
    if (this.queue.length > 0) return this.flush(this.take())
    this.work.closeUnsafe()
    return this.work.await
  }).pipe(Effect.forever)

  private take(): ReadonlyArray<Write> {
    let rows = 0
    let bytes = 0
    while (rows < this.queue.length && rows < BATCH_ROWS) {
      bytes += this.queue[rows]!.entry.body.byteLength
      if (rows > 0 && bytes > BATCH_BYTES) break
      rows++
    }
    const batch = this.queue.slice(0, rows)
    this.queue = this.queue.slice(rows)
    this.underWay = batch.length
    return batch
  }

  private flush(batch: ReadonlyArray<Write>): Effect.Effect<void, ParkedDeliveriesError> {
    return Effect.gen({ self: this }, function*() {
      const rowsOf = (kind: Write["kind"]) => batch.filter((write) => write.kind === kind).map((write) => toRow(write.entry))
      const inserts = rowsOf("insert")
      const updates = rowsOf("update")
      const removals = new Map<string, Array<string>>()
      for (const { kind, owner, entry } of batch) {
        if (kind !== "remove") continue
        const ids = removals.get(owner.id)
        if (ids === undefined) removals.set(owner.id, [entry.id])
        else ids.push(entry.id)
      }
      this.core.hit?.("parked.before_write")
      if (inserts.length > 0) yield* untilDone(this.store.write(this.core.stream, inserts))
      if (updates.length > 0) yield* untilDone(this.store.update(this.core.stream, updates))
      for (const [id, ids] of removals) yield* untilDone(this.store.remove(this.core.stream, id, ids))
      this.core.hit?.("parked.after_write")
      this.underWay = 0
      if (this.size <= MAX_WAITING) this.core.holdStream("rows", false)
      for (const { kind, owner, entry } of batch) {
        if (kind === "remove") owner.removed(entry.id)
        else owner.written(entry)
      }
      this.core.idle.openUnsafe()
    })
  }
}

/** Fails only when the stream was taken over. */
export const untilDone = <A, E extends { readonly takenOver?: boolean | undefined }>(write: Effect.Effect<A, E>): Effect.Effect<A, E> => {
  const attempt = (pauseMs: number): Effect.Effect<A, E> =>
    write.pipe(Effect.catch((error) => error.takenOver === true ? Effect.fail(error) :
      Effect.logWarning("The store of deliveries cannot be written; trying again.", error).pipe(
        Effect.andThen(Effect.sleep(pauseMs)),
        Effect.andThen(Effect.suspend(() => attempt(Math.min(pauseMs * 2, RETRY_MAX_MS))))
      )))
  return attempt(RETRY_MIN_MS)
}
