import { assert, describe, it } from "vitest"
import { type Change, type Column, NULL, type Relation, type Row, UNCHANGED } from "../../../src/domain/Change.ts"
import { conflicts, type Key, WHOLE } from "../../../src/domain/Key.ts"
import { keysOf, TOTAL } from "../../../src/domain/Keys.ts"
import type { TableShape } from "../../../src/domain/TableShape.ts"

const column = (name: string, key: boolean): Column => ({ name, typeOid: 25, typmod: -1, typeName: "text", valueClass: 0, key })
const relationOf = (oid: number, keyed: ReadonlyArray<boolean>, table = "t"): Relation => ({
  oid, schema: "public", table, replicaIdentity: oid === 0 ? "" : "d",
  columns: keyed.map((key, i) => column(`c${i}`, key))
})
const rowOf = (relation: Relation, values: ReadonlyArray<string | typeof NULL | typeof UNCHANGED>): Row => {
  const spans = new Int32Array(values.length * 2)
  const parts: Array<Buffer> = []
  let at = 0
  values.forEach((value, i) => {
    spans[2 * i] = typeof value === "string" ? at : value
    if (typeof value === "string") {
      parts.push(Buffer.from(value))
      at += Buffer.byteLength(value)
      spans[2 * i + 1] = at
    }
  })
  return { columns: relation.columns, bytes: Buffer.concat(parts), spans }
}
const shapeOf = (oid: number, root: number, relation: Relation, key: ReadonlyArray<number>): TableShape => ({
  oid, schema: "public", name: relation.table, kind: "r", persistence: "p", replicaIdentity: "d", fullIsOurs: undefined, root,
  parents: [], tableId: undefined,
  columns: relation.columns.map((each, i) => ({
    attnum: i + 1, name: each.name, typeOid: 25, typmod: -1, type: "text", notNull: false, default: null, generated: false,
    identity: "", comment: null
  })),
  indexes: key.length === 0 ? [] : [{ primary: true, replicaIdentity: false, immediate: true, plainUnique: true, key }]
})
const change = (kind: Change["kind"], relation: Relation, parts: Partial<Pick<Change, "shape" | "affects">> & { newRow?: Row; oldRow?: Row }): Change => ({
  _tag: "Change", kind, ordinal: 0, sub: -1, lsn: 1, relation, oldKind: parts.oldRow === undefined ? "" : "K", message: undefined, byteLength: 1,
  transaction: { commitLsn: 1, commitTimeUs: 1, timestamp: "", xid: 1, idPrefix: "" },
  newRow: () => parts.newRow, oldRow: () => parts.oldRow, shape: parts.shape, metadata: undefined, affects: parts.affects
})
const one = (keys: ReadonlyArray<Key>): Key => {
  assert.strictEqual(keys.length, 1)
  return keys[0]!
}

const plain = relationOf(10, [true, false])

