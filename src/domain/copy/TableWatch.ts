/**
 * What the stream says of one table while it is copied: which keys events touched, and which of them have to be read
 * again. A state machine without a clock; it sees the table's events and the marks in the order of the stream.
 *
 * - A window is open from its low mark to its high mark. A row that was read in between enters the stream at the high
 *   mark, unless an event touched its key in the window: the event is newer.
 * - A key is *covered* when its last event tells those who asked all of the row: an I or a U with every column that they
 *   take. A D has nothing to tell. A row that was left out and is not covered is pending: it is read again by its key.
 * - A change of the key may move a row from where nothing was read yet to where all was: its new key is pending, too,
 *   if it is not covered, whether a window is open or not.
 */
import { type Change, type Row, UNCHANGED } from "../Change.ts"
import * as CopyKey from "./CopyKey.ts"
import type { CopyRules } from "./CopyRules.ts"

/** Event types that all who asked are sent. */
export interface Takes {
  readonly inserts: boolean
  readonly updates: boolean
}

/** Keys that are remembered at most; above it, open windows are void and read again. */
export const MAX_TOUCHED = 262_144

/** A window: `since` is what was the last event before its low mark. */
export interface Window {
  readonly since: number
  /** Its rows must be read again, whatever was read. */
  void: boolean
}

interface Touch {
  readonly event: number
  readonly covered: boolean
}

const hasEveryColumn = (row: Row, columns: number): boolean => {
  if (row.columns.length < columns) return false
  for (let i = 0; i < row.spans.length; i += 2) if (row.spans[i] === UNCHANGED) return false
  return true
}

export class TableWatch {
  takes: Takes
  /** Keys that are to be read again. */
  readonly pending = new Set<CopyKey.CopyKey>()
  /** Those that came into `pending` since somebody took them out of here, to keep them. */
  added: Array<CopyKey.CopyKey> = []
  readonly #rules: CopyRules
  readonly #touched = new Map<CopyKey.CopyKey, Touch>()
  readonly #windows = new Set<Window>()
  readonly #names: ReadonlyArray<string>
  readonly #definition: number
  #event = 0

  /** `names` and `definition`: the key by which the table is read, and its hash; none of both: it has no key. */
  constructor(names: ReadonlyArray<string>, definition: number, takes: Takes, rules: CopyRules) {
    this.#names = names
    this.#definition = definition
    this.takes = takes
    this.#rules = rules
  }

  get hasKey(): boolean {
    return this.#names.length > 0
  }

  /** The low mark is there. */
  open(): Window {
    const window: Window = { since: this.#event, void: false }
    this.#windows.add(window)
    return window
  }

  /** The high mark is there and was dealt with, or the window is given up. */
  close(window: Window): void {
    this.#windows.delete(window)
    if (this.#windows.size === 0) this.#touched.clear()
  }

  /** An event that nobody can read, a TRUNCATE, a change of what the key is: what is being read is read again. */
  disturb(): void {
    this.#event++
    for (const window of this.#windows) window.void = true
    this.#touched.clear()
  }

  /** An event of the table, in stream order. */
  event(change: Change): void {
    if (!this.hasKey) return
    if (change.kind === "T" || CopyKey.definitionOf(change)?.hash !== this.#definition) return this.disturb()
    const before = change.oldRow()
    const after = change.newRow()
    const old = before === undefined ? undefined : CopyKey.valuesIn(this.#names, before, after)
    const now = after === undefined ? undefined : CopyKey.valuesIn(this.#names, after, before)
    if ((old ?? now) === undefined || (after !== undefined && now === undefined)) return this.disturb()
    this.#event++
    const oldKey = old === undefined ? undefined : CopyKey.keyOf(old)
    const newKey = now === undefined ? undefined : CopyKey.keyOf(now)
    if (oldKey !== undefined && oldKey !== newKey) this.#touch(oldKey, true)
    if (newKey === undefined) return
    const covered = this.#covers(change, after!)
    this.#touch(newKey, covered)
    const moved = change.kind === "U" && oldKey !== undefined && oldKey !== newKey
    if (!covered && ((moved && this.#rules.readMovedAgain) || (!this.takes.inserts && change.kind === "I" && this.#windows.size > 0))) {
      this.readAgain(newKey)
    }
  }

  readAgain(key: CopyKey.CopyKey): void {
    if (this.pending.has(key)) return
    this.pending.add(key)
    this.added.push(key)
  }

  /** Does the row, read in `window`, enter the stream? Called at the high mark. */
  enters(window: Window, key: CopyKey.CopyKey): boolean {
    const touch = this.#touched.get(key)
    if (touch !== undefined && touch.event > window.since) {
      if (!touch.covered && this.#rules.readUncoveredAgain) this.readAgain(key)
      return !this.#rules.rowsYield
    }
    this.pending.delete(key)
    return true
  }

  #covers(change: Change, row: Row): boolean {
    if (change.kind === "I") return this.takes.inserts
    return this.takes.updates && hasEveryColumn(row, columnsOf(change))
  }

  #touch(key: CopyKey.CopyKey, covered: boolean): void {
    if (covered) this.pending.delete(key)
    if (this.#windows.size === 0) return
    if (this.#touched.size >= MAX_TOUCHED) this.disturb()
    this.#touched.set(key, { event: this.#event, covered })
  }
}

/** Columns that a whole row has, where the shape says it: wal2json leaves unchanged TOAST values out. */
const columnsOf = (change: Change): number =>
  change.relation?.replicaIdentity === "" ? change.shape?.columns.filter((column) => !column.generated).length ?? 0 : 0
