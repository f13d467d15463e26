/** Numbers, bars and lines of copies. */
import { assert, describe, it } from "@effect/vitest"
import * as Schema from "effect/Schema"
import type { Copy, TableProgress } from "../../../src/domain/copy/Copy.ts"
import * as Progress from "../../../src/domain/Progress.ts"
import * as ProgressText from "../../../src/domain/ProgressText.ts"

const table = (name: string, change: Partial<TableProgress> = {}): TableProgress => ({
  schema: "public", table: name, state: "running", rows: 0, bytes: 0, totalRows: undefined, totalBytes: undefined, error: undefined, ...change
})
const copy = (progress: ReadonlyArray<TableProgress>, change: Partial<Copy> = {}): Copy => ({
  id: "7", subscription: undefined, tables: progress.map(({ schema, table }) => ({ schema, table })), where: undefined, mode: "full", repeatable: false,
  state: "running", error: undefined, createdAtMs: 0, updatedAtMs: 0, progress, ...change
})
const after = (...steps: ReadonlyArray<readonly [atMs: number, ...tables: ReadonlyArray<TableProgress>]>) =>
  steps.reduce((state, [atMs, ...tables]) => Progress.observe(state, [copy(tables)], atMs), Progress.start(0))

describe("numbers", () => {
  it("share by rows, else by bytes, and less than all until it is done", () => {
    assert.strictEqual(Progress.shareOf(table("a", { rows: 30, totalRows: 40, bytes: 1, totalBytes: 100 })), 0.75)
    assert.strictEqual(Progress.shareOf(table("a", { bytes: 25, totalBytes: 100 })), 0.25)
    assert.strictEqual(Progress.shareOf(table("a", { rows: 500, totalRows: 40 })), 0.99)
    assert.strictEqual(Progress.shareOf(table("a", { rows: 500 })), 0)
    assert.strictEqual(Progress.shareOf(table("a", { state: "done" })), 1)
  })
  it("weigh tables by their bytes, and count tables that nobody has looked at", () => {
    const { totals } = after([0, table("big", { rows: 1, totalRows: 2, bytes: 50, totalBytes: 900 }), table("small", { state: "done", rows: 3, totalRows: 3, bytes: 100, totalBytes: 100 })])
    assert.deepStrictEqual(totals, { tables: 2, tablesDone: 1, tablesFailed: 0, rows: 4, bytes: 150, totalRows: 5, totalBytes: 1_000, share: 0.55 })
    const waiting = Progress.totals([copy([], { tables: [{ schema: "a", table: "b" }], state: "requested" })])
    assert.deepInclude(waiting, { tables: 1, tablesDone: 0, share: 0, totalRows: undefined })
    assert.deepInclude(Progress.totals([copy([], { tables: [{ schema: "a", table: "b" }], state: "done" })]), { tablesDone: 1, share: 1 })
  })
  it("give rates and the time left over the last seconds only", () => {
    const at = (rows: number) => table("a", { rows, bytes: rows * 10, totalRows: 10_000, totalBytes: 100_000 })
    const { bytesPerSecond, leftMs, rowsPerSecond } = Progress.pace(after([0, at(0)], [60_000, at(1_000)], [62_000, at(3_000)]))
    assert.deepStrictEqual([rowsPerSecond, bytesPerSecond, Math.round(leftMs!)], [1_000, 10_000, 7_000])
    assert.deepStrictEqual(Progress.pace(after([0, at(5_000)])), { rowsPerSecond: 0, bytesPerSecond: 0, leftMs: undefined })
    assert.isUndefined(Progress.pace(after([0, at(5)], [1_000, at(5)])).leftMs)
  })
  it("keep a bounded number of observations", () => {
    let state = Progress.start(0)
    for (let n = 0; n < 5_000; n++) state = Progress.observe(state, [copy([table("a", { rows: n })])], n)
    assert.isAtMost(state.samples.length, 100)
  })
  it("have ended when each copy is over", () => {
    const ended = (...all: ReadonlyArray<Copy["state"]>) => Progress.isEnded(Progress.observe(Progress.start(0), all.map((state) => copy([], { state })), 0))
    assert.isTrue(ended("done", "failed", "cancelled"))
    for (const state of ["requested", "running", "paused"] as const) assert.isFalse(ended("done", state))
  })
  it("as programs read them show a condition only to who may see it", () => {
    const one = copy([table("a", { rows: 1, totalRows: 8 })], { where: "name = 'x'", subscription: "s" })
    assert.deepInclude(Progress.view(one, true), { id: "7", where: "name = 'x'", subscription_id: "s", percent: 12.5, rows: 1, total_rows: 8, total_bytes: null })
    assert.notInclude(JSON.stringify(Progress.view(one, false)), "name =")
  })
})

