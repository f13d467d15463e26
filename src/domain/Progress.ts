/**
 * How far copies are, as numbers: for bars, lines, `--json`, `status` and the API alike.
 *
 * A share is by rows where Postgres has an estimate of them, else by bytes, and never 1 before a table is done: totals are
 * estimates, and nothing but a bar depends on them.
 */
import { type Copy, isOver, type TableProgress } from "./copy/Copy.ts"

/** Over this long the rates are, ms. */
const WINDOW_MS = 10_000
/** Observations that are kept of that, at most. */
const MAX_SAMPLES = 100
/** An estimate may be too small: a table that is not done is never shown as if it was. */
const ALMOST = 0.99

export interface Totals {
  readonly tables: number
  readonly tablesDone: number
  readonly tablesFailed: number
  readonly rows: number
  readonly bytes: number
  /** Of the tables that have an estimate; `undefined`: none has. */
  readonly totalRows: number | undefined
  readonly totalBytes: number | undefined
  /** 0 to 1. */
  readonly share: number
}

/** 0 to 1. */
export const shareOf = (table: TableProgress): number => {
  if (table.state === "done") return 1
  const share = table.totalRows !== undefined && table.totalRows > 0 ? table.rows / table.totalRows
    : table.totalBytes !== undefined && table.totalBytes > 0 ? table.bytes / table.totalBytes
    : 0
  return Math.min(ALMOST, Math.max(0, share))
}

/** Before a table is looked at it has a row in `tables` alone. */
const tablesOf = (copy: Copy): ReadonlyArray<TableProgress> => {
  const seen = new Set(copy.progress.map(({ schema, table }) => `${schema}\0${table}`))
  const waiting = copy.tables.filter(({ schema, table }) => !seen.has(`${schema}\0${table}`))
  const state = copy.state === "done" ? "done" as const : "waiting" as const
  return [...copy.progress, ...waiting.map((name): TableProgress => ({
    ...name, state, rows: 0, bytes: 0, totalRows: undefined, totalBytes: undefined, error: undefined
  }))]
}

/** A known sum of some. */
const sum = (values: ReadonlyArray<number | undefined>): number | undefined =>
  values.reduce<number | undefined>((all, value) => (value === undefined ? all : (all ?? 0) + value), undefined)

export const totals = (copies: ReadonlyArray<Copy>): Totals => {
  const tables = copies.flatMap(tablesOf)
  const weights = tables.map(({ bytes, totalBytes }) => Math.max(1, totalBytes ?? bytes))
  const all = sum(weights) ?? 0
  // Of a table that failed nothing is left to do.
  const done = sum(tables.map((table, at) => (table.state === "failed" ? 1 : shareOf(table)) * weights[at]!)) ?? 0
  const over = copies.length > 0 && copies.every(({ state }) => state === "done")
  return {
    tables: tables.length,
    tablesDone: tables.filter(({ state }) => state === "done").length,
    tablesFailed: tables.filter(({ state }) => state === "failed").length,
    rows: sum(tables.map(({ rows }) => rows)) ?? 0,
    bytes: sum(tables.map(({ bytes }) => bytes)) ?? 0,
    totalRows: sum(tables.map(({ totalRows }) => totalRows)),
    totalBytes: sum(tables.map(({ totalBytes }) => totalBytes)),
    share: over ? 1 : all === 0 ? 0 : done / all
  }
}

interface Sample {
  readonly atMs: number
  readonly rows: number
  readonly bytes: number
  readonly share: number
}

/** What was seen of some copies until now. A value: `observe` gives the next one. */
export interface Progress {
  readonly startedAtMs: number
  readonly nowMs: number
  readonly copies: ReadonlyArray<Copy>
  readonly tables: ReadonlyArray<TableProgress>
  readonly totals: Totals
  /** Oldest first, of the last seconds; bounded. */
  readonly samples: ReadonlyArray<Sample>
}

export const start = (nowMs: number): Progress =>
  ({ startedAtMs: nowMs, nowMs, copies: [], tables: [], totals: totals([]), samples: [] })

export const observe = (before: Progress, copies: ReadonlyArray<Copy>, nowMs: number): Progress => {
  const now = totals(copies)
  const sample = { atMs: nowMs, rows: now.rows, bytes: now.bytes, share: now.share }
  const samples = [...before.samples.filter(({ atMs }) => atMs >= nowMs - WINDOW_MS), sample].slice(-MAX_SAMPLES)
  return { startedAtMs: before.startedAtMs, nowMs, copies, tables: copies.flatMap(tablesOf), totals: now, samples }
}

export interface Pace {
  readonly rowsPerSecond: number
  readonly bytesPerSecond: number
  /** `undefined`: it cannot be said. */
  readonly leftMs: number | undefined
}

/** Over the last seconds. A copy that goes on after a restart does not count what was there. */
export const pace = ({ samples, totals: now }: Progress): Pace => {
  const [first] = samples
  const last = samples.at(-1)
  const seconds = first === undefined || last === undefined ? 0 : (last.atMs - first.atMs) / 1_000
  if (first === undefined || last === undefined || seconds <= 0) return { rowsPerSecond: 0, bytesPerSecond: 0, leftMs: undefined }
  const shares = (last.share - first.share) / seconds
  return {
    rowsPerSecond: Math.max(0, (last.rows - first.rows) / seconds),
    bytesPerSecond: Math.max(0, (last.bytes - first.bytes) / seconds),
    leftMs: shares > 0 && now.share < 1 ? ((1 - now.share) / shares) * 1_000 : undefined
  }
}

/** Nothing more comes of any. */
export const isEnded = ({ copies }: Progress): boolean => copies.every(({ state }) => isOver(state))

/** A copy as programs read it. `condition`: whether the condition is shown, which may hold values. */
export const view = (copy: Copy, condition: boolean) => {
  const all = totals([copy])
  return {
    id: copy.id,
    state: copy.state,
    subscription_id: copy.subscription ?? null,
    mode: copy.mode,
    ...(condition ? { where: copy.where ?? null } : {}),
    rows: all.rows,
    bytes: all.bytes,
    total_rows: all.totalRows ?? null,
    total_bytes: all.totalBytes ?? null,
    percent: Math.floor(all.share * 1_000) / 10,
    error: copy.error ?? null,
    created_at: new Date(copy.createdAtMs).toISOString(),
    updated_at: new Date(copy.updatedAtMs).toISOString(),
    tables: tablesOf(copy).map((table) => ({
      schema: table.schema,
      table: table.table,
      state: table.state,
      rows: table.rows,
      bytes: table.bytes,
      total_rows: table.totalRows ?? null,
      total_bytes: table.totalBytes ?? null,
      error: table.error ?? null
    }))
  }
}
