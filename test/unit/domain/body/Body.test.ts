import { assert, describe, it } from "@effect/vitest"
import * as Schema from "effect/Schema"
import { BodyWriter } from "../../../../src/domain/Body.ts"
import {
  type Change, type Column, type EventMetadata, NULL, type OldRowKind, type Relation, type Row, UNCHANGED, ValueClass
} from "../../../../src/domain/Change.ts"
import { outside, transactionOf } from "../../../../src/domain/Transactions.ts"

const transaction = transactionOf(0x1_0000_0010, 848_881_941_229_440, "2026-11-25 00:32:21.22944+00", 7)

const column = (name: string, valueClass: ValueClass = ValueClass.text, typeName = "text", key = false): Column =>
  ({ name, typeOid: 25, typmod: -1, typeName, valueClass, key })

/** `null` NULL · `undefined` unchanged TOAST. */
const rowOf = (columns: ReadonlyArray<Column>, values: ReadonlyArray<string | null | undefined>): Row => {
  const spans = new Int32Array(columns.length * 2)
  const parts: Array<Buffer> = []
  let at = 0
  for (const [i, value] of values.entries()) {
    if (typeof value !== "string") {
      spans[2 * i] = value === null ? NULL : UNCHANGED
      continue
    }
    const bytes = Buffer.from(value)
    parts.push(bytes)
    spans[2 * i] = at
    spans[2 * i + 1] = at += bytes.length
  }
  return { columns, bytes: Buffer.concat(parts), spans }
}

const relationOf = (columns: ReadonlyArray<Column>, replicaIdentity: Relation["replicaIdentity"] = "d"): Relation =>
  ({ oid: 1, schema: "public", table: "t\"1", replicaIdentity, columns })

const changeOf = (part: Partial<Omit<Change, "newRow" | "oldRow">> & { readonly rows?: readonly [Row | undefined, Row | undefined]; readonly oldKind?: OldRowKind }): Change => {
  const { rows, ...rest } = part
  return {
    _tag: "Change", kind: "I", transaction, ordinal: 0, sub: -1, lsn: 0x16b374d848, relation: undefined, oldKind: "", message: undefined, byteLength: 0,
    shape: undefined, metadata: undefined, affects: undefined, newRow: () => rows?.[0], oldRow: () => rows?.[1], ...rest
  }
}

const text = (change: Change, writer = new BodyWriter()): string => Buffer.from(writer.write(change)).toString("utf8")

const head = (action: string) => `{"Data":{"action":"${action}","timestamp":"2026-11-25 00:32:21.22944+00","lsn":"16/B374D848","schema":"public","table":"t\\"1",`
const tail = ",\"metadata\":{\"schema_id\":null,\"table_pgstream_id\":\"\",\"id_col_pgstream_id\":null,\"version_col_pgstream_id\":\"\"}}}"

describe("a body", () => {
  const columns = [column("id", ValueClass.number, "bigint", true), column("v")]
  const relation = relationOf(columns)

  it("of an insert has its columns and no identity", () => {
    assert.strictEqual(text(changeOf({ relation, rows: [rowOf(columns, ["1", "a\"b\n"]), undefined] })),
      `${head("I")}"columns":[{"id":"","name":"id","type":"bigint","value":1},{"id":"","name":"v","type":"text","value":"a\\"b\\n"}],"identity":null${tail}`)
  })
  it("of an update whose key did not change has the identity of the new row", () => {
    assert.strictEqual(text(changeOf({ kind: "U", relation, rows: [rowOf(columns, ["1", null]), undefined] })),
      `${head("U")}"columns":[{"id":"","name":"id","type":"bigint","value":1},{"id":"","name":"v","type":"text","value":null}],"identity":[{"id":"","name":"id","type":"bigint","value":1}]${tail}`)
  })
  it("of a delete has the old key alone", () => {
    assert.strictEqual(text(changeOf({ kind: "D", relation, oldKind: "K", rows: [undefined, rowOf(columns, ["1", null])] })),
      `${head("D")}"columns":null,"identity":[{"id":"","name":"id","type":"bigint","value":1}]${tail}`)
  })
  it("with FULL has the whole old row, NULL too", () => {
    assert.strictEqual(text(changeOf({ kind: "D", relation: relationOf(columns, "f"), oldKind: "O", rows: [undefined, rowOf(columns, ["1", null])] })),
      `${head("D")}"columns":null,"identity":[{"id":"","name":"id","type":"bigint","value":1},{"id":"","name":"v","type":"text","value":null}]${tail}`)
  })
  it("of a truncate has neither", () => assert.strictEqual(text(changeOf({ kind: "T", relation })), `${head("T")}"columns":null,"identity":null${tail}`))
  it("of a table without columns has an empty list", () => {
    assert.strictEqual(text(changeOf({ relation: relationOf([]), rows: [rowOf([], []), undefined] })), `${head("I")}"columns":[],"identity":null${tail}`)
  })
  it("has no unchanged TOAST value, first or last", () => {
    const three = [column("a"), column("b", ValueClass.text, "text", true), column("c")]
    const change = changeOf({ kind: "U", relation: relationOf(three), rows: [rowOf(three, [undefined, "b", undefined]), undefined] })
    assert.strictEqual(text(change), `${head("U")}"columns":[{"id":"","name":"b","type":"text","value":"b"}],"identity":[{"id":"","name":"b","type":"text","value":"b"}]${tail}`)
  })
  it("of a message has prefix and content, or base64 where that is no text", () => {
    const message = (bytes: Buffer, transactional = true) => ({ prefix: "a\"pp", transactional, bytes, start: 1, end: bytes.length })
    const bare = head("M").replace("\"schema\":\"public\",\"table\":\"t\\\"1\"", "\"schema\":\"\",\"table\":\"\"")
    const behind = (content: string) => `${tail.slice(0, -2)},"prefix":"a\\"pp",${content}}}`
    assert.strictEqual(text(changeOf({ kind: "M", message: message(Buffer.from("xhé\b\0")) })), `${bare}"columns":null,"identity":null${behind("\"content\":\"hé\\u0008\\u0000\"")}`)
    assert.strictEqual(text(changeOf({ kind: "M", message: message(Buffer.from([1, 0xff, 0])) })), `${bare}"columns":null,"identity":null${behind("\"content_base64\":\"/wA=\"")}`)
    assert.include(text(changeOf({ kind: "M", transaction: outside(5), message: message(Buffer.from("x")) })), "\"timestamp\":\"\"")
  })
})

