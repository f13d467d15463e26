/**
 * One range, or rows by their keys, from the table into the stream: low mark, rows, high mark (DESIGN.md "Copy").
 *
 * The rows are read when the low mark has come in the stream, so they are held in memory only until the high mark comes,
 * however far the stream is behind. Whatever fails on the way, or is interrupted, leaves nothing: a mark that nobody
 * waits for is passed over.
 */
import { randomBytes } from "node:crypto"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import type { Change } from "../../domain/Change.ts"
import type { EntryPlace } from "../../domain/copy/CopiedRow.ts"
import * as CopyKey from "../../domain/copy/CopyKey.ts"
import type { CopyRules } from "../../domain/copy/CopyRules.ts"
import type { Bound } from "../../domain/copy/Ranges.ts"
import type { TableWatch, Window } from "../../domain/copy/TableWatch.ts"
import { type ReadRequest, type ReadRows, TableReader } from "../../services/TableReader.ts"
import type { SnapshotterStage } from "./SnapshotterStage.ts"

/** A snapshot was too old: how long to wait for a commit to become visible, ms. */
const OLD_PAUSE_MS = 20

/** entered: its rows are in the stream · again: something came between · moved: the table has another name, or key. */
export type Transferred = "entered" | "again" | "moved"

export interface Transfer {
  readonly stage: SnapshotterStage
  readonly watch: TableWatch
  readonly rules: CopyRules
  readonly table: ReadRequest["table"]
  readonly key: ReadonlyArray<string>
  readonly from: Bound
  readonly to: Bound
  readonly keys?: ReadonlyArray<ReadonlyArray<string>>
  readonly where: string | undefined
  readonly maxBytes: number
  readonly maxRows: number
  readonly expectedRows: number
  /** At the low mark. */
  readonly opened?: () => void
  /** At the high mark, if nothing came between. `false`: what was read is of no use. Makes room for `rows`. */
  readonly accepts: (read: ReadRows) => boolean
  /** What enters: `rows` is what may. */
  readonly enter: (place: EntryPlace, read: ReadRows, rows: ReadRows["rows"], keys: ReadonlyArray<string>) => ReadonlyArray<Change>
  readonly settled: (read: ReadRows, rows: number) => void
}

export const newMark = (): string => randomBytes(12).toString("hex")

export const transfer = Effect.fnUntraced(function*(options: Transfer) {
  const { key, rules, stage, watch } = options
  const reader = yield* TableReader
  const low = newMark()
  const high = newMark()
  const lowCame = yield* Deferred.make<void>()
  const highCame = yield* Deferred.make<Transferred>()
  let window: Window | undefined
  let order = 0

  const atLow = () => {
    window = watch.open()
    order = stage.delivered.order
    options.opened?.()
    Deferred.doneUnsafe(lowCame, Effect.void)
    return []
  }

  /** Rows of which no event in the window is newer. */
  const newest = (read: ReadRows, open: Window) => {
    const rows: Array<ReadRows["rows"][number]> = []
    const keys: Array<string> = []
    for (const each of read.rows) {
      const values = key.length === 0 ? undefined : CopyKey.valuesIn(key, each.row, undefined)
      const text = values === undefined ? "" : CopyKey.keyOf(values)
      if (values !== undefined && !watch.enters(open, text)) continue
      rows.push(each)
      keys.push(text)
    }
    return { rows, keys }
  }

  const atHigh = (read: ReadRows) => (place: EntryPlace, settle: (whenSettled: () => void) => void) => {
    const open = window!
    const usable = !open.void && options.accepts(read)
    const { keys, rows } = usable ? newest(read, open) : { rows: [], keys: [] }
    watch.close(open)
    Deferred.doneUnsafe(highCame, Effect.succeed(usable ? "entered" : "again"))
    if (!usable) return []
    settle(() => options.settled(read, rows.length))
    return options.enter(place, read, rows, keys)
  }

  const isNewEnough: ReadRequest["isNewEnough"] = (snapshot) =>
    !stage.delivered.unseen(snapshot, order) || !rules.seeDelivered

  const { expectedRows, from, keys, maxBytes, maxRows, table, to, where } = options
  const read = Effect.gen(function*() {
    for (;;) {
      const outcome = yield* reader.read({
        table, key, from, to, keys, where, maxBytes, maxRows, expectedRows, isNewEnough,
        highMark: high,
        lockFirst: rules.lockFirst,
        ready: (rows) => {
          if (!rules.waitForLowMark) atLow()
          stage.expect(high, atHigh(rows))
        }
      })
      if (outcome !== "old") return outcome
      yield* Effect.sleep(OLD_PAUSE_MS)
    }
  })

  return yield* Effect.gen(function*() {
    if (rules.waitForLowMark) {
      stage.expect(low, atLow)
      yield* reader.mark(low)
      yield* Deferred.await(lowCame)
      if ((yield* read) === "moved") return "moved"
    } else if ((yield* read) === "moved") return "moved"
    return yield* Deferred.await(highCame)
  }).pipe(Effect.ensuring(Effect.sync(() => {
    stage.forget(low)
    stage.forget(high)
    if (window !== undefined) watch.close(window)
  })))
})
