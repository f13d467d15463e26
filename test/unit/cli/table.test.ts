import { assert, it } from "vitest"
import { count, seconds, shortId, table } from "../../../src/layers/cli/TextTable.ts"

it("aligns columns, and leaves no blanks at the end of a line", () => {
  assert.strictEqual(table(["ID", "LONG NAME", "X"], [["1", "a", ""], ["222", "b", "y"]]), "ID   LONG NAME  X\n1    a\n222  b          y")
  assert.strictEqual(table(["A", "B"], []), "A  B")
})

it("counts in words, cuts an id short, and a time to seconds", () => {
  assert.deepStrictEqual([count(0, "row"), count(1, "row"), count(2, "row")], ["0 rows", "1 row", "2 rows"])
  assert.strictEqual(shortId("6b1c6f0e-0000-4000-8000-000000000000"), "6b1c6f0e")
  assert.strictEqual(seconds(Date.UTC(2026, 10, 24, 12, 0, 0, 999)), "2026-11-24T12:00:00Z")
})
