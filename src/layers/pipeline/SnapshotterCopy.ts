/**
 * One copy: its tables, some at a time, each to its end whatever becomes of the others. For one subscription the newest
 * logged entry of each schema goes first, to it alone; for all a new entry comes through the stream.
 */
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Semaphore from "effect/Semaphore"
import { type Copy, nameOf } from "../../domain/copy/Copy.ts"
import type { CopyRules } from "../../domain/copy/CopyRules.ts"
import type { EntryPlace } from "../../domain/copy/CopiedRow.ts"
import type { EndpointId, Subscription } from "../../domain/Subscription.ts"
import type { SchemaLogEntry } from "../../domain/TableShape.ts"
import { CopyRequests, type OpenCopy } from "../../services/CopyRequests.ts"
import type { CopySettingsShape } from "../../services/CopySettings.ts"
import { type ReadTable, TableReader } from "../../services/TableReader.ts"
import type { EndpointPace } from "../../services/Snapshotter.ts"
import { SnapshotterBudget } from "./SnapshotterBudget.ts"
import { persist } from "./SnapshotterPersist.ts"
import { entryOf } from "./SnapshotterRows.ts"
import * as Run from "./SnapshotterRun.ts"
import type { SnapshotterStage } from "./SnapshotterStage.ts"
import { SnapshotterTable } from "./SnapshotterTable.ts"
import { sameRows, takesOf, targetsOf } from "./SnapshotterTarget.ts"
import { newMark } from "./SnapshotterTransfer.ts"

/** An entry is written before its position is settled: how long that is waited for, in pauses. */
const ENTRY_PAUSE_MS = 100
const ENTRY_ATTEMPTS = 600
/** Tables and errors that the copy itself names; each table has its own. */
const NAMED = 5

export interface CopyContext {
  readonly endpoints: EndpointPace
  readonly stage: SnapshotterStage
  readonly settings: CopySettingsShape
  readonly rules: CopyRules
}

export class SnapshotterCopy {
  readonly copy: Copy
  readonly tables = new Map<number, SnapshotterTable>()
  readonly #context: CopyContext
  readonly #budget: SnapshotterBudget
  readonly #entries = new Map<string, SchemaLogEntry>()
  readonly #saving = Semaphore.makeUnsafe(1)
  #rows: ReadonlyArray<Subscription>
  /** Of those who are sent its rows. */
  #endpoints: ReadonlyArray<EndpointId> = []

  constructor({ copy, pending, tables }: OpenCopy, rows: ReadonlyArray<Subscription>, context: CopyContext) {
    this.copy = copy
    this.#rows = rows
    this.#context = context
    this.#endpoints = this.#targets()
    this.#budget = new SnapshotterBudget(context.settings.unsettledBytes, () => this.#isHeld)
    for (const kept of tables) {
      const table: ReadTable = { ...kept, totalBytes: kept.totalBytes ?? 0, ddlInStream: false }
      const keys = pending.filter(({ oid }) => oid === kept.oid)
      this.tables.set(kept.oid, new SnapshotterTable(table, this.#takes(table), this.#options, kept, keys))
    }
  }

  /** Subscriptions as they are now. */
  set rows(rows: ReadonlyArray<Subscription>) {
    if (sameRows(rows, this.#rows)) return
    this.#rows = rows
    this.#endpoints = this.#targets()
    for (const job of this.tables.values()) job.takes = this.#takes(job.table)
  }

  /** Who asked is not subscribed any more. */
  get isOrphaned(): boolean {
    const { subscription } = this.copy
    return subscription !== undefined && !this.#rows.some((row) => row.id === subscription)
  }

  /** All endpoints that would be sent its rows are behind. */
  get #isHeld(): boolean {
    const { endpoints } = this.#context
    return this.#endpoints.length > 0 && this.#endpoints.every((id) => endpoints.isBehind(id))
  }

  #targets(): ReadonlyArray<EndpointId> {
    const targets = this.copy.tables.flatMap((name) => targetsOf(this.copy, name, this.#rows))
    return [...new Set(targets.map((row) => row.endpointId))]
  }

  /** Nothing more of it enters the stream. */
  end(): void {
    for (const job of this.tables.values()) job.end()
  }

  /** Ends when all of it is settled or failed, and that is kept. */
  get run() {
    return Effect.gen({ self: this }, function*() {
      const requests = yield* CopyRequests
      const { id, mode } = this.copy
      yield* requests.setState(id, "running")
      if (mode !== "data") yield* this.#schemas
      const errors = mode === "schema" ? [] : yield* this.#allTables
      const failed = [...this.tables.values()].filter((job) => job.state === "failed")
      const all = [...errors, ...failed.map((job) => `${job.name}: ${job.error}`)]
      if (all.length === 0) yield* requests.setState(id, "done")
      else yield* requests.setState(id, "failed", all.slice(0, NAMED).join("; ") + (all.length > NAMED ? `; and ${all.length - NAMED} more` : ""))
      yield* Effect.logInfo(all.length === 0 ? "A copy is done." : "A copy ended; not all of its tables could be copied.").pipe(
        Effect.annotateLogs({ copy: id, tables: this.tables.size, failed: all.length }))
    })
  }

  /** What is not kept yet of how far its tables are. One at a time: an older record never comes after a newer one. */
  get save() {
    return this.#saving.withPermit(Effect.gen({ self: this }, function*() {
      const changed = [...this.tables.values()].filter((job) => job.changed)
      for (const job of changed) job.changed = false
      const requests = yield* CopyRequests
      if (changed.length === 0) return
      yield* requests.saveTables(this.copy.id, changed.map((job) => job.record)).pipe(
        Effect.onError(() => Effect.sync(() => changed.forEach((job) => void (job.changed = true))))
      )
    }))
  }

  /** Until no name stands for a table that was not copied: a partition may come while others are. */
  get #allTables() {
    return Effect.gen({ self: this }, function*() {
      const errors: Array<string> = []
      for (let round = 0; ; round++) {
        for (const name of yield* this.#find) if (round === 0) errors.push(`${name}: there is no such table`)
        const open = [...this.tables.values()].filter((job) => !job.over)
        if (open.length === 0) return errors
        yield* Effect.forEach(open, (job) => this.#table(job), { concurrency: this.#context.settings.tables, discard: true })
      }
    })
  }

  #table(job: SnapshotterTable) {
    return Effect.gen({ self: this }, function*() {
      const requests = yield* CopyRequests
      yield* Run.run(job)
      yield* this.save
      yield* requests.removePending(job.takeSaved())
    })
  }

  /** Takes on the tables that the names stand for; answers with names that stand for none. */
  get #find() {
    return Effect.gen({ self: this }, function*() {
      const reader = yield* TableReader
      const missing: Array<string> = []
      for (const name of this.copy.tables) {
        const found = yield* persist(reader.tables(name))
        if (found.length === 0) missing.push(nameOf(name))
        for (const table of found) {
          const known = this.tables.get(table.oid)
          if (known === undefined) this.#takeOn(table)
          else known.table = { ...table, filenode: known.table.filenode }
        }
      }
      yield* this.save
      return missing
    })
  }

