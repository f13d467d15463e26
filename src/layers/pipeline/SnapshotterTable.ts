/**
 * What is known of the copy of one table: its key, its ranges, who watches its events, how far it is. It outlives a pause;
 * what outlives a kill is its `record`. Plain state; `SnapshotterRun` does the work.
 */
import * as Latch from "effect/Latch"
import * as Semaphore from "effect/Semaphore"
import type { Change, Relation } from "../../domain/Change.ts"
import type { EntryPlace } from "../../domain/copy/CopiedRow.ts"
import { ChunkSize } from "../../domain/copy/ChunkSize.ts"
import type { Copy } from "../../domain/copy/Copy.ts"
import * as CopyKey from "../../domain/copy/CopyKey.ts"
import type { CopyRules } from "../../domain/copy/CopyRules.ts"
import { type Bound, Ranges } from "../../domain/copy/Ranges.ts"
import { type Takes, TableWatch } from "../../domain/copy/TableWatch.ts"
import { keyDefinition, noKey } from "../../domain/Identity.ts"
import type { TableShape } from "../../domain/TableShape.ts"
import type { PendingKey, TableRecord } from "../../services/CopyRequests.ts"
import type { CopySettingsShape } from "../../services/CopySettings.ts"
import type { ReadRows, ReadTable } from "../../services/TableReader.ts"
import type { SnapshotterBudget } from "./SnapshotterBudget.ts"
import type { SnapshotterStage } from "./SnapshotterStage.ts"

export interface TableOptions {
  readonly copy: Copy
  readonly stage: SnapshotterStage
  readonly budget: SnapshotterBudget
  readonly settings: CopySettingsShape
  readonly rules: CopyRules
  /** What goes before the first row of a schema; called at each high mark. */
  readonly entry: (place: EntryPlace, schema: string, oid: number) => ReadonlyArray<Change>
}

/** The key by which ranges are cut: names of its columns, in its order, and the hash of its definition. */
interface Key {
  readonly names: ReadonlyArray<string>
  readonly hash: number
}

/** None where a column of it is generated: the plugins do not hand such a column out. */
const keyOf = (table: ReadTable, shape: TableShape): Key => {
  const key = keyDefinition({ oid: table.oid, schema: table.schema, table: table.table, replicaIdentity: "", columns: [] }, shape)
  const isGenerated = (name: string) => shape.columns.some((column) => column.name === name && column.generated)
  return key.names.some(isGenerated) ? noKey : key
}

const columnsOf = (relation: Relation): string =>
  relation.columns.map(({ name, typeOid, typmod }) => `${name} ${typeOid} ${typmod}`).join("\n")

export class SnapshotterTable {
  readonly options: TableOptions
  table: ReadTable
  state: TableRecord["state"] = "waiting"
  error: string | undefined
  /** Something in `record` is not kept yet. */
  changed = true
  watch: TableWatch | undefined
  key: Key = { names: [], hash: 0 }
  ranges = new Ranges(undefined)
  readonly size: ChunkSize
  /** One range is planned at a time. */
  readonly planning = Semaphore.makeUnsafe(1)
  /** Opened whenever something is settled. */
  readonly settled = Latch.makeUnsafe(false)
  /** Another one each time the copy starts again: what came from the one before is of no use. */
  generation = 0
  tooLarge = 0
  #takes: Takes
  #rows = 0
  #bytes = 0
  #shape: TableShape | undefined
  #filenode: number
  /** Columns of the first rows; `undefined` before them. */
  #columns: string | undefined
  /** Kept by an earlier process: not compared with the table yet. */
  #unchecked = false
  readonly #saved = new Set<CopyKey.CopyKey>()

  constructor(
    table: ReadTable, takes: Takes, options: TableOptions, kept: TableRecord | undefined, pending: ReadonlyArray<PendingKey>
  ) {
    this.options = options
    this.table = table
    this.size = new ChunkSize(options.settings.rangeBytes)
    this.#takes = takes
    this.#filenode = table.filenode
    for (const { key } of pending) this.#saved.add(CopyKey.keyOf(key))
    if (kept === undefined) return
    this.changed = false
    if (kept.state === "done" || kept.state === "failed") {
      this.state = kept.state
      this.error = kept.error
      this.#rows = kept.rows
      this.#bytes = kept.bytes
    } else this.#goOn(kept)
  }

  get over(): boolean {
    return this.state === "done" || this.state === "failed"
  }

  /** For a log line or an error. */
  get name(): string {
    return `${this.table.schema}.${this.table.table}`
  }

