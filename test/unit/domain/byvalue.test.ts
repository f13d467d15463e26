import { assert, describe, it } from "@effect/vitest"
import * as Schema from "effect/Schema"
import { ByValue } from "../../../src/domain/ByValue.ts"

const value = Schema.Union([
  Schema.Int.pipe(Schema.check(Schema.isBetween({ minimum: 1, maximum: 40 }))),
  Schema.Int.pipe(Schema.check(Schema.isBetween({ minimum: 1, maximum: 2 ** 32 - 1 })))
])

describe("ByValue", () => {
  it.prop("has what a Map has, whatever comes and goes", { steps: Schema.Array(Schema.Tuple([Schema.Boolean, value])) }, ({ steps }) => {
    const table = new ByValue<{ readonly value: number }>()
    const map = new Map<number, { readonly value: number }>()
    for (const [comes, value] of steps) {
      if (comes) {
        const item = { value }
        table.set(item)
        map.set(value, item)
      } else {
        table.delete(value)
        map.delete(value)
      }
      assert.strictEqual(table.size, map.size)
    }
    for (const [, value] of steps) assert.strictEqual(table.get(value), map.get(value))
    assert.isUndefined(table.get(77))
  }, { arbitrary: { runs: 500 } })

  it("has each of many, after most of them went", () => {
    const table = new ByValue<{ readonly value: number }>()
    const map = new Map<number, { readonly value: number }>()
    for (let i = 1; i < 50_000; i++) {
      const item = { value: Math.imul(i, 0x01000193) >>> 0 }
      table.set(item)
      map.set(item.value, item)
      if (i > 1_000) {
        const gone = Math.imul(i - 1_000, 0x01000193) >>> 0
        table.delete(gone)
        map.delete(gone)
      }
    }
    assert.strictEqual(table.size, map.size)
    for (const [value, item] of map) assert.strictEqual(table.get(value), item)
  })
})