  #takeOn(table: ReadTable): void {
    const job = new SnapshotterTable(table, this.#takes(table), this.#options, undefined, [])
    this.tables.set(table.oid, job)
    const asked = this.copy.subscription !== undefined
    if (asked && targetsOf(this.copy, table, this.#rows).length === 0) job.finish("the subscription does not take this table")
  }

  #takes(table: ReadTable) {
    return takesOf(targetsOf(this.copy, table, this.#rows))
  }

  get #options() {
    return {
      stage: this.#context.stage,
      settings: this.#context.settings,
      rules: this.#context.rules,
      copy: this.copy,
      budget: this.#budget,
      entry: (place: EntryPlace, schema: string, oid: number) => this.#entry(place, schema, oid)
    }
  }

  /** Once a schema. A newer one that came meanwhile was an event: then this one would be old news. */
  #entry(place: EntryPlace, schema: string, oid: number) {
    const entry = this.#entries.get(schema)
    if (entry === undefined) return []
    this.#entries.delete(schema)
    const { shapes } = this.#context.stage
    return shapes.versionOf(schema)?.entryId === entry.id ? [entryOf(this.copy, place, entry, [oid])] : []
  }

  get #schemas() {
    return Effect.gen({ self: this }, function*() {
      const reader = yield* TableReader
      const schemas = [...new Set(this.copy.tables.map(({ schema }) => schema))]
      if (this.copy.subscription === undefined) {
        const goesOn = this.tables.size > 0
        if (goesOn) return
        yield* Effect.forEach(schemas, (schema) => persist(reader.refreshSchema(schema)), { discard: true })
        // An entry of a refresh changed no table, so it shares no key with the rows: they wait for it here.
        return yield* this.#settledThrough
      }
      yield* Effect.forEach(schemas, (schema) => this.#newestEntry(schema), { discard: true })
      if (this.copy.mode !== "schema") return
      yield* this.#atMark((place, settled) => {
        settled()
        return schemas.flatMap((schema) => this.#entry(place, schema, 0))
      })
    })
  }

  #newestEntry(schema: string) {
    return Effect.gen({ self: this }, function*() {
      const reader = yield* TableReader
      let id: string | undefined
      yield* this.#atMark((_place, settled) => {
        id = this.#context.stage.shapes.versionOf(schema)?.entryId
        settled()
        return []
      })
      if (id === undefined) return
      for (let attempt = 0; attempt < ENTRY_ATTEMPTS; attempt++) {
        const entry = yield* persist(reader.entry(id))
        if (entry !== undefined) return void this.#entries.set(schema, entry)
        yield* Effect.sleep(ENTRY_PAUSE_MS)
      }
    })
  }

  /** Until all that is in the stream by now is delivered or parked. */
  get #settledThrough() {
    return Effect.gen({ self: this }, function*() {
      const reader = yield* TableReader
      const { stage } = this.#context
      const mark = newMark()
      const settled = yield* Deferred.make<void>()
      stage.expect(mark, (_place, settle) => {
        settle(() => void Deferred.doneUnsafe(settled, Effect.void))
        return []
      })
      yield* persist(reader.mark(mark)).pipe(
        Effect.andThen(Deferred.await(settled)),
        Effect.ensuring(Effect.sync(() => stage.forget(mark)))
      )
    })
  }

  /** Runs `at` at a mark of its own, and ends when `settled` was called. */
  #atMark(at: (place: EntryPlace, settled: () => void) => ReturnType<CopyEntry>) {
    return Effect.gen({ self: this }, function*() {
      const reader = yield* TableReader
      const { stage } = this.#context
      const mark = newMark()
      const came = yield* Deferred.make<void>()
      stage.expect(mark, (place) => at(place, () => void Deferred.doneUnsafe(came, Effect.void)))
      yield* persist(reader.mark(mark)).pipe(
        Effect.andThen(Deferred.await(came)),
        Effect.ensuring(Effect.sync(() => stage.forget(mark)))
      )
    })
  }
}

type CopyEntry = SnapshotterTable["options"]["entry"]
