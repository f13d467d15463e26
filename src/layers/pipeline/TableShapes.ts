/**
 * Second stage: sets the shape in force on each change, and replaces each row of `pgstream.ddl` by the schema
 * events that it stands for. All decisions are `domain/Shapes.ts`; here is only the walk through the chunk.
 *
 * Costs per event: two comparisons while the relation is the one of the event before and no DDL came between.
 */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Result from "effect/Result"
import type { Change, Relation } from "../../domain/Change.ts"
import type { Chunk, Commit, Item } from "../../domain/Chunk.ts"
import * as Ddl from "../../domain/Ddl.ts"
import { SchemaChange } from "../../domain/SchemaEntryChange.ts"
import { type SchemaEvent, Shapes } from "../../domain/Shapes.ts"
import { adopt, agrees } from "../../domain/ShapesRelation.ts"
import type { LoggedTable, ShapesSnapshot, TableShape } from "../../domain/TableShape.ts"
import { DdlTracker } from "../../services/DdlTracker.ts"
import { type ShapesInForce, TableShapes } from "../../services/TableShapes.ts"

/** What a relation comes to: the shape in force, and the relation by the names in force. */
interface Found {
  readonly epoch: number
  readonly relation: Relation
  readonly shape: TableShape | undefined
}

const sameLogged = (a: LoggedTable | undefined, b: LoggedTable | undefined): boolean =>
  a?.entryId === b?.entryId && a?.shape === b?.shape

/** A look's own row may be what cannot be read: no more than this many a start. */
const MAX_REPAIRS = 10

class Stage {
  readonly #shapes: Shapes
  /** The answer for a relation, while the epoch is the same. */
  readonly #found = new WeakMap<Relation, Found>()
  /** The object handed out last for a table: handed out again while nothing about it changed. */
  readonly #placed = new Map<number, { readonly base: TableShape; readonly shape: TableShape }>()
  readonly #adopted = new WeakMap<Relation, { readonly base: TableShape; readonly shape: TableShape }>()
  readonly #renamed = new WeakMap<Relation, Relation>()
  readonly #unknown = new WeakSet<Relation>()
  #relation: Relation | undefined = undefined
  #last: Found | undefined = undefined
  #dirty = false

  /** Tables to look at in the catalog. */
  readonly wanted = new Set<number>()
  /** Looks that were asked for because of rows that could not be read. */
  repairs = 0
  /** Rows that could not be read, in words. */
  readonly problems: Array<string> = []

  constructor(from: ShapesSnapshot) {
    this.#shapes = new Shapes(from)
  }

  get shapes(): Shapes {
    return this.#shapes
  }