describe("values", () => {
  const valueOf = (valueClass: ValueClass, value: string) => {
    const columns = [column("v", valueClass)]
    return /"value":(.*)\}\],"identity"/.exec(text(changeOf({ relation: relationOf(columns), rows: [rowOf(columns, [value]), undefined] })))?.[1]
  }
  it("keep every digit", () => {
    for (const digits of ["9223372036854775807", "1.10", "0.1234567890123456789012345678901234567890", "1e-07", "-1", "0", "1e+300"]) {
      assert.strictEqual(valueOf(ValueClass.number, digits), digits)
    }
    assert.strictEqual(valueOf(ValueClass.number, "-0"), "0")
  })
  it("have null for what JSON has no number for", () => {
    for (const none of ["NaN", "Infinity", "-Infinity"]) assert.strictEqual(valueOf(ValueClass.number, none), "null")
  })
  it("are true and false from both plugins' forms", () => {
    for (const yes of ["t", "true"]) assert.strictEqual(valueOf(ValueClass.boolean, yes), "true")
    for (const no of ["f", "false"]) assert.strictEqual(valueOf(ValueClass.boolean, no), "false")
  })
  it("of bytea are hex without its mark", () => {
    assert.strictEqual(valueOf(ValueClass.bytea, "\\xdeadbeef00ff"), "\"deadbeef00ff\"")
    assert.strictEqual(valueOf(ValueClass.bytea, "\\x"), "\"\"")
    assert.strictEqual(valueOf(ValueClass.bytea, "deadbeef"), "\"deadbeef\"")
  })
})

describe("metadata", () => {
  const columns = [column("id", ValueClass.number, "integer", true), column("late")]
  const relation = relationOf(columns)
  const metadata: EventMetadata = { schemaId: "s1", tableId: "t1", columnIds: new Map([["id", "t1-1"]]), idColumnIds: ["t1-1", "t1-2"] }
  const rows = [rowOf(columns, ["1", "x"]), undefined] as const
  it("puts ids on columns, identity and table", () => {
    assert.strictEqual(text(changeOf({ kind: "U", relation, rows, metadata })),
      `${head("U")}"columns":[{"id":"t1-1","name":"id","type":"integer","value":1},{"id":"","name":"late","type":"text","value":"x"}],"identity":[{"id":"t1-1","name":"id","type":"integer","value":1}]` +
      ",\"metadata\":{\"schema_id\":\"s1\",\"table_pgstream_id\":\"t1\",\"id_col_pgstream_id\":[\"t1-1\",\"t1-2\"],\"version_col_pgstream_id\":\"\"}}}")
  })
  it("changes with the entry, and goes with it", () => {
    const writer = new BodyWriter()
    const later: EventMetadata = { ...metadata, schemaId: "s2", columnIds: new Map(), idColumnIds: null }
    assert.include(text(changeOf({ relation, rows, metadata }), writer), "\"schema_id\":\"s1\"")
    const second = text(changeOf({ relation, rows, metadata: later }), writer)
    assert.include(second, "\"schema_id\":\"s2\",\"table_pgstream_id\":\"t1\",\"id_col_pgstream_id\":null")
    assert.include(second, "{\"id\":\"\",\"name\":\"id\"")
    assert.include(text(changeOf({ relation, rows }), writer), tail)
  })
})

describe("slabs", () => {
  const columns = [column("v"), column("w")]
  const relation = relationOf(columns)
  const changeWith = (v: string, w: string | null) => changeOf({ relation, rows: [rowOf(columns, [v, w]), undefined] })
  const parsed = (body: Uint8Array) => (JSON.parse(Buffer.from(body).toString("utf8")) as { readonly Data: { readonly columns: ReadonlyArray<{ readonly value: string | null }> } }).Data.columns.map((each) => each.value)

  it("are never written again where a body lies", () => {
    const writer = new BodyWriter()
    const made = Array.from({ length: 2_000 }, (_, i) => {
      const v = `${i} ${"x".repeat((i * 37) % 900)}\u0001`
      return { v, body: writer.write(changeWith(v, null)) }
    })
    for (const { body, v } of made) assert.deepStrictEqual(parsed(body), [v, null])
  })
  it("hold a body of any size, also one of escapes alone", () => {
    const writer = new BodyWriter()
    for (const size of [1, 2_000, 2_700, 3_000, 40_000, 43_690, 200_000, 1_500_000]) {
      for (const char of ["x", "\u0001", "\"", "é"]) {
        const v = char.repeat(size)
        assert.deepStrictEqual(parsed(writer.write(changeWith(v, "end"))), [v, "end"])
      }
    }
  })
  it.prop("hold every row as JSON.stringify would write it", { v: Schema.String, w: Schema.NullOr(Schema.String) }, ({ v, w }) => {
    const [a, b] = [Buffer.from(v).toString(), w === null ? null : Buffer.from(w).toString()]
    assert.deepStrictEqual(parsed(new BodyWriter().write(changeWith(a, b))), [a, b])
  }, { arbitrary: { runs: 300 } })
})
