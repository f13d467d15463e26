import { assert, describe, it } from "@effect/vitest"
import * as Schema from "effect/Schema"
import * as Batch from "../../../src/domain/Batch.ts"

const text = (bytes: Uint8Array): string => Buffer.from(bytes).toString("utf8")

describe("Batch", () => {
  it("writes the items in order, each event byte by byte", () => {
    const body = Buffer.from(`{"Data":{"value": 12345678901234567890.10, "ü":"\\u0000"}}`)
    const written = text(Batch.write([{ id: "a-1", sequence: 7, body }, { id: "a-2", sequence: 8, body: Buffer.from("{}") }], 1_700_000_000))
    assert.strictEqual(
      written,
      `[{"id":"a-1","sequence":7,"timestamp":1700000000,"event":{"Data":{"value": 12345678901234567890.10, "ü":"\\u0000"}}},` +
        `{"id":"a-2","sequence":8,"timestamp":1700000000,"event":{}}]`
    )
  })

  it("leaves out a number that is not there", () => {
    assert.strictEqual(text(Batch.write([{ id: "s-1", sequence: 0, body: Buffer.from("{}") }], 1)), `[{"id":"s-1","timestamp":1,"event":{}}]`)
  })

  it("names a batch by its first event and its count", () => {
    assert.strictEqual(Batch.idOf("0000000001A2B3C4-2f9c-0", 100), "b-0000000001A2B3C4-2f9c-0-100")
  })

  const Item = Schema.Struct({ id: Schema.String, sequence: Schema.Int, value: Schema.String })
  it.prop("is JSON from which every item can be read again", { items: Schema.Array(Item) }, ({ items }) => {
    const written = Batch.write(items.map(({ id, sequence, value }) => ({ id, sequence, body: Buffer.from(JSON.stringify({ Data: value })) })), 3)
    assert.deepStrictEqual(
      JSON.parse(text(written)),
      items.map(({ id, sequence, value }) => ({ id, ...(sequence > 0 ? { sequence } : {}), timestamp: 3, event: { Data: value } }))
    )
  })
})
