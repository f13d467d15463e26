/** Which copies that are over are kept: what is not copied again rests on them. */
import { assert, describe, it } from "@effect/vitest"
import type { Copy } from "../../../src/domain/copy/Copy.ts"
import { decide, KEPT_COPIES, superfluous } from "../../../src/domain/copy/create.ts"

const table = (name: string) => ({ schema: "public", table: name })
const copy = (id: number, change: Partial<Copy>): Copy => ({
  id: String(id), subscription: undefined, tables: [table(`t${id}`)], where: undefined, mode: "full", repeatable: false, state: "done",
  error: undefined, createdAtMs: 0, updatedAtMs: 0, progress: [], ...change
})
const progress = (name: string, state: "done" | "failed") =>
  ({ ...table(name), state, rows: 0, bytes: 0, totalRows: undefined, totalBytes: undefined, error: undefined })

describe("superfluous", () => {
  const newer = Array.from({ length: KEPT_COPIES }, (_, i) => copy(i + 100, { repeatable: true }))
  const known: ReadonlyArray<Copy> = [
    copy(1, { state: "failed", progress: [progress("t1", "failed")] }),
    copy(2, { state: "cancelled" }),
    copy(3, { state: "failed", tables: [table("a"), table("b")], progress: [progress("a", "done"), progress("b", "failed")] }),
    copy(4, {}),
    copy(5, { state: "running" }),
    copy(6, { repeatable: true }),
    ...newer
  ]

  it("drops the oldest that are over, also one that is not repeatable and copied nothing", () => {
    assert.deepStrictEqual(superfluous(known), ["1", "2", "6"])
    assert.deepStrictEqual(superfluous(known.slice(0, -1)), ["1", "2"])
    assert.deepStrictEqual(superfluous(newer), [])
  })

  it("drops none that a later request is decided by", () => {
    const gone = new Set(superfluous(known))
    const kept = known.filter(({ id }) => !gone.has(id))
    const spec = { ...copy(0, {}), tables: ["t1", "t2", "a", "b", "t4", "t5"].map(table) }
    const { skipped, tables } = decide(spec, known)
    assert.deepStrictEqual([skipped, tables], [["a", "t4"].map(table), ["t1", "t2", "b"].map(table)])
    assert.deepStrictEqual(decide(spec, kept), decide(spec, known))
  })
})
