/**
 * Progress of copies as text: the frame of a terminal, and plain lines. Pure: a frame is made from the state and the size
 * of the terminal alone. No name can move the cursor, and no line is wider than the terminal.
 */
import { isOver, nameOf, type TableProgress } from "./copy/Copy.ts"
import { pace, type Progress, shareOf } from "./Progress.ts"

/** Of a bar without its brackets, in columns. */
const BAR_COLUMNS = 20
/** A name is shortened to this, in columns. */
const NAME_COLUMNS = 28
const NAME_COLUMNS_LEAST = 8

const grouped = (n: number): string => Math.round(n).toString().replaceAll(/\B(?=(\d{3})+$)/g, ",")

/** Powers of 1000, as Postgres' own tools and people count a disk. */
export const bytes = (n: number): string => {
  const units = ["B", "kB", "MB", "GB", "TB", "PB"]
  let [value, at] = [n, 0]
  while (value >= 999.5 && at < units.length - 1) {
    value /= 1_000
    at += 1
  }
  return `${at === 0 || value >= 99.95 ? Math.round(value) : value.toFixed(1)} ${units[at]}`
}

export const duration = (ms: number): string => {
  const seconds = Math.max(0, Math.round(ms / 1_000))
  const [d, h, m, s] = [Math.floor(seconds / 86_400), Math.floor(seconds / 3_600) % 24, Math.floor(seconds / 60) % 60, seconds % 60]
  if (d > 0) return `${d}d${h}h`
  if (h > 0) return `${h}h${m}m`
  return m > 0 ? `${m}m${s}s` : `${s}s`
}

/** Rounded down: 100 % is the end. */
const percent = (share: number): string => `${Math.floor(share * 100).toString().padStart(3)}%`

const bar = (share: number, columns: number): string => {
  const full = Math.floor(share * columns)
  return `[${full === columns ? "=".repeat(columns) : `${"=".repeat(full)}>`.padEnd(columns)}]`
}

/** Ranges that a terminal shows two columns wide (Unicode, East Asian Width W and F; emoji). */
const wide = /[\u1100-\u115f\u2e80-\u303e\u3041-\ua4cf\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff00-\uff60\uffe0-\uffe6]|[\u{1f300}-\u{1faff}]|[\u{20000}-\u{3fffd}]/u
const narrow = /\p{Mn}|\p{Me}|\p{Cf}/u

const columnsOf = (character: string): number => (narrow.test(character) ? 0 : wide.test(character) ? 2 : 1)
const width = (text: string): number => [...text].reduce((sum, character) => sum + columnsOf(character), 0)

/** Nothing in a name is a command to the terminal, and none is wider than `columns`. */
const shown = (name: string, columns: number): string => {
  const clean = name.replaceAll(/\p{Cc}|\p{Cf}|\p{Zl}|\p{Zp}/gu, "?")
  if (width(clean) <= columns) return clean + " ".repeat(columns - width(clean))
  const out: Array<string> = []
  let left = columns - 1
  for (const character of clean) {
    if (columnsOf(character) > left) break
    out.push(character)
    left -= columnsOf(character)
  }
  return `${out.join("")}…${" ".repeat(left)}`
}

const cut = (line: string, columns: number): string => {
  let [out, left] = ["", columns]
  for (const character of line) {
    left -= columnsOf(character)
    if (left < 0) break
    out += character
  }
  return out.trimEnd()
}

const amount = (table: { readonly rows: number; readonly bytes: number }): string => `${grouped(table.rows)} rows, ${bytes(table.bytes)}`

const stateOf = (table: TableProgress): string =>
  table.state === "failed" ? "failed" : table.state === "waiting" ? "waiting" : amount(table)

/** Rates and time left, as far as they can be said; or that nobody works on it. */
const paceText = (progress: Progress): string => {
  const open = progress.copies.filter(({ state }) => !isOver(state))
  if (open.length > 0 && open.every(({ state }) => state === "paused")) return ", paused"
  const { bytesPerSecond, leftMs, rowsPerSecond } = pace(progress)
  const rate = rowsPerSecond === 0 && bytesPerSecond === 0 ? "" : `, ${grouped(rowsPerSecond)} rows/s, ${bytes(bytesPerSecond)}/s`
  return leftMs === undefined ? rate : `${rate}, ${duration(leftMs)} left`
}

const order = { running: 0, failed: 1, waiting: 2, done: 3 } as const

/**
 * A line a table, one for all, and one for rates and time left: tables that are read first, then failed ones. Where there
 * is no room for all tables the rest are counted. At least two lines.
 */
export const frame = (progress: Progress, size: { readonly columns: number; readonly rows: number }): ReadonlyArray<string> => {
  const columns = Math.max(1, size.columns)
  const nameColumns = Math.max(NAME_COLUMNS_LEAST, Math.min(NAME_COLUMNS, columns - BAR_COLUMNS - 30))
  const bars = columns >= 60
  const line = (name: string, share: number, rest: string) =>
    cut(`${shown(name, nameColumns)} ${percent(share)} ${bars ? `${bar(share, BAR_COLUMNS)} ` : ""}${rest}`, columns)
  const tables = progress.tables.toSorted((a, b) => order[a.state] - order[b.state])
  // The last two lines are for all, and a terminal scrolls when its very last row is written.
  const room = Math.max(0, size.rows - 3)
  const fits = tables.length <= room ? tables.length : Math.max(0, room - 1)
  const rest = tables.slice(fits)
  const count = (state: TableProgress["state"]) => rest.filter((table) => table.state === state).length
  const others = (["running", "failed", "waiting", "done"] as const).flatMap((state) => (count(state) === 0 ? [] : [`${grouped(count(state))} ${state}`]))
  return [
    ...tables.slice(0, fits).map((table) => line(nameOf(table), shareOf(table), stateOf(table))),
    ...(rest.length === 0 || room === 0 ? [] : [cut(`… ${others.join(", ")}`, columns)]),
    line("total", progress.totals.share, amount(progress.totals)),
    cut(" ".repeat(Math.min(nameColumns + 1, 6)) + paceText(progress).slice(2), columns)
  ]
}

/** What a terminal must be sent to show `lines` in place of the `before` lines above the cursor. */
export const redraw = (before: number, lines: ReadonlyArray<string>): string =>
  `${before === 0 ? "" : `\u001b[${before}A\u001b[0J`}${lines.map((line) => `${line}\n`).join("")}`

/** One line for all. */
export const summary = (progress: Progress): string => {
  const { share, tables, tablesDone, tablesFailed } = progress.totals
  const failed = tablesFailed === 0 ? "" : `, ${grouped(tablesFailed)} failed`
  return `${percent(share).trim()}, ${grouped(tablesDone)} of ${grouped(tables)} tables${failed}, ${amount(progress.totals)}${paceText(progress)}`
}

/** A line for each table whose end was not told before. */
export const ended = (before: Progress, now: Progress): ReadonlyArray<string> => {
  const told = new Set(before.tables.filter(({ state }) => state === "done" || state === "failed").map(nameOf))
  return now.tables.filter((table) => (table.state === "done" || table.state === "failed") && !told.has(nameOf(table)))
    .map((table) => {
      const name = shown(nameOf(table), 128).trimEnd()
      return table.state === "done" ? `${name}: done, ${amount(table)}` : `${name}: failed, ${amount(table)}: ${table.error ?? "the log of the service says why"}`
    })
}
