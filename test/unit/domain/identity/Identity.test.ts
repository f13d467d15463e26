import { assert, describe, it } from "@effect/vitest"
import { type Column, type Relation, ValueClass } from "../../../../src/domain/Change.ts"
import * as Identity from "../../../../src/domain/Identity.ts"
import type { ShapeIndex, TableShape } from "../../../../src/domain/TableShape.ts"
import { changesOf, decode, framesOf } from "../decoder/fixtures.ts"

const names = ["a", "b", "c", "d"]
const columnsOf = (keys: ReadonlyArray<string>, typeOid = 23): ReadonlyArray<Column> =>
  names.map((name) => ({ name, typeOid, typmod: -1, typeName: "integer", valueClass: ValueClass.number, key: keys.includes(name) }))

const relationOf = (replicaIdentity: Relation["replicaIdentity"], keys: ReadonlyArray<string>): Relation =>
  ({ oid: 1, schema: "public", table: "t", replicaIdentity, columns: columnsOf(keys) })

const index = (key: ReadonlyArray<number>, part: Partial<ShapeIndex> = {}): ShapeIndex =>
  ({ primary: false, replicaIdentity: false, immediate: true, plainUnique: true, key, ...part })

const shapeOf = (part: Partial<TableShape>): TableShape => ({
  oid: 1, schema: "public", name: "t", kind: "r", persistence: "p", replicaIdentity: "d", fullIsOurs: undefined, root: 1, parents: [],
  columns: names.map((name, i) => ({
    attnum: i + 1, name, typeOid: 23, typmod: -1, type: "integer", notNull: false, default: null, generated: false, identity: "", comment: null
  })),
  indexes: [], tableId: undefined, ...part
})

const primary = index([3, 1], { primary: true })

describe("identity of a payload", () => {
  const all = columnsOf(["a", "b", "c", "d"])
  const pick = (shape: TableShape | undefined, whole: boolean, columns = all) => Identity.indexes(columns, shape, whole).map((i) => columns[i]!.name)

  it("is what pgoutput marks, in the table's order", () => assert.deepStrictEqual(pick(undefined, false, columnsOf(["c", "a"])), ["a", "c"]))
  it("is every column with the user's FULL", () => {
    assert.deepStrictEqual(pick(undefined, true), names)
    assert.deepStrictEqual(pick(shapeOf({ replicaIdentity: "f", indexes: [primary] }), true), names)
  })
  it("is cut to the key while FULL is ours and the key is usable", () => {
    assert.deepStrictEqual(pick(shapeOf({ replicaIdentity: "f", fullIsOurs: "d", indexes: [primary] }), true), ["a", "c"])
    assert.deepStrictEqual(pick(shapeOf({ replicaIdentity: "f", fullIsOurs: "i", indexes: [primary, index([2], { replicaIdentity: true })] }), true), ["b"])
  })
  it("is every column while FULL is ours and no key is usable", () => {
    for (const part of [
      { fullIsOurs: "d", indexes: [] }, { fullIsOurs: "d", indexes: [index([1])] }, { fullIsOurs: "d", indexes: [{ ...primary, immediate: false }] },
      { fullIsOurs: "i", indexes: [primary] }, { fullIsOurs: "n", indexes: [primary] },
      { fullIsOurs: "n", indexes: [index([2], { replicaIdentity: true })] }
    ] as const) assert.deepStrictEqual(pick(shapeOf({ replicaIdentity: "f", ...part }), true), names)
  })
  it("is never cut to columns that the row does not have", () => {
    const renamed = shapeOf({ replicaIdentity: "f", fullIsOurs: "d", indexes: [primary], columns: shapeOf({}).columns.map((c) => (c.name === "a" ? { ...c, name: "z" } : c)) })
    assert.deepStrictEqual(pick(renamed, true), names)
  })
  it("does not mix up shapes that take turns", () => {
    const ours = shapeOf({ replicaIdentity: "f", fullIsOurs: "d", indexes: [primary] })
    for (let i = 0; i < 8; i++) {
      assert.deepStrictEqual(pick(ours, true), ["a", "c"])
      assert.deepStrictEqual(pick(shapeOf({ replicaIdentity: "f" }), true), names)
      assert.deepStrictEqual(pick(undefined, true), names)
    }
  })
})

