import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import * as Blocking from "../../../src/domain/Blocking.ts"
import { conflicts, EVERYTHING, type Key } from "../../../src/domain/Key.ts"

const key = (leaf: number, value: number, definition = 1, root = leaf): Key => ({ leaf, root, definition, value })
const row = (id: string, ...keys: ReadonlyArray<Key>) => ({ id, keys })
const found = (...rows: ReadonlyArray<ReturnType<typeof row>>) =>
  Blocking.find(rows).map(({ behind, delivery, kind }) => [delivery.id, kind, behind])

describe("what holds others up", () => {
  it("is the oldest of a key, with what waits behind it", () => {
    assert.deepStrictEqual(found(row("a", key(1, 7)), row("b", key(1, 8)), row("c", key(1, 7)), row("d", key(1, 7))), [["a", "row", 2]])
  })
  it("is a barrier for all after it, while the barrier waits itself", () => {
    assert.deepStrictEqual(
      found(row("a", key(1, 7)), row("truncate", key(1, 0, 0)), row("c", key(1, 9)), row("d", key(2, 9))),
      [["a", "row", 2], ["truncate", "barrier", 1]]
    )
  })
  it("goes over partitions, changed key definitions, and both keys of a changed key", () => {
    assert.deepStrictEqual(found(row("leaf", key(2, 7, 1, 1)), row("other leaf", key(3, 7, 1, 1))), [["leaf", "row", 1]])
    assert.deepStrictEqual(found(row("before", key(1, 7, 1)), row("after", key(1, 8, 2))), [["before", "row", 1]])
    assert.deepStrictEqual(found(row("a", key(1, 7), key(1, 8)), row("b", key(1, 8))), [["a", "row", 1]])
  })
  it("is the first one of order total for all, whatever their keys, and for what waits in segments", () => {
    const total = key(EVERYTHING, 0, 0)
    assert.deepStrictEqual(found(row("a", total), row("b", total), row("c", key(1, 7))), [["a", "barrier", 2], ["b", "barrier", 1]])
    assert.deepStrictEqual(found(row("a", key(1, 7)), row("b", key(2, 8)), row("c", total)), [["a", "row", 1]])
    const behind = (...rows: ReadonlyArray<ReturnType<typeof row>>) => Blocking.find(rows, 5).map(({ behind, delivery }) => [delivery.id, behind])
    assert.deepStrictEqual(behind(row("a", total)), [["a", 5]])
    assert.deepStrictEqual(behind(row("a", key(1, 7))), [])
  })
  it("is nothing without keys", () => {
    assert.deepStrictEqual(found(row("a"), row("b")), [])
  })
  const small = Schema.Int.pipe(Schema.check(Schema.isBetween({ minimum: 0, maximum: 3 })))
  const keys = Schema.Array(Schema.Struct({ leaf: small, root: small, definition: small, value: small }))
  it.effect.prop("counts each that waits once behind the oldest that must go first", { list: Schema.Array(keys) }, ({ list }) =>
    Effect.sync(() => {
      // Oid 0 is that of order `total` alone.
      const real = (each: Key): Key =>
        each.leaf === EVERYTHING ? { leaf: EVERYTHING, root: EVERYTHING, definition: 0, value: 0 } : { ...each, root: each.root === EVERYTHING ? each.leaf : each.root }
      const rows = list.map((each, n) => ({ n, keys: each.map(real) }))
      const oldest = rows.map(() => -1)
      rows.forEach((each, n) => {
        const before = rows.slice(0, n).filter((other) => other.keys.some((a) => each.keys.some((b) => conflicts(a, b))))
        if (before.length > 0) oldest[n] = Math.min(...before.map((other) => oldest[other.n] === -1 ? other.n : oldest[other.n]!))
      })
      for (const blocker of Blocking.find(rows)) {
        const expected = oldest.filter((each) => each === blocker.delivery.n).length
        if (oldest[blocker.delivery.n] === -1 && blocker.kind === "row") assert.strictEqual(blocker.behind, expected)
        else assert.isAtLeast(blocker.behind, expected)
      }
      const named = new Set(Blocking.find(rows).map(({ delivery }) => delivery.n))
      for (const each of oldest) if (each !== -1) assert.isTrue(named.has(each))
    }), { arbitrary: { runs: 500 } })
})