describe("keysOf", () => {
  it("gives I, U and D of one row the same key, and other rows another", () => {
    const inserted = one(keysOf(change("I", plain, { newRow: rowOf(plain, ["1", "a"]) }), "key"))
    const updated = one(keysOf(change("U", plain, { newRow: rowOf(plain, ["1", "b"]) }), "key"))
    const deleted = one(keysOf(change("D", plain, { oldRow: rowOf(plain, ["1", NULL]) }), "key"))
    const other = one(keysOf(change("I", plain, { newRow: rowOf(plain, ["2", "a"]) }), "key"))
    assert.deepStrictEqual(updated, inserted)
    assert.deepStrictEqual(deleted, inserted)
    assert.notStrictEqual(other.value, inserted.value)
    assert.isFalse(conflicts(other, inserted))
  })

  it("tells composite keys apart by their parts", () => {
    const both = relationOf(11, [true, true])
    const key = (a: string, b: string) => one(keysOf(change("I", both, { newRow: rowOf(both, [a, b]) }), "key")).value
    assert.notStrictEqual(key("ab", "c"), key("a", "bc"))
    assert.notStrictEqual(key("a", ""), key("", "a"))
  })

  it("gives a change of the key the old one, then the new one", () => {
    const keys = keysOf(change("U", plain, { oldRow: rowOf(plain, ["1", NULL]), newRow: rowOf(plain, ["2", "a"]) }), "key")
    assert.deepStrictEqual(keys, [
      one(keysOf(change("D", plain, { oldRow: rowOf(plain, ["1", NULL]) }), "key")),
      one(keysOf(change("I", plain, { newRow: rowOf(plain, ["2", "a"]) }), "key"))
    ])
    assert.strictEqual(keysOf(change("U", plain, { oldRow: rowOf(plain, ["1", NULL]), newRow: rowOf(plain, ["1", "a"]) }), "key").length, 1)
  })

  it("takes a key value that was not sent from the other row, and the whole table without one", () => {
    const filled = keysOf(change("U", plain, { oldRow: rowOf(plain, ["1", NULL]), newRow: rowOf(plain, [UNCHANGED, "b"]) }), "key")
    assert.deepStrictEqual(filled, keysOf(change("I", plain, { newRow: rowOf(plain, ["1", "a"]) }), "key"))
    assert.strictEqual(one(keysOf(change("U", plain, { newRow: rowOf(plain, [UNCHANGED, "b"]) }), "key")).value, WHOLE)
  })

  it("takes the whole table for TRUNCATE and for a table without a key", () => {
    const keyless = relationOf(12, [false, false])
    assert.deepStrictEqual(keysOf(change("T", plain, {}), "key"), [{ leaf: 10, root: 10, definition: 0, value: WHOLE }])
    assert.deepStrictEqual(keysOf(change("I", keyless, { newRow: rowOf(keyless, ["1", "2"]) }), "key"), [{ leaf: 12, root: 12, definition: 0, value: WHOLE }])
  })

  it("names the partition and its topmost parent, so that a row that moves stays in order", () => {
    const [a, b] = [relationOf(21, [true, false], "a"), relationOf(22, [true, false], "b")]
    const left = one(keysOf(change("D", a, { shape: shapeOf(21, 20, a, [1]), oldRow: rowOf(a, ["1", NULL]) }), "key"))
    const arrives = one(keysOf(change("I", b, { shape: shapeOf(22, 20, b, [1]), newRow: rowOf(b, ["1", "x"]) }), "key"))
    assert.deepStrictEqual([left.leaf, left.root], [21, 20])
    assert.isTrue(conflicts(left, arrives))
  })

  it("conflicts across a changed key definition", () => {
    const before = one(keysOf(change("I", plain, { shape: shapeOf(10, 10, plain, [1]), newRow: rowOf(plain, ["1", "a"]) }), "key"))
    const after = one(keysOf(change("I", plain, { shape: shapeOf(10, 10, plain, [2]), newRow: rowOf(plain, ["9", "z"]) }), "key"))
    assert.notStrictEqual(before.definition, after.definition)
    assert.isTrue(conflicts(before, after))
  })

  it("keeps wal2json's events in order before and after the shape of their table is known", () => {
    for (const root of [30, 29]) {
      const relation = relationOf(0, [false, false])
      const unknown = keysOf(change("I", relation, { newRow: rowOf(relation, ["1", "a"]) }), "key")
      const known = keysOf(change("I", relation, { shape: shapeOf(30, root, relation, [1]), newRow: rowOf(relation, ["1", "a"]) }), "key")
      assert.isTrue(known.some((key) => unknown.some((other) => conflicts(key, other))), `root ${root}`)
      const other = relationOf(0, [false, false], "other")
      const elsewhere = keysOf(change("I", other, { newRow: rowOf(other, ["1", "a"]) }), "key")
      assert.isFalse(known.some((key) => elsewhere.some((away) => conflicts(key, away))))
    }
  })

  it("gives a schema event each table that it affects, a message none", () => {
    const log = relationOf(40, [true], "schema_log")
    const keys = keysOf(change("I", log, { affects: [10, 11], newRow: rowOf(log, ["x"]) }), "key")
    assert.deepStrictEqual(keys.map(({ leaf, value }) => [leaf, value]), [[10, WHOLE], [11, WHOLE]])
    assert.deepStrictEqual(keysOf({ ...change("M", plain, {}), relation: undefined }, "key"), [])
  })

  it("has one key for total, none for none", () => {
    const insert = change("I", plain, { newRow: rowOf(plain, ["1", "a"]) })
    assert.strictEqual(keysOf(insert, "total"), TOTAL)
    assert.isTrue(conflicts(TOTAL[0]!, TOTAL[0]!))
    assert.deepStrictEqual(keysOf(insert, "none"), [])
  })
})
