/** The contract of `CopyRequests`, run once per implementation. */
import { assert, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import type * as Layer from "effect/Layer"
import { CopyRequests, type CopySpec, type TableRecord } from "../../src/services/CopyRequests.ts"

const table = (name: string) => ({ schema: "public", table: name })
const spec = (change: Partial<CopySpec>): CopySpec =>
  ({ subscription: undefined, tables: [table("a")], where: undefined, mode: "full", repeatable: false, ...change })
const record = (oid: number, change: Partial<TableRecord> = {}): TableRecord => ({
  ...table(`t${oid}`), oid, filenode: oid, state: "running", doneThrough: undefined, rows: 0, bytes: 0,
  totalRows: undefined, totalBytes: undefined, error: undefined, ...change
})
const subscription = "00000000-0000-4000-8000-000000000001"

export const suite = <R, E>(name: string, layer: Layer.Layer<CopyRequests | R, E>) =>
  it.layer(layer, { timeout: "60 seconds", excludeTestServices: true })(`CopyRequests (${name})`, (it) => {
    it.effect("keeps what was asked for, newest first", () =>
      Effect.gen(function*() {
        const requests = yield* CopyRequests
        const one = yield* requests.create(spec({ tables: [table("x"), table("y"), table("x")], where: "id > 'it''s'", subscription }))
        const two = yield* requests.create(spec({ tables: [table("z")] }))
        assert.deepInclude(one.copy, { state: "requested", subscription, where: "id > 'it''s'", mode: "full", tables: [table("x"), table("y")], progress: [] })
        assert.deepStrictEqual((yield* requests.list).slice(0, 2).map(({ id }) => id), [two.copy!.id, one.copy!.id])
        assert.deepStrictEqual(yield* requests.get(one.copy!.id), one.copy)
      }))

    it.effect("goes on with one that is not over in place of a new one", () =>
      Effect.gen(function*() {
        const requests = yield* CopyRequests
        const first = yield* requests.create(spec({ tables: [table("again")], repeatable: true }))
        assert.strictEqual((yield* requests.create(spec({ tables: [table("again")], repeatable: true }))).copy?.id, first.copy!.id)
        assert.notStrictEqual((yield* requests.create(spec({ tables: [table("again")], where: "true" }))).copy?.id, first.copy!.id)
        assert.notStrictEqual((yield* requests.create(spec({ tables: [table("again")], subscription }))).copy?.id, first.copy!.id)
        yield* requests.setState(first.copy!.id, "done")
        assert.notStrictEqual((yield* requests.create(spec({ tables: [table("again")], repeatable: true }))).copy?.id, first.copy!.id)
      }))

    it.effect("skips tables that were copied, unless it is repeatable", () =>
      Effect.gen(function*() {
        const requests = yield* CopyRequests
        const first = yield* requests.create(spec({ tables: [table("s1"), table("s2"), table("s3")] }))
        const id = first.copy!.id
        yield* requests.saveTables(id, [record(901, { ...table("s1"), state: "done" }), record(902, { ...table("s2"), state: "failed", error: "no" })])
        yield* requests.setState(id, "failed", "1 table")
        const next = yield* requests.create(spec({ tables: [table("s1"), table("s2")] }))
        assert.deepStrictEqual([next.skipped, next.copy?.tables], [[table("s1")], [table("s2")]])
        yield* requests.setState(next.copy!.id, "done")
        assert.deepStrictEqual(yield* requests.create(spec({ tables: [table("s1"), table("s2")] })), { copy: undefined, skipped: [table("s1"), table("s2")] })
        assert.deepStrictEqual((yield* requests.create(spec({ tables: [table("s1")], repeatable: true }))).copy?.tables, [table("s1")])
      }))

    it.effect("pauses, resumes, cancels; what is over stays", () =>
      Effect.gen(function*() {
        const requests = yield* CopyRequests
        const { copy } = yield* requests.create(spec({ tables: [table("steer")] }))
        const id = copy!.id
        const isOpen = Effect.map(requests.open, (open) => open.some((each) => each.copy.id === id))
        yield* requests.setState(id, "running")
        assert.strictEqual((yield* requests.pause(id)).state, "paused")
        yield* requests.setState(id, "done")
        assert.strictEqual((yield* requests.get(id)).state, "paused")
        assert.strictEqual((yield* requests.resume(id)).state, "requested")
        assert.isTrue(yield* isOpen)
        assert.strictEqual((yield* requests.cancel(id)).state, "cancelled")
        assert.isFalse(yield* isOpen)
        yield* requests.setState(id, "done")
        assert.strictEqual((yield* requests.get(id)).state, "cancelled")
        assert.deepInclude(yield* Effect.flip(requests.pause(id)), { _tag: "CopyIsOver", state: "cancelled" })
        assert.strictEqual((yield* Effect.flip(requests.get("999999")))._tag, "CopyUnknown")
        assert.strictEqual((yield* Effect.flip(requests.cancel("no number")))._tag, "CopyUnknown")
      }))

    it.effect("keeps how far tables are, and the keys that are to be read again", () =>
      Effect.gen(function*() {
        const requests = yield* CopyRequests
        const { copy } = yield* requests.create(spec({ tables: [table("far")], subscription }))
        const id = copy!.id
        const open = Effect.map(requests.open, (all) => all.find((each) => each.copy.id === id))
        yield* requests.saveTables(id, [record(7), record(8)])
        yield* requests.saveTables(id, [record(7, { rows: 5_000_000_000, bytes: 9, totalRows: 10, totalBytes: 11, doneThrough: ["it's", "\\x\u00e9\""] })])
        const keys = [["1", "b"], ["2", "\u0001'\\"]].map((key) => ({ copy: id, oid: 7, key }))
        yield* requests.addPending(keys)
        yield* requests.addPending(keys.slice(0, 1))
        yield* requests.addPending([{ copy: "999999", oid: 7, key: ["gone"] }])
        const first = yield* open
        assert.deepStrictEqual(first?.tables, [record(7, { rows: 5_000_000_000, bytes: 9, totalRows: 10, totalBytes: 11, doneThrough: ["it's", "\\x\u00e9\""] }), record(8)])
        assert.deepStrictEqual(first?.pending.toSorted((a, b) => a.key[0]!.localeCompare(b.key[0]!)), keys)
        assert.strictEqual(first?.copy.progress[0]?.rows, 5_000_000_000)
        yield* requests.removePending(keys.slice(1))
        assert.deepStrictEqual((yield* open)?.pending, keys.slice(0, 1))
      }))
  })
