/** Watches copies until they are over: bars on a terminal, plain lines elsewhere, JSON lines for a program. */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Progress from "../../domain/Progress.ts"
import * as ProgressText from "../../domain/ProgressText.ts"
import { type Copy, type CopyId, CopyRequests } from "../../services/CopyRequests.ts"

/** Between two looks, ms. */
const LOOK_MS = 500
/** Between two plain lines, and between two JSON lines, ms. */
const PLAIN_MS = 10_000
const JSON_MS = 1_000

/** Where it is shown. `columns`: of a terminal; `undefined`: it is none. */
export interface Screen {
  readonly columns: number | undefined
  readonly rows: number
  write(text: string): void
}

/** Of a terminal that does not say it. */
const COLUMNS = 80
const ROWS = 24

/** stderr; the sizes are those of now. */
export const stderr: Screen = {
  get columns() {
    return process.stderr.isTTY === true ? process.stderr.columns || COLUMNS : undefined
  },
  get rows() {
    return process.stderr.rows || ROWS
  },
  write: (text) => void process.stderr.write(text)
}

export type Show = (progress: Progress.Progress, before: Progress.Progress) => void

/** A bar a table and one for all, drawn over the ones before. */
const bars = (screen: Screen): Show => {
  let drawn = 0
  return (progress) => {
    const lines = ProgressText.frame(progress, { columns: screen.columns ?? COLUMNS, rows: screen.rows })
    screen.write(ProgressText.redraw(drawn, lines))
    drawn = lines.length
  }
}

/** A line for each table that ended; for all, one now and then while something changes, and one at the end. */
const lines = (screen: Screen): Show => {
  let [toldAtMs, told] = [-Infinity, ""]
  return (progress, before) => {
    for (const line of ProgressText.ended(before, progress)) screen.write(`${line}\n`)
    const state = JSON.stringify([progress.totals, progress.copies.map((copy) => copy.state)])
    if (!Progress.isEnded(progress) && (state === told || progress.nowMs - toldAtMs < PLAIN_MS)) return
    toldAtMs = progress.nowMs
    told = state
    screen.write(`${ProgressText.summary(progress)}\n`)
  }
}

/** `{"event":"progress",…}` while something changes, `{"event":"end",…}` last. */
const json = (write: (text: string) => void): Show => {
  let [toldAtMs, told] = [-Infinity, ""]
  return (progress) => {
    const ended = Progress.isEnded(progress)
    const snapshots = progress.copies.map((copy) => Progress.view(copy, true))
    const state = JSON.stringify(snapshots)
    if (!ended && (state === told || progress.nowMs - toldAtMs < JSON_MS)) return
    toldAtMs = progress.nowMs
    told = state
    write(`${JSON.stringify({ event: ended ? "end" : "progress", snapshots })}\n`)
  }
}

export interface ViewOptions {
  readonly json: boolean
  /** `false`: only the end is told. */
  readonly progress: boolean
}

const quiet: Show = () => undefined

export const viewOf = (options: ViewOptions, screen: Screen = stderr, print = (text: string) => void process.stdout.write(text)): Show => {
  if (options.json) return json(print)
  if (!options.progress) return quiet
  return screen.columns === undefined ? lines(screen) : bars(screen)
}

/** Each of them as it is in the end. */
export const follow = Effect.fnUntraced(function*(ids: ReadonlyArray<CopyId>, show: Show) {
  const requests = yield* CopyRequests
  let before = Progress.start(yield* Clock.currentTimeMillis)
  for (;;) {
    const copies: ReadonlyArray<Copy> = yield* Effect.forEach(ids, (id) => requests.get(id))
    const progress = Progress.observe(before, copies, yield* Clock.currentTimeMillis)
    show(progress, before)
    if (Progress.isEnded(progress)) return progress
    before = progress
    yield* Effect.sleep(LOOK_MS)
  }
})
