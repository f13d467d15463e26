/**
 * The side of the copies that the stream passes through: finds marks, shows events to those who watch a table, puts rows
 * in at their mark, and says when what was put in is settled. Plain code but for `advance`, which lets TableShapes work on
 * the pieces of a chunk between marks.
 *
 * Costs per event while no table is watched: one comparison, to find marks and commits.
 */
import * as Effect from "effect/Effect"
import type { Change } from "../../domain/Change.ts"
import type { Chunk, Item } from "../../domain/Chunk.ts"
import type { EntryPlace } from "../../domain/copy/CopiedRow.ts"
import { Delivered } from "../../domain/copy/Delivered.ts"
import * as Mark from "../../domain/copy/Mark.ts"
import type { TableWatch } from "../../domain/copy/TableWatch.ts"
import type { Lsn } from "../../domain/Lsn.ts"
import type { SchemaLogError, ShapesInForce } from "../../services/TableShapes.ts"

/** What is done where a mark is: returns what enters the stream there. */
export type AtMark = (place: EntryPlace, settle: (whenSettled: () => void) => void) => ReadonlyArray<Change>

interface Entered {
  /** End of the mark's transaction; 0 until that has come. */
  position: Lsn
  readonly whenSettled: () => void
}

const NONE: ReadonlyArray<Change> = []

const bytesOf = (changes: ReadonlyArray<Change>): number => changes.reduce((sum, change) => sum + change.byteLength, 0)

const isMark = (item: Item): item is Change =>
  item._tag === "Change" && (item.kind === "M" || item.relation?.schema === "pgstream") && Mark.idOf(item) !== undefined

export class SnapshotterStage {
  readonly delivered = new Delivered()
  readonly #shapes: ShapesInForce
  readonly #marks = new Map<string, AtMark>()
  readonly #watches = new Map<number, Set<TableWatch>>()
  #entered: Array<Entered> = []

  constructor(shapes: ShapesInForce) {
    this.#shapes = shapes
  }

  get shapes(): ShapesInForce {
    return this.#shapes
  }

  /** `at` runs where the mark comes in the stream, once. */
  expect(id: string, at: AtMark): void {
    this.#marks.set(id, at)
  }

  forget(id: string): void {
    this.#marks.delete(id)
  }

  watch(oid: number, watch: TableWatch): void {
    const set = this.#watches.get(oid)
    if (set === undefined) this.#watches.set(oid, new Set([watch]))
    else set.add(watch)
  }

  unwatch(oid: number, watch: TableWatch): void {
    const set = this.#watches.get(oid)
    set?.delete(watch)
    if (set?.size === 0) this.#watches.delete(oid)
  }

  readonly advance = (chunk: Chunk): Effect.Effect<Chunk, SchemaLogError> =>
    chunk.items.some(isMark)
      ? this.#split(chunk)
      : Effect.map(this.#shapes.advance(chunk), (shaped) => {
          this.#observe(shaped.items)
          return shaped
        })

  #split(chunk: Chunk): Effect.Effect<Chunk, SchemaLogError> {
    return Effect.gen({ self: this }, function*() {
      const out: Array<Item> = []
      let { bytes } = chunk
      let piece: Array<Item> = []
      const pass = (items: ReadonlyArray<Item>) =>
        items.length === 0 ? Effect.void : Effect.map(this.#shapes.advance({ items, bytes: 0 }), (shaped) => {
          for (const item of shaped.items) out.push(item)
          bytes += shaped.bytes
        })
      for (const item of chunk.items) {
        if (!isMark(item)) {
          piece.push(item)
          continue
        }
        const from = out.length
        yield* pass(piece)
        this.#observe(out.slice(from))
        piece = []
        const entering = this.#atMark(item)
        bytes += bytesOf(entering)
        yield* pass(entering)
      }
      const from = out.length
      yield* pass(piece)
      this.#observe(out.slice(from))
      return { items: out, bytes }
    })
  }

  #atMark(mark: Change): ReadonlyArray<Change> {
    const id = Mark.idOf(mark)!
    const at = this.#marks.get(id)
    if (at === undefined) return NONE
    this.#marks.delete(id)
    return at(mark, (whenSettled) => void this.#entered.push({ position: 0, whenSettled }))
  }

  #observe(items: ReadonlyArray<Item>): void {
    const watching = this.#watches.size > 0
    for (let i = 0; i < items.length; i++) {
      const item = items[i]!
      if (item._tag === "Commit") this.#commit(item.transaction.xid, item.endLsn)
      else if (!watching || item._tag === "Keepalive") continue
      else if (item._tag === "Change") this.#event(item)
      else this.#disturbAll()
    }
  }

  #commit(xid: number, endLsn: Lsn): void {
    this.delivered.add(xid)
    for (let i = this.#entered.length - 1; i >= 0 && this.#entered[i]!.position === 0; i--) this.#entered[i]!.position = endLsn
  }

  #event(change: Change): void {
    const { relation, shape } = change
    if (relation === undefined || change.affects !== undefined || relation.schema === "pgstream") return
    const oid = shape?.oid ?? relation.oid
    // A table that only its name is known of: whose rows these are cannot be told.
    if (oid === 0) return this.#disturbAll()
    const set = this.#watches.get(oid)
    if (set !== undefined) for (const watch of set) watch.event(change)
  }

  #disturbAll(): void {
    for (const set of this.#watches.values()) for (const watch of set) watch.disturb()
  }

  /** What entered up to `position` is settled. */
  settle(position: Lsn): void {
    let done = 0
    while (done < this.#entered.length && this.#entered[done]!.position > 0 && this.#entered[done]!.position <= position) done++
    for (const { whenSettled } of this.#entered.splice(0, done)) whenSettled()
  }
}
