import { assert, describe, it } from "@effect/vitest"
import type { Slab } from "../../../src/domain/Slabs.ts"
import { MessageReader, SLAB_BYTES } from "../../../src/layers/postgres/replication/MessageReader.ts"

interface Seen {
  readonly type: number
  readonly body: Buffer
  /** What the body held when it was handed over. */
  readonly copy: Buffer
}

const message = (type: number, length: number): Buffer => {
  const bytes = Buffer.alloc(5 + length, (length * 7 + type) & 0xff)
  bytes[0] = type
  bytes.writeUInt32BE(4 + length, 1)
  return bytes
}

/** Feeds `bytes` by the socket's way (memory of the reader) or by copy, in pieces of `sizes`, round and round. */
const feed = (bytes: Buffer, sizes: ReadonlyArray<number>, limit: number, copy: boolean) => {
  const seen: Array<Seen> = []
  let corrupt: string | undefined
  const reader = new MessageReader(limit, {
    message: (type, buffer, start, end) => {
      const body = buffer.subarray(start, end)
      seen.push({ type, body, copy: Buffer.from(body) })
    },
    batch: () => true,
    corrupt: (problem) => {
      corrupt = problem
    }
  })
  for (let offset = 0, turn = 0; offset < bytes.length; turn++) {
    const size = Math.min(sizes[turn % sizes.length]!, bytes.length - offset)
    if (copy) {
      reader.push(bytes.subarray(offset, offset + size))
      offset += size
      continue
    }
    const room = reader.next()
    const length = Math.min(room.length, size)
    assert.isAbove(length, 0)
    bytes.copy(room, 0, offset, offset + length)
    reader.received(length)
    offset += length
  }
  return { seen, corrupt }
}

const lengths = [0, 1, 4, 100, 8_192, 40_000, SLAB_BYTES - 5, SLAB_BYTES, 3 * SLAB_BYTES, 7, 0, 65_536, 12]

describe("MessageReader", () => {
  for (const copy of [false, true]) {
    for (const sizes of [[1_000_000], [65_536], [1_460], [5, 1, 4_096, 70_000], [SLAB_BYTES - 1]]) {
      it(`cuts the same messages from reads of ${sizes.join(", ")} (${copy ? "copied" : "in place"})`, () => {
        const messages = lengths.map((length, index) => message(0x64 + (index % 3), length))
        const { seen } = feed(Buffer.concat(messages), sizes, 1_000_000, copy)
        assert.deepStrictEqual(seen.map(({ type }) => type), lengths.map((_, index) => 0x64 + (index % 3)))
        seen.forEach(({ body }, index) => assert.isTrue(body.equals(messages[index]!.subarray(5)), `message ${index}`))
      })
    }
  }

  it("never writes again to what it handed over and nobody held", () => {
    const messages = Array.from({ length: 2_000 }, (_, index) => message(0x64, (index * 37) % 900))
    const { seen } = feed(Buffer.concat(messages), [1_000, 17, 60_000], 1_000_000, false)
    assert.strictEqual(seen.length, 2_000)
    for (const { body, copy } of seen) assert.isTrue(body.equals(copy))
  })

  it("writes again to memory that was held and released, and to no other", () => {
    const messages = Array.from({ length: 4_000 }, (_, index) => message(0x64, (index * 37) % 900))
    const bytes = Buffer.concat(messages)
    const used = new Set<Buffer>()
    const held: Array<{ readonly slab: Slab; readonly body: Buffer; readonly copy: Buffer }> = []
    const letGo = () => {
      for (const { body, copy, slab } of held.splice(0)) {
        assert.isTrue(body.equals(copy))
        slab.release()
      }
    }
    const reader: MessageReader = new MessageReader(1_000_000, {
      message: (_type, buffer, start, end) => {
        used.add(buffer)
        assert.strictEqual(reader.slab.bytes, buffer)
        reader.slab.hold()
        const body = buffer.subarray(start, end)
        held.push({ slab: reader.slab, body, copy: Buffer.from(body) })
      },
      batch: () => true,
      corrupt: assert.fail
    })
    for (let offset = 0; offset < bytes.length;) {
      const room = reader.next()
      const length = Math.min(room.length, 50_000, bytes.length - offset)
      bytes.copy(room, 0, offset, offset + length)
      reader.received(length)
      offset += length
      if (offset % 3 === 0) letGo()
    }
    letGo()
    assert.isAbove(bytes.length, 6 * SLAB_BYTES)
    assert.isAtMost(used.size, 4)
  })

  for (const size of [1, 999, 5_000, 1_000_000]) {
    it(`hands over the first bytes of a message above the limit, drops the rest, and goes on (reads of ${size})`, () => {
      const messages = [message(0x64, 10), message(0x64, 50_000), message(0x64, 1_000), message(0x64, 1_001), message(0x64, 20)]
      const { corrupt, seen } = feed(Buffer.concat(messages), [size], 1_000, false)
      assert.strictEqual(corrupt, undefined)
      assert.deepStrictEqual(seen.map(({ copy }) => copy.length), [10, 1_000, 1_000, 1_000, 20])
      seen.forEach(({ copy }, index) => assert.isTrue(copy.equals(messages[index]!.subarray(5, 5 + copy.length))))
    })
  }

  it("says that bytes are no messages", () => {
    const bytes = Buffer.from([0x64, 0, 0, 0, 1, 9, 9])
    assert.isDefined(feed(bytes, [100], 1_000, false).corrupt)
  })

})
