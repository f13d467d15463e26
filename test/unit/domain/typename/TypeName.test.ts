import { assert, describe, it } from "@effect/vitest"
import { type Column, ValueClass } from "../../../../src/domain/Change.ts"
import type { ShapeColumn, TableShape } from "../../../../src/domain/TableShape.ts"
import * as TypeName from "../../../../src/domain/TypeName.ts"

describe("a built-in type", () => {
  // Expected: SELECT format_type(oid, typmod) on Postgres 15, a single quoted name without its quotes.
  const cases: ReadonlyArray<readonly [oid: number, typmod: number, text: string]> = [
    [23, -1, "integer"], [1007, -1, "integer[]"], [16, -1, "boolean"], [701, -1, "double precision"], [18, -1, "char"], [1002, -1, "\"char\"[]"],
    [1043, 24, "character varying(20)"], [1043, -1, "character varying"], [1015, 9, "character varying(5)[]"], [1042, 10, "character(6)"], [1042, -1, "bpchar"],
    [1700, -1, "numeric"], [1700, 786439, "numeric(12,3)"], [1700, 327684 + 2, "numeric(5,2)"], [1700, 133123 - 1, "numeric(2,-2)"],
    [1083, 3, "time(3) without time zone"], [1266, -1, "time with time zone"], [1114, 0, "timestamp(0) without time zone"], [1184, 2, "timestamp(2) with time zone"],
    [1560, 5, "bit(5)"], [1560, -1, "bit"], [1562, 10, "bit varying(10)"], [1186, -1, "interval"], [1186, 458751, "interval year to month"],
    [1186, 470286338, "interval day to second(2)"], [1186, 268435459, "interval second(3)"], [1186, 2147418115, "interval(3)"], [3734, -1, "regconfig"], [5069, -1, "xid8"]
  ]
  for (const [oid, typmod, text] of cases) it(`${oid} ${typmod} is ${text}`, () => assert.strictEqual(TypeName.ofOid(oid, typmod), text))
  it("is no user's type", () => assert.isUndefined(TypeName.ofOid(16_400, -1)))
})

describe("a shape's type", () => {
  const cases: ReadonlyArray<readonly [type: string, text: string]> = [
    ["public.mood", "mood"], ["public.mood[]", "mood[]"], ["public.\"Role\"", "Role"], ["public.\"Role\"[]", "\"Role\"[]"], ["app.kind", "app.kind"],
    ["pgstream.xid", "pgstream.xid"], ["\"Billing\".\"Plan\"", "\"Billing\".\"Plan\""], ["\"S p\".plain[]", "\"S p\".plain[]"], ["\"char\"", "char"],
    ["public.\"we\"\"ird\"", "we\"ird"], ["public.geometry(Point,4326)", "geometry(Point,4326)"], ["numeric(12,3)", "numeric(12,3)"],
    // A built-in of the same name hides it from search_path = public.
    ["public.date", "public.date"], ["public.int4[]", "public.int4[]"], ["public.\"a.b\"", "a.b"], ["public2.mood", "public2.mood"]
  ]
  for (const [type, text] of cases) it(`${type} is ${text}`, () => assert.strictEqual(TypeName.ofShapeType(type), text))
})

describe("pgoutput's Type message", () => {
  const cases: ReadonlyArray<readonly [schema: string, name: string, text: string]> = [
    ["public", "mood", "mood"], ["public", "_mood", "mood[]"], ["public", "Role", "Role"], ["public", "_Role", "\"Role\"[]"], ["app", "kind", "app.kind"],
    ["Sx", "plain", "\"Sx\".plain"], ["Sx", "_Q", "\"Sx\".\"Q\"[]"], ["", "numeric", "numeric"], ["", "int4", "integer"], ["public", "date", "public.date"]
  ]
  for (const [schema, name, text] of cases) it(`${schema}.${name} is ${text}`, () => assert.strictEqual(TypeName.ofTypeMessage(schema, name, -1), text))
})

describe("a column's type", () => {
  const column: Column = { name: "p", typeOid: 16_500, typmod: -1, typeName: "numeric", valueClass: ValueClass.text, key: false }
  const shapeColumn: ShapeColumn = {
    attnum: 1, name: "p", typeOid: 16_500, typmod: -1, type: "public.price", notNull: false, default: null, generated: false, identity: "", comment: null
  }
  const shapeOf = (of: ShapeColumn): TableShape => ({
    oid: 1, schema: "public", name: "t", kind: "r", persistence: "p", replicaIdentity: "d", fullIsOurs: undefined, root: 1, parents: [],
    columns: [of], indexes: [], tableId: undefined
  })
  it("is the shape's, so a domain has its name", () => assert.strictEqual(TypeName.of(column, shapeOf(shapeColumn)), "price"))
  it("is the plugin's without a shape", () => assert.strictEqual(TypeName.of(column, undefined), "numeric"))
  it("is the plugin's while the shape lags behind", () => {
    assert.strictEqual(TypeName.of(column, shapeOf({ ...shapeColumn, typeOid: 16_501 })), "numeric")
    assert.strictEqual(TypeName.of(column, shapeOf({ ...shapeColumn, typmod: 5 })), "numeric")
    assert.strictEqual(TypeName.of(column, shapeOf({ ...shapeColumn, name: "q" })), "numeric")
  })
  it("is wal2json's own text, which is never late", () => {
    assert.strictEqual(TypeName.of({ ...column, typeOid: 0, typeName: "price" }, shapeOf({ ...shapeColumn, type: "integer" })), "price")
  })
})

describe("value classes", () => {
  it("are by type oid, and a domain's is text", () => {
    assert.deepStrictEqual([20, 21, 23, 26, 700, 701, 1700].map(TypeName.valueClassOf), Array(7).fill(ValueClass.number))
    assert.deepStrictEqual([16, 17, 25, 790, 1007, 16_500].map(TypeName.valueClassOf), [
      ValueClass.boolean, ValueClass.bytea, ValueClass.text, ValueClass.text, ValueClass.text, ValueClass.text
    ])
  })
})
