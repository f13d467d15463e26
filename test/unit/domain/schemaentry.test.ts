import { assert, describe, it } from "@effect/vitest"
import * as SchemaEntry from "../../../src/domain/SchemaEntry.ts"
import type { ShapeColumn, ShapeIndex, TableShape } from "../../../src/domain/TableShape.ts"
import * as Xid from "../../../src/domain/Xid.ts"

const column = (attnum: number, name: string, more: Partial<ShapeColumn> = {}): ShapeColumn => ({
  attnum, name, typeOid: 23, typmod: -1, type: "integer", notNull: false, default: null, generated: false, identity: "", comment: null, ...more
})
const index = (key: ReadonlyArray<number>, more: Partial<ShapeIndex> = {}): ShapeIndex =>
  ({ primary: false, replicaIdentity: false, immediate: true, plainUnique: true, key, ...more })
const table = (more: Partial<TableShape> = {}): TableShape => ({
  oid: 16471, schema: "public", name: "t", kind: "r", persistence: "p", replicaIdentity: "d", fullIsOurs: undefined, root: 16471, parents: [],
  columns: [column(1, "id", { notNull: true }), column(3, "v", { type: "text", default: `'it''s'::text`, comment: `a "note"\n` })],
  indexes: [index([1], { primary: true })], tableId: "cv9al8qhi0j00i9chq8g", ...more
})

describe("SchemaEntry", () => {
  it("writes jsonb's text form", () => {
    assert.strictEqual(
      SchemaEntry.json([table()]),
      `{"tables": [{"oid": "16471", "name": "t", "columns": [` +
        `{"name": "id", "type": "integer", "unique": true, "default": null, "metadata": null, "nullable": false, "generated": false, "pgstream_id": "cv9al8qhi0j00i9chq8g-1"}, ` +
        `{"name": "v", "type": "text", "unique": false, "default": "'it''s'::text", "metadata": "a \\"note\\"\\n", "nullable": true, "generated": false, "pgstream_id": "cv9al8qhi0j00i9chq8g-3"}], ` +
        `"pgstream_id": "cv9al8qhi0j00i9chq8g", "primary_key_columns": ["id"]}]}`
    )
  })

  it("leaves tables without columns out", () => {
    assert.strictEqual(SchemaEntry.json([table({ columns: [] })]), `{"tables": null}`)
    assert.strictEqual(SchemaEntry.json([]), `{"tables": null}`)
  })

  it("orders tables by name, the key by the key", () => {
    const b = table({ oid: 2, name: "b", columns: [column(1, "x"), column(2, "y")], indexes: [index([2, 1], { primary: true })] })
    const names = SchemaEntry.inOrder([table({ name: "c" }), b, table({ oid: 3, name: "B" })]).map((t) => t.name)
    assert.deepStrictEqual(names, ["B", "b", "c"])
    assert.include(SchemaEntry.json([b]), `"primary_key_columns": ["y", "x"]`)
  })

  it("reads the oids of an entry, its own and the seed's", () => {
    assert.deepStrictEqual(SchemaEntry.tablesOf(SchemaEntry.json([table(), table({ oid: 5, name: `x"oid": "9", "name": "` })])), [16471, 5])
    assert.deepStrictEqual(SchemaEntry.tablesOf(SchemaEntry.droppedJson), [])
  })

  it("identifies by the primary key, else by the first not-null column that is unique by itself", () => {
    const columns = [column(1, "a"), column(2, "b", { notNull: true }), column(3, "c", { notNull: true })]
    const id = (indexes: ReadonlyArray<ShapeIndex>) => SchemaEntry.identityOf(table({ columns, indexes }))
    assert.deepStrictEqual(id([index([3]), index([3, 2], { primary: true })]), [3, 2])
    assert.deepStrictEqual(id([index([1]), index([3]), index([2])]), [2])
    assert.deepStrictEqual(id([index([1]), index([2, 3])]), [])
    assert.deepStrictEqual(id([index([2], { plainUnique: false })]), [], "a partial unique index is none")
  })

  it("makes the metadata of golden's forms", () => {
    const metadata = SchemaEntry.metadataOf({ entryId: "e", shape: table() })
    assert.deepStrictEqual(metadata, {
      schemaId: "e",
      tableId: "cv9al8qhi0j00i9chq8g",
      columnIds: new Map([["id", "cv9al8qhi0j00i9chq8g-1"], ["v", "cv9al8qhi0j00i9chq8g-3"]]),
      idColumnIds: ["cv9al8qhi0j00i9chq8g-1"]
    })
    assert.isNull(SchemaEntry.metadataOf({ entryId: "e", shape: table({ indexes: [] }) }).idColumnIds)
  })

  it("compares what an entry says, not the id", () => {
    assert.isTrue(SchemaEntry.saysTheSame(table(), table({ tableId: "other", replicaIdentity: "f" })))
    assert.isFalse(SchemaEntry.saysTheSame(table(), table({ name: "u" })))
    assert.isFalse(SchemaEntry.saysTheSame(table(), table({ columns: [] })))
  })

  it("writes the time in UTC, to the microsecond", () => {
    assert.strictEqual(SchemaEntry.createdAt("2026-11-24 00:12:21.22944+00"), "2026-11-24 00:12:21.22944")
    assert.strictEqual(SchemaEntry.createdAt("2026-11-24 00:12:21.229441+05:30"), "2026-11-23 18:42:21.229441")
    assert.strictEqual(SchemaEntry.createdAt("2026-11-23 20:00:00-08"), "2026-11-24 04:00:00")
  })
})

describe("Xid", () => {
  it("encodes what the tutorial's id decodes to", () => {
    const bytes = [0x67, 0xd2, 0xaa, 0xa3, 0x51, 0x90, 0x26, 0x00, 0x49, 0x2c, 0x8e, 0x90]
    assert.deepStrictEqual([...Xid.decode("cv9al8qhi0j00i9chq80")], bytes)
    assert.strictEqual(Xid.encode(Uint8Array.from(bytes)), "cv9al8qhi0j00i9chq80")
  })
  it("derives the same id from the same, keeps its time, and others from others", () => {
    const from = "cv9al8qhi0j00i9chq80"
    const some = Array.from({ length: 2000 }, (_, n) => Xid.derive(from, `table ${n}`))
    assert.strictEqual(new Set(some).size, 2000)
    assert.strictEqual(Xid.derive(from, "table 7"), some[7])
    for (const id of some) assert.isTrue(Xid.is(id) && id.slice(0, 6) === from.slice(0, 6), id)
  })
})
