import { assert, describe, it } from "@effect/vitest"
import { Slabs } from "../../../src/domain/Slabs.ts"

describe("a slab", () => {
  it("is used again when its owner has gone on and the last one who held it has released it, in either order", () => {
    const slabs = new Slabs(100, 4)
    const first = slabs.take()
    first.hold()
    first.hold()
    first.close()
    first.release()
    assert.notStrictEqual(slabs.take().bytes, first.bytes)
    first.release()
    assert.strictEqual(slabs.take().bytes, first.bytes)

    const second = slabs.take()
    second.hold()
    second.release()
    assert.notStrictEqual(slabs.take().bytes, second.bytes)
    second.close()
    assert.strictEqual(slabs.take().bytes, second.bytes)
  })

  it("that nobody held is not used again: a piece of it may be kept", () => {
    const slabs = new Slabs(100, 4)
    const slab = slabs.take()
    slab.close()
    assert.notStrictEqual(slabs.take().bytes, slab.bytes)
  })

  it("larger than usual is made for once", () => {
    const slabs = new Slabs(100, 4)
    const slab = slabs.take(500)
    assert.strictEqual(slab.bytes.length, 500)
    assert.strictEqual(slabs.takenBytes, 500)
    slab.hold()
    slab.close()
    slab.release()
    assert.strictEqual(slabs.takenBytes, 0)
    assert.strictEqual(slabs.take().bytes.length, 100)
    assert.notStrictEqual(slabs.take(500).bytes, slab.bytes)
  })

  it("is given up where there are enough of them", () => {
    const slabs = new Slabs(100, 2)
    const taken = Array.from({ length: 5 }, () => slabs.take())
    assert.strictEqual(slabs.takenBytes, 500)
    for (const slab of taken) {
      slab.hold()
      slab.close()
      slab.release()
    }
    assert.strictEqual(slabs.takenBytes, 0)
    const again = new Set(Array.from({ length: 5 }, () => slabs.take().bytes))
    assert.strictEqual(taken.filter(({ bytes }) => again.has(bytes)).length, 2)
  })
})
