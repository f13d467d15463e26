import { assert, describe, it } from "@effect/vitest"
import { SpareMemory } from "../../../src/domain/SpareMemory.ts"

const KIB = 1024

describe("SpareMemory", () => {
  it("gives back what was put back, where it has room", () => {
    const spare = new SpareMemory(1_000 * KIB)
    const first = spare.take(90 * KIB)
    assert.isAtLeast(first.length, 90 * KIB)
    assert.notStrictEqual(spare.take(90 * KIB), first)
    spare.put(first)
    assert.strictEqual(spare.take(91 * KIB), first)
    spare.put(first)
    assert.isAtLeast(spare.take(200 * KIB).length, 200 * KIB)
  })

  it("does not give much to who needs little", () => {
    const spare = new SpareMemory(1_000 * KIB)
    spare.put(Buffer.alloc(160 * KIB))
    assert.isAtMost(spare.take(30 * KIB).length, 4 * 30 * KIB)
    spare.put(Buffer.alloc(16 * KIB))
    assert.strictEqual(spare.take(1).length, 16 * KIB)
  })

  it("keeps no more than it may, and forgets what it gave away", () => {
    const spare = new SpareMemory(100 * KIB)
    const pieces = Array.from({ length: 5 }, () => spare.take(48 * KIB))
    const again = () => Array.from({ length: 5 }, () => spare.take(48 * KIB)).filter((piece) => pieces.includes(piece))
    for (const piece of pieces) spare.put(piece)
    assert.strictEqual(again().length, 2)
    for (const piece of pieces) spare.put(piece)
    assert.strictEqual(again().length, 2)
  })
})