  advance(chunk: Chunk): Chunk {
    const { items } = chunk
    let out: Array<Item> | undefined
    let bytes = chunk.bytes
    const emit = (events: ReadonlyArray<SchemaEvent>, at: number) => {
      out ??= items.slice(0, at)
      for (const event of events) {
        const change = new SchemaChange(event)
        bytes += change.byteLength
        out.push(change)
      }
    }
    for (let i = 0; i < items.length; i++) {
      const item = items[i]!
      if (item._tag === "Change" && item.relation !== undefined) {
        if (Ddl.isDdlRow(item)) {
          emit(item.kind === "I" ? this.#apply(item) : [], i)
          continue
        }
        const found = this.#find(item.relation)
        item.shape = found.shape
        if (found.relation !== item.relation) item.relation = found.relation
      } else if (item._tag === "Commit" && this.#dirty) {
        const events = this.#commit(item)
        if (events.length > 0) emit(events, i)
      } else if (item._tag === "Undecodable" && item.table === "pgstream.ddl") {
        this.problems.push(`A row of pgstream.ddl could not be decoded: ${item.reason}.`)
        emit([], i)
        continue
      }
      out?.push(item)
    }
    return out === undefined ? chunk : { items: out, bytes }
  }

  #find(relation: Relation): Found {
    const epoch = this.#shapes.epoch
    if (relation === this.#relation && this.#last?.epoch === epoch) return this.#last
    const known = this.#found.get(relation)
    const found = known?.epoch === epoch ? known : this.#resolve(relation, epoch)
    this.#found.set(relation, found)
    this.#relation = relation
    this.#last = found
    return found
  }

  #resolve(given: Relation, epoch: number): Found {
    if (given.schema === "pgstream") return { epoch, relation: given, shape: undefined }
    const { oid, schema, table } = given
    const base = oid === 0 ? this.#shapes.named(schema, table) : this.#shapes.find(oid)
    if (base === undefined) {
      if (oid !== 0 && !this.#unknown.has(given)) this.wanted.add(oid)
      this.#unknown.add(given)
      return { epoch, relation: given, shape: undefined }
    }
    const relation = this.#byItsName(base, given)
    return { epoch, relation, shape: agrees(base, relation) ? this.#place(base) : this.#follow(base, relation) }
  }

  /** pgoutput does not describe a table again when its schema is renamed: the row of `pgstream.ddl` is newer. */
  #byItsName(base: TableShape, relation: Relation): Relation {
    if (base.schema === relation.schema || !this.#shapes.wasIn(base, relation.schema)) return relation
    const known = this.#renamed.get(relation)
    if (known?.schema === base.schema) return known
    const renamed = { ...relation, schema: base.schema }
    this.#renamed.set(relation, renamed)
    return renamed
  }

  /** The shape is behind: the relation holds, and a look has to tell the rest. */
  #follow(base: TableShape, relation: Relation): TableShape {
    if (this.#adopted.get(relation)?.base !== base) this.wanted.add(base.oid)
    const known = this.#adopted.get(relation)
    const adopted = known?.base === base ? known.shape : adopt(base, relation)
    this.#adopted.set(relation, { base, shape: adopted })
    const logged = this.#shapes.logged(base)
    const sameName = base.schema === relation.schema && base.name === relation.table
    return logged === undefined || !sameName ? adopted : { ...adopted, logged }
  }

  #place(base: TableShape): TableShape {
    const logged = this.#shapes.logged(base)
    const last = this.#placed.get(base.oid)
    if (last?.base === base && sameLogged(last.shape.logged, logged)) return last.shape
    const shape = logged === undefined ? { ...base } : { ...base, logged }
    this.#placed.set(base.oid, { base, shape })
    return shape
  }

  #apply(change: Change): ReadonlyArray<SchemaEvent> {
    const parsed = Ddl.parse(change)
    if (Result.isFailure(parsed)) {
      this.problems.push(parsed.failure.message)
      return []
    }
    const row = parsed.success
    const isStatement = row.snapshot === undefined
    for (const { oid, shape } of row.tables) {
      if (isStatement && (shape === undefined || !row.readCommitted)) this.wanted.add(oid)
      else this.wanted.delete(oid)
    }
    for (const gone of row.dropped) this.#placed.delete(gone.oid)
    this.#dirty = true
    const { lsn, ordinal, transaction } = change
    return this.#shapes.apply(row, { transaction, ordinal, lsn, nextSub: 0 })
  }

  #commit(commit: Commit): ReadonlyArray<SchemaEvent> {
    this.#dirty = false
    const { delta, events } = this.#shapes.commit()
    commit.shapes = delta
    return events
  }
}

/**
 * Asks the DdlTracker for looks, if there is one: then provide it to this layer. Without it the interval of the looks
 * has to do, and nothing repeats what a row that could not be read has said.
 */
export const layer = Layer.effect(
  TableShapes,
  Effect.gen(function*() {
    const tracker = Option.getOrUndefined(yield* Effect.serviceOption(DdlTracker))

    const report = (stage: Stage) => {
      const oids = [...stage.wanted]
      const problems = stage.problems.splice(0)
      stage.wanted.clear()
      if (oids.length > 0) tracker?.request(oids)
      if (problems.length > 0 && stage.repairs < MAX_REPAIRS) {
        stage.repairs++
        tracker?.request([])
      }
      return Effect.forEach(
        problems,
        (problem) => Effect.logError(`${problem} The next look at the catalog says how the tables are.`),
        { discard: true }
      )
    }

    return TableShapes.of({
      open: (from) =>
        Effect.sync((): ShapesInForce => {
          const stage = new Stage(from)
          return {
            advance: (chunk) =>
              Effect.suspend(() => {
                const advanced = stage.advance(chunk)
                const quiet = stage.wanted.size === 0 && stage.problems.length === 0
                return quiet ? Effect.succeed(advanced) : Effect.as(report(stage), advanced)
              }),
            shapeOf: (oid) => stage.shapes.find(oid),
            versionOf: (schema) => stage.shapes.versionOf(schema)
          }
        })
    })
  })
)