  get record(): TableRecord {
    const { oid, schema, table, totalBytes, totalRows } = this.table
    const { through } = this.ranges
    return {
      oid, schema, table, totalBytes, totalRows,
      filenode: this.#filenode,
      state: this.state,
      rows: this.#rows,
      bytes: this.#bytes,
      error: this.error,
      doneThrough: through === undefined ? undefined : [`${this.key.hash} ${this.#columns ?? ""}`, ...through]
    }
  }

  set takes(takes: Takes) {
    this.#takes = takes
    if (this.watch !== undefined) this.watch.takes = takes
  }

  /** Rows to be read again that are not kept yet: before the events that made them so may be acknowledged. */
  takeAdded(): ReadonlyArray<PendingKey> {
    const { watch } = this
    if (watch === undefined || watch.added.length === 0) return []
    const added = watch.added.filter((key) => watch.pending.has(key) && !this.#saved.has(key))
    watch.added = []
    for (const key of added) this.#saved.add(key)
    return this.#pendingOf(added)
  }

  /** All that was kept: of no use once the table's copy is over. */
  takeSaved(): ReadonlyArray<PendingKey> {
    const saved = this.#pendingOf([...this.#saved])
    this.#saved.clear()
    return saved
  }

  /** Watched from here in the stream: rows above `through` are to be copied. */
  begin(shape: TableShape, through: Bound): void {
    const { rules, stage } = this.options
    this.#shape = shape
    this.key = keyOf(this.table, shape)
    this.ranges = new Ranges(through)
    this.watch = new TableWatch(this.key.names, this.key.hash, this.#takes, rules)
    stage.watch(this.table.oid, this.watch)
  }

  /** Nothing more of it enters the stream. */
  end(): void {
    this.generation++
    if (this.watch !== undefined) this.options.stage.unwatch(this.table.oid, this.watch)
    this.watch = undefined
  }

  finish(error: string | undefined): void {
    this.state = error === undefined ? "done" : "failed"
    this.error = error
    this.changed = true
    this.end()
  }

  /** Starts from nothing. */
  forget(): void {
    this.end()
    this.ranges = new Ranges(undefined)
    this.tooLarge = 0
    this.#columns = undefined
    this.#unchecked = false
    this.#filenode = this.table.filenode
    this.#rows = 0
    this.#bytes = 0
    this.changed = true
  }

  /** `rows` of what was read entered the stream, and are settled. */
  count(read: ReadRows, rows: number): void {
    this.#rows += rows
    this.#bytes += read.rows.length === 0 ? 0 : Math.round(read.bytes * rows / read.rows.length)
    this.changed = true
  }

  /** Is the table another than the one whose rows were copied? Called at a high mark, with what was read before it. */
  differs(read: ReadRows): boolean {
    const shape = this.options.stage.shapes.shapeOf(this.table.oid)
    if (shape === undefined || keyOf(this.table, shape).hash !== this.key.hash) return true
    const columns = columnsOf(read.relation)
    // VACUUM FULL and CLUSTER leave the rows as they are; they write no row of `pgstream.ddl`, so the shape is the same.
    // But they move them: a row pointer says nothing then of what was read.
    const byDdl = this.key.names.length === 0 || shape !== this.#shape || this.#unchecked || !this.table.ddlInStream
    const rewritten = read.filenode !== this.#filenode && byDdl && this.options.rules.restartRewritten
    if (rewritten || (this.#columns !== undefined && columns !== this.#columns)) {
      this.table = { ...this.table, filenode: read.filenode }
      return true
    }
    this.#filenode = read.filenode
    this.#columns = columns
    this.#unchecked = false
    return false
  }

  /** What was kept counts if the table has the same key where the stream starts; else it is copied from its start. */
  #goOn(kept: TableRecord): void {
    const shape = this.options.stage.shapes.shapeOf(this.table.oid)
    const [signature, ...through] = kept.doneThrough ?? []
    if (shape === undefined || signature === undefined) return
    const at = signature.indexOf(" ")
    if (String(keyOf(this.table, shape).hash) !== signature.slice(0, at)) return
    this.begin(shape, through)
    this.#columns = signature.slice(at + 1)
    this.#filenode = kept.filenode
    this.#unchecked = true
    this.#rows = kept.rows
    this.#bytes = kept.bytes
    for (const key of this.#saved) this.watch!.pending.add(key)
  }

  #pendingOf(keys: ReadonlyArray<CopyKey.CopyKey>): ReadonlyArray<PendingKey> {
    return keys.map((key) => ({ copy: this.options.copy.id, oid: this.table.oid, key: CopyKey.valuesOf(key) }))
  }
}