describe("a frame", () => {
  const half = after(
    [0, table("orders", { rows: 0, totalRows: 2_000_000, totalBytes: 200_000_000 }), table("done", { state: "done" })],
    [1_000, table("done", { state: "done", rows: 7, bytes: 70 }), table("orders", { rows: 1_000_000, bytes: 96_400_000, totalRows: 2_000_000, totalBytes: 200_000_000 }), table("later", { state: "waiting" }), table("odd", { state: "failed", error: "x" })]
  )
  it("has a bar a table, those that are read first, and a total with rate and time left", () => {
    assert.deepStrictEqual(ProgressText.frame(half, { columns: 120, rows: 40 }), [
      "public.orders                 50% [==========>         ] 1,000,000 rows, 96.4 MB",
      "public.odd                     0% [>                   ] failed",
      "public.later                   0% [>                   ] waiting",
      "public.done                  100% [====================] 7 rows, 70 B",
      "total                         50% [==========>         ] 1,000,007 rows, 96.4 MB",
      "      1,000,007 rows/s, 96.4 MB/s, 1s left"
    ])
  })
  it("counts what there is no room for", () => {
    assert.deepStrictEqual(ProgressText.frame(half, { columns: 70, rows: 5 }).map((line) => line.slice(0, 30)), [
      "public.orders         50% [===", "… 1 failed, 1 waiting, 1 done", "total                 50% [===", "      1,000,007 rows/s, 96.4 M"
    ])
    assert.lengthOf(ProgressText.frame(half, { columns: 70, rows: 1 }), 2)
  })
  it("has no bars where the terminal is narrow", () => {
    assert.deepStrictEqual(ProgressText.frame(half, { columns: 40, rows: 40 })[0], "public.…  50% 1,000,000 rows, 96.4 MB")
  })
  const Size = Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: 200 }))
  it.prop("is never wider or higher than the terminal, and no name can move the cursor", { columns: Size, rows: Size, name: Schema.String, bytes: Schema.Int }, ({ bytes, columns, name, rows }) => {
    const tables = Array.from({ length: 30 }, (_, n) => table(`${name}${n}\u001b[2J`, { rows: n, totalRows: 10, bytes: Math.abs(bytes) }))
    const lines = ProgressText.frame(after([0, ...tables], [500, ...tables]), { columns, rows })
    assert.isAtMost(lines.length, Math.max(2, rows - 1))
    for (const line of lines) {
      assert.isAtMost([...line].length, columns)
      assert.notMatch(line, /\p{Cc}/u)
    }
  })
})

it("a frame is drawn over the one before, which may have had more lines", () => {
  assert.strictEqual(ProgressText.redraw(0, ["a", "b"]), "a\nb\n")
  assert.strictEqual(ProgressText.redraw(2, ["c"]), "\u001b[2A\u001b[0Jc\n")
})

describe("lines", () => {
  it("say the whole in one, and each end of a table once", () => {
    const before = after([0, table("a", { rows: 5 }), table("b", { state: "done" })])
    const now = Progress.observe(before, [copy([table("a", { state: "done", rows: 12_345, bytes: 1_500 }), table("b", { state: "done" }), table("c", { state: "failed", error: "permission denied" })])], 2_000)
    assert.deepStrictEqual(ProgressText.ended(before, now), ["public.a: done, 12,345 rows, 1.5 kB", "public.c: failed, 0 rows, 0 B: permission denied"])
    assert.strictEqual(ProgressText.summary(now), "100%, 2 of 3 tables, 1 failed, 12,345 rows, 1.5 kB, 6,170 rows/s, 750 B/s")
  })
  it("say that a copy is paused", () => {
    const paused = Progress.observe(Progress.start(0), [copy([table("a", { rows: 5, totalRows: 10 })], { state: "paused" })], 0)
    assert.strictEqual(ProgressText.summary(paused), "50%, 0 of 1 tables, 5 rows, 0 B, paused")
    assert.include(ProgressText.frame(paused, { columns: 80, rows: 9 }).at(-1), "paused")
  })
  it("count bytes and time as people do", () => {
    assert.deepStrictEqual([0, 999, 1_000, 99_949, 123_456, 999_600, 5e12].map(ProgressText.bytes), ["0 B", "999 B", "1.0 kB", "99.9 kB", "123 kB", "1.0 MB", "5.0 TB"])
    assert.deepStrictEqual([0, 59_400, 61_000, 3_661_000, 90_000_000].map(ProgressText.duration), ["0s", "59s", "1m1s", "1h1m", "1d1h"])
  })
})
