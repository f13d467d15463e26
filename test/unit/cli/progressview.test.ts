/** What somebody sees who watches a copy: on a terminal, in a file, in a program. */
import { assert, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as TestClock from "effect/testing/TestClock"
import * as CopyRequestsMemory from "../../../src/layers/memory/CopyRequestsMemory.ts"
import { follow, type Screen, type ViewOptions, viewOf } from "../../../src/layers/cli/ProgressView.ts"
import { CopyRequests, type TableRecord } from "../../../src/services/CopyRequests.ts"

const record = (name: string, oid: number, change: Partial<TableRecord>): TableRecord => ({
  schema: "public", table: name, oid, filenode: oid, state: "running", doneThrough: undefined, rows: 0, bytes: 0, totalRows: 1_000, totalBytes: 10_000,
  error: undefined, ...change
})

/** A copy of two tables, step by step: 100 rows a second of `a` for 30 s, then `b` fails and it is over. */
const watched = (options: ViewOptions, columns: number | undefined) =>
  Effect.gen(function*() {
    const requests = yield* CopyRequests
    const tables = [{ schema: "public", table: "a" }, { schema: "public", table: "b" }]
    const { copy } = yield* requests.create({ subscription: undefined, tables, where: undefined, mode: "full", repeatable: true })
    const id = copy!.id
    let [shown, printed] = ["", ""]
    const screen: Screen = { columns, rows: 24, write: (text) => void (shown += text) }
    const fiber = yield* Effect.forkChild(follow([id], viewOf(options, screen, (text) => void (printed += text))))
    yield* TestClock.adjust("1 second")
    yield* requests.setState(id, "running")
    for (let second = 1; second <= 10; second++) {
      yield* requests.saveTables(id, [record("a", 1, { rows: second * 100, bytes: second * 1_000, ...(second === 10 ? { state: "done" } : {}) })])
      yield* TestClock.adjust("1 second")
    }
    yield* requests.saveTables(id, [record("b", 2, { state: "failed", error: "permission denied for table b" })])
    yield* requests.setState(id, "failed", "1 of 2 tables")
    yield* TestClock.adjust("1 second")
    const progress = yield* Fiber.join(fiber)
    return { shown, printed, states: progress.copies.map(({ state }) => state) }
  }).pipe(Effect.provide(CopyRequestsMemory.layer))

it.effect("lines: each table's end, the whole every ten seconds, and the end", () =>
  Effect.gen(function*() {
    const { printed, shown, states } = yield* watched({ json: false, progress: true }, undefined)
    assert.deepStrictEqual([states, printed], [["failed"], ""])
    assert.deepStrictEqual(shown.split("\n"), [
      "0%, 0 of 2 tables, 0 rows, 0 B",
      "89%, 0 of 2 tables, 900 rows, 9.0 kB, 90 rows/s, 900 B/s, 1s left",
      "public.a: done, 1,000 rows, 10.0 kB",
      "public.b: failed, 0 rows, 0 B: permission denied for table b",
      "100%, 1 of 2 tables, 1 failed, 1,000 rows, 10.0 kB, 90 rows/s, 900 B/s",
      ""
    ])
  }))

it.effect("a terminal: a frame over the one before", () =>
  Effect.gen(function*() {
    const { shown } = yield* watched({ json: false, progress: true }, 80)
    const frames = shown.split("\u001b[4A\u001b[0J")
    assert.isAbove(frames.length, 20)
    for (const frame of frames) assert.lengthOf(frame.split("\n"), 5)
    assert.include(frames.at(-1), "public.b")
    assert.include(frames.at(-1), "failed")
  }))

it.effect("JSON: a line while something changes, and the end; nothing on the screen", () =>
  Effect.gen(function*() {
    const { printed, shown } = yield* watched({ json: true, progress: true }, 80)
    assert.strictEqual(shown, "")
    const lines = printed.trimEnd().split("\n").map((line) => JSON.parse(line) as { readonly event: string; readonly snapshots: ReadonlyArray<{ readonly rows: number; readonly state: string }> })
    assert.deepStrictEqual(lines.map(({ event }) => event), [...Array.from({ length: 11 }, () => "progress"), "end"])
    assert.deepInclude(lines.at(-1)!.snapshots[0], { state: "failed", rows: 1_000 })
  }))

it.effect("without progress nothing is shown", () =>
  Effect.gen(function*() {
    const { printed, shown } = yield* watched({ json: false, progress: false }, 80)
    assert.deepStrictEqual([printed, shown], ["", ""])
  }))
