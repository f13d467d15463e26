import { assert, describe, it } from "@effect/vitest"
import * as Schema from "effect/Schema"
import * as Batch from "../../../src/domain/Batch.ts"

const written = (items: ReadonlyArray<Batch.BatchItem>, timestampSeconds: number): string =>
  Buffer.from(Batch.write(items, timestampSeconds, Buffer.alloc(Batch.roomFor(items), "?"))).toString("utf8")

describe("Batch", () => {
  it("writes the items in order, each event byte by byte", () => {
    const body = Buffer.from(`{"Data":{"value": 12345678901234567890.10, "ü":"\\u0000"}}`)
    assert.strictEqual(
      written([{ id: "a-1", sequence: 7, body }, { id: "a-2", sequence: 8, body: Buffer.from("{}") }], 1_700_000_000),
      `[{"id":"a-1","sequence":7,"timestamp":1700000000,"event":{"Data":{"value": 12345678901234567890.10, "ü":"\\u0000"}}},` +
        `{"id":"a-2","sequence":8,"timestamp":1700000000,"event":{}}]`
    )
  })

  it("leaves out a number that is not there", () => {
    assert.strictEqual(written([{ id: "s-1", sequence: 0, body: Buffer.from("{}") }], 1), `[{"id":"s-1","timestamp":1,"event":{}}]`)
  })

  it("names a batch by its first event and its count", () => {
    assert.strictEqual(Batch.idOf("0000000001A2B3C4-2f9c-0", 100), "b-0000000001A2B3C4-2f9c-0-100")
  })

  it("is written into memory that is used again", () => {
    const memory = Buffer.alloc(1_000, "?")
    const first = Batch.write([{ id: "a-1", sequence: 1, body: Buffer.from(`{"Data":"long enough"}`) }], 1, memory)
    const second = Batch.write([{ id: "a-2", sequence: 2, body: Buffer.from("{}") }], 2, memory)
    assert.strictEqual(second.buffer, first.buffer)
    assert.strictEqual(Buffer.from(second).toString(), `[{"id":"a-2","sequence":2,"timestamp":2,"event":{}}]`)
  })

  it("has room for the longest numbers", () => {
    const sequence = Number.MAX_SAFE_INTEGER
    const items = [9, 10, sequence - 1, sequence].map((number) => ({ id: "\"\u0000ü", sequence: number, body: Buffer.from("{}") }))
    assert.deepStrictEqual(
      JSON.parse(written(items, sequence)),
      items.map(({ id, sequence: number }) => ({ id, sequence: number, timestamp: sequence, event: {} }))
    )
  })

  const Item = Schema.Struct({ id: Schema.String, sequence: Schema.Int, value: Schema.String })
  it.prop("is JSON from which every item can be read again", { items: Schema.Array(Item) }, ({ items }) => {
    const all = items.map(({ id, sequence, value }) => ({ id, sequence, body: Buffer.from(JSON.stringify({ Data: value })) }))
    assert.deepStrictEqual(
      JSON.parse(written(all, 3)),
      items.map(({ id, sequence, value }) => ({ id, ...(sequence > 0 ? { sequence } : {}), timestamp: 3, event: { Data: value } }))
    )
  })
})