describe("the cut of our FULL gives what golden has without it", () => {
  for (const plugin of ["pgoutput", "wal2json"] as const) {
    it(`for captured updates and deletes (${plugin})`, () => {
      const changes = changesOf(decode(plugin, framesOf(15, plugin)))
      const full = changes.filter((change) => change.relation?.table === "keyless" && change.kind !== "I")
      assert.strictEqual(full.length, 2)
      const namesOf = (change: (typeof full)[number]) => {
        const identity = Identity.identityColumns(change)!
        return identity.indexes.map((i) => identity.row.columns[i]!.name)
      }
      for (const change of full) {
        assert.deepStrictEqual(namesOf(change), ["a", "b"])
        change.shape = shapeOf({ replicaIdentity: "f", fullIsOurs: "d", indexes: [index([1], { primary: true })] })
        assert.deepStrictEqual(namesOf(change), ["a"])
      }
    })
  }
})

describe("key definition", () => {
  const relation = relationOf("d", ["a", "c"])
  const keyOf = (shape: TableShape | undefined, of = relation) => {
    const { hash, indexes, names } = Identity.keyDefinition(of, shape)
    return { names, indexes, keyed: hash !== 0 }
  }
  const none = { names: [], indexes: [], keyed: false }

  it("is the replica identity, in the key's order", () => {
    assert.deepStrictEqual(keyOf(shapeOf({ indexes: [index([2]), primary] })), { names: ["c", "a"], indexes: [2, 0], keyed: true })
    assert.deepStrictEqual(keyOf(shapeOf({ replicaIdentity: "i", indexes: [primary, index([2], { replicaIdentity: true })] })), { names: ["b"], indexes: [1], keyed: true })
  })
  it("is the primary key with FULL and with NOTHING, else the whole table", () => {
    for (const replicaIdentity of ["f", "n"] as const) {
      assert.deepStrictEqual(keyOf(shapeOf({ replicaIdentity, indexes: [index([2]), { ...primary, immediate: false }] })).names, ["c", "a"])
      assert.deepStrictEqual(keyOf(shapeOf({ replicaIdentity, indexes: [index([2])] })), none)
    }
  })
  it("without a shape is what pgoutput marks, unless FULL marks all", () => {
    assert.deepStrictEqual(keyOf(undefined), { names: ["a", "c"], indexes: [0, 2], keyed: true })
    assert.deepStrictEqual(keyOf(undefined, relationOf("f", names)), none)
    assert.deepStrictEqual(keyOf(undefined, relationOf("n", [])), none)
    assert.deepStrictEqual(keyOf(undefined, relationOf("", [])), none)
  })
  it("has a hash of names, order and types alone, the same in every process", () => {
    const hashOf = (part: Partial<TableShape>) => Identity.keyDefinition(relation, shapeOf(part)).hash
    // FNV-1a of "c\0" "23\0" "a\0" "23\0" in UTF-16LE: parked keys are stored, so it must never change.
    const base = hashOf({ indexes: [primary] })
    assert.strictEqual(base, 4_154_315_623)
    assert.strictEqual(hashOf({ indexes: [primary], name: "other", oid: 2, replicaIdentity: "f", fullIsOurs: "d" }), base)
    assert.notStrictEqual(hashOf({ indexes: [index([1, 3], { primary: true })] }), base)
    assert.notStrictEqual(hashOf({ indexes: [index([3], { primary: true })] }), base)
    assert.notStrictEqual(hashOf({ indexes: [primary], columns: shapeOf({}).columns.map((c) => ({ ...c, typeOid: 20 })) }), base)
  })
  it("with and without a shape has one hash, so that a shape that comes is no barrier", () => {
    const single = relationOf("d", ["b"])
    assert.strictEqual(Identity.keyDefinition(single, shapeOf({ indexes: [index([2], { primary: true })] })).hash, Identity.keyDefinition(single, undefined).hash)
  })
  it("finds its columns in an old row that has fewer", () => {
    const definition = Identity.keyDefinition(relation, shapeOf({ indexes: [primary] }))
    const columns = columnsOf([]).filter((column) => column.name === "a" || column.name === "d")
    assert.deepStrictEqual(Identity.keyPlaces(definition, columns), [-1, 0])
    assert.strictEqual(Identity.keyPlaces(definition, columns), Identity.keyPlaces(definition, columns))
  })
})
