/**
 * What waits for one endpoint: how many bytes in segments and as rows, and for how long in segments. The oldest is known to
 * a hundredth of the age. A row waits no longer than its schedule, unless it waits behind others: those are bytes.
 */
import type { Backlog } from "../../../services/Segments.ts"
import type { Core } from "./Core.ts"

/** Marks of the time in the age that is allowed. */
const MARKS = 100
const MIN_PAUSE_MS = 1_000

interface Mark {
  readonly segment: number
  readonly atMs: number
}

export class Budget {
  /** Bytes of bodies that wait. */
  bytes = 0
  /** Over the budget: events that come are recorded as dead. */
  deadLetters = false
  /** It is to be suspended, or is. */
  suspending = false
  private readonly core: Core
  private marks: Array<Mark> = []
  /** Those of `bytes` that wait as rows. */
  private rowBytes = 0
  /** What waited when it was resumed over its budget: as much again may come, until it is within its budget. */
  private forgivenBytes = 0

  constructor(core: Core) {
    this.core = core
  }

  start(backlog: Backlog): void {
    this.changed(backlog.bytes)
    this.marks = [{ segment: backlog.cursor.segment, atMs: backlog.oldestMs === 0 ? this.core.now() : backlog.oldestMs }]
  }

  /**
   * It was resumed with more than its budget: else it would be suspended again before it could catch up. Bytes and time
   * count from here.
   */
  forgive(): void {
    if (this.over === undefined) return
    this.forgivenBytes = this.bytes
    if (this.marks.length > 0) this.marks = [{ segment: this.marks.at(-1)!.segment, atMs: this.core.now() }]
  }

  changed(bytes: number): void {
    this.bytes += bytes
    if (this.bytes <= this.core.settings.budgetBytes) this.forgivenBytes = 0
    this.core.waitingBytes += bytes
  }

  /** So many more bytes wait as rows, or fewer. Rows that an operator revived were not counted when they came. */
  rowsChanged(bytes: number): void {
    const before = this.rowBytes
    this.rowBytes = Math.max(0, before + bytes)
    if (this.rowBytes !== before) this.changed(this.rowBytes - before)
  }

  /** All that wait as rows. */
  setRows(bytes: number): void {
    this.rowsChanged(bytes - this.rowBytes)
  }

  /** Something was appended there. */
  appended(segment: number): void {
    const now = this.core.now()
    const last = this.marks.at(-1)
    if (last !== undefined && now - last.atMs < Math.max(MIN_PAUSE_MS, this.core.settings.budgetAgeMs / MARKS)) return
    this.marks.push({ segment, atMs: now })
  }

  /** Everything before that segment is decided. */
  passed(segment: number, isAll: boolean): void {
    if (isAll) this.marks = []
    else while (this.marks.length > 1 && this.marks[1]!.segment <= segment) this.marks.shift()
  }

  clear(): void {
    this.changed(-this.bytes)
    this.rowBytes = 0
    this.marks = []
  }

  /** What is used up, in words; `undefined`: it is within its budget. */
  get over(): string | undefined {
    const { budgetBytes, budgetAgeMs } = this.core.settings
    if (this.bytes > budgetBytes + this.forgivenBytes) return `more than ${budgetBytes} bytes wait for it`
    const oldest = this.marks[0]
    if (oldest !== undefined && this.core.now() - oldest.atMs > budgetAgeMs) return `events have waited for it for ${Math.floor(budgetAgeMs / 1_000)} s`
    return undefined
  }
}
